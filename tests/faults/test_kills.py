"""SIGKILL of `ingest` at random points: the next runs go on, and nothing is lost, doubled or wrong in the end."""

import os
import random
import secrets
import signal
import time
from pathlib import Path

import pytest

from tests.faults.conftest import BATCH, Shop
from tests.faults.faults import LATE
from tests.faults.ledger import indexed, ingest, write_goods, wrong

SEED = int(os.environ.get("NEURALSHELF_SEED") or secrets.randbelow(10**6))


def killed_after(shop: Shop, path: Path, calls: int) -> bool:
    """Ingest until the models have had that many calls, then SIGKILL; whether it lived to see it."""
    before = shop.models.calls
    process = shop.project.start("ingest", str(path), "--json", "--full-speed")
    try:
        while shop.models.calls - before < calls and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode in (0, -signal.SIGKILL), err
    return process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(("count", "kills"), [(240, 3), pytest.param(4_000, 20, marks=pytest.mark.extended)])
def test_an_ingest_killed_again_and_again_ends_as_one_that_was_not(
    shop: Shop, tmp_path: Path, count: int, kills: int
) -> None:
    print(f"NEURALSHELF_SEED={SEED}")
    chance = random.Random(SEED)
    goods = write_goods(tmp_path, count, picture_every=20)
    shop.models.share(1.0, [LATE])
    points = [chance.randint(1, 2 * count // (BATCH * kills)) for _ in range(kills)]
    killed = sum([killed_after(shop, goods.path, point + 5) for point in points])  # 5: the probes before the first bulk
    print(f"killed {killed} times, after {points} calls of the models")
    assert killed >= kills // 2
    report, runs = ingest(shop.project, goods.path)
    assert runs == 1
    assert (report["documents"], report["indexed"], report["dead_letters"]) == (count, count, 0)
    found = indexed(shop.client, shop.index)
    assert found.keys() == goods.titles.keys()
    assert not wrong(found, goods)
