"""A full disk, a checkpoint that can't be written, Ctrl-C once and twice, a reader that has gone."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.provision.wire import Cut, Request
from tests.faults.conftest import Shop
from tests.faults.faults import LATE
from tests.faults.ledger import Goods, indexed, ingest, write_goods

COUNT = 480

FULL_DISK = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # every write to a file fails, as on a disk without room
sys.argv[0] = "neuralshelf"
runpy.run_module("neuralshelf", run_name="__main__")
"""

Process = subprocess.Popen[str]


@pytest.fixture
def goods(tmp_path: Path) -> Goods:
    return write_goods(tmp_path, COUNT)


@pytest.fixture
def start(shop: Shop, goods: Goods) -> Iterator[Callable[..., Process]]:
    """`start(full_disk=False)`: an ingest in a process of its own; none outlives its test."""
    started: list[Process] = []

    def begin(*, full_disk: bool = False) -> Process:
        command = shop.project.command("ingest", str(goods.path), "--json", "--full-speed")
        if full_disk:
            command = [sys.executable, "-c", FULL_DISK, *command[3:]]
        env = os.environ | {"NEURALSHELF_STATE": str(shop.project.folder / "state")} | shop.project.environ
        pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, "text": True}
        started.append(subprocess.Popen(command, cwd=shop.project.folder, env=env, **pipes))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def checkpoints(shop: Shop) -> dict[str, str]:
    """Name -> content."""
    return {path.name: path.read_text() for path in (shop.project.folder / "state" / "ingest").glob("*")}


def saved(shop: Shop) -> dict[str, str]:
    """The same without one that was being written."""
    return {name: text for name, text in checkpoints(shop).items() if name.endswith(".json")}


def rows(shop: Shop) -> int:
    """How many rows are settled, as the checkpoint says; 0 without one."""
    return max((int(json.loads(text)["progress"]["row"]) for text in saved(shop).values()), default=0)


def wait_for(true: Callable[[], object], process: Process, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.01)


def ended(process: Process) -> tuple[int, str]:
    """Exit code and stderr."""
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err, err
    return process.returncode, err


def finishes(shop: Shop, goods: Goods) -> None:
    """The next run brings everything in and leaves no checkpoint."""
    shop.models.heal()
    report, _ = ingest(shop.project, goods.path)
    assert (report["documents"], report["dead_letters"]) == (COUNT, 0)
    assert indexed(shop.client, shop.index).keys() == goods.titles.keys()
    assert checkpoints(shop) == {}


def test_a_full_disk_stops_nothing_and_leaves_the_old_checkpoint_as_it_was(
    shop: Shop, goods: Goods, start: Callable[..., Process]
) -> None:
    shop.models.share(1.0, [LATE])
    first = start()
    wait_for(lambda: rows(shop) > 0, first)
    first.kill()
    first.wait()
    before = saved(shop)
    calls = shop.models.calls
    second = start(full_disk=True)
    wait_for(lambda: shop.models.calls > calls + 12, second)
    second.kill()
    second.wait()
    assert saved(shop) == before
    code, err = ended(start(full_disk=True))
    assert code == 0
    assert f"going on after row {json.loads(next(iter(before.values())))['progress']['row']}" in err
    finishes(shop, goods)


def test_a_checkpoint_that_cannot_be_written_is_said_before_anything_is_sent(
    shop: Shop, goods: Goods, start: Callable[..., Process]
) -> None:
    place = shop.project.folder / "state" / "ingest"
    place.parent.mkdir(exist_ok=True)
    for file in place.glob("*"):
        file.unlink()
    if place.exists():
        place.rmdir()
    place.write_text("in the way")
    try:
        code, err = ended(start())
    finally:
        place.unlink()
    assert code == 1
    assert "can't be written" in err
    assert "NEURALSHELF_STATE" in err
    assert err.count("\n") == 1
    assert indexed(shop.client, shop.index) == {}


def test_ctrl_c_ends_what_is_under_way_and_the_next_run_goes_on(
    shop: Shop, goods: Goods, start: Callable[..., Process]
) -> None:
    shop.models.share(1.0, [LATE])
    process = start()
    wait_for(lambda: rows(shop) > 0, process)
    process.send_signal(signal.SIGINT)
    code, err = ended(process)
    assert code == 130
    assert "Ctrl-C again" in err
    reached = rows(shop)
    assert len(indexed(shop.client, shop.index)) >= reached > 0
    calls = shop.models.calls
    finishes(shop, goods)
    assert shop.models.calls - calls < COUNT // 4 + 12  # it did not begin anew: batches of four, and probes


def test_ctrl_c_twice_ends_at_once(shop: Shop, goods: Goods, start: Callable[..., Process]) -> None:
    wire = shop.project.wire
    direct = shop.project.environment["cluster"]["url"]
    stuck: list[Request] = []
    over = threading.Event()

    def never(request: Request) -> None:
        if "_bulk" in request.path:
            stuck.append(request)
            over.wait(60)
            raise Cut  # what was stuck must not get in during the next test

    wire.clear()
    wire.before = never
    shop.project.environment["cluster"]["url"] = wire.url
    shop.project.write()
    try:
        process = start()
        wait_for(lambda: stuck, process)
        process.send_signal(signal.SIGINT)
        time.sleep(1)
        assert process.poll() is None
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        code, _ = ended(process)
        assert time.monotonic() - begun < 3
        assert code == 130
    finally:
        over.set()
        wire.clear()
        shop.project.environment["cluster"]["url"] = direct
        shop.project.write()
    finishes(shop, goods)


def test_a_reader_that_has_gone_is_no_traceback_and_loses_no_document(
    shop: Shop, goods: Goods, start: Callable[..., Process]
) -> None:
    process = start()
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    assert process.wait(60) == 1
    assert "Traceback" not in err
    assert "BrokenPipe" not in err
    assert indexed(shop.client, shop.index).keys() == goods.titles.keys()
