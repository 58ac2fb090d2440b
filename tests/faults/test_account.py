"""Every row of a catalogue ends in the index with the right vectors, or as a dead letter; on the worst of days, too."""

import json
import os
import secrets
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import BATCH, Shop
from tests.faults.faulty import NOTED
from tests.faults.ledger import MARKER, MIX, indexed, ingest, write_goods, wrong

SEED = int(os.environ.get("NEURALSHELF_SEED") or secrets.randbelow(10**6))


def letters(shop: Shop) -> dict[str, Any]:
    """Id -> dead letter."""
    listed = shop.project.run("deadletters", "list", "--size", "10000", "--json").json
    assert listed["count"] == len(listed["letters"])
    return {letter["id"]: letter for letter in listed["letters"]}


@pytest.mark.parametrize(
    ("count", "picture_every"), [(300, 20), pytest.param(10_000, 20, marks=[pytest.mark.extended])]
)
def test_with_faulty_calls_and_poison_nothing_is_missing_and_a_replay_brings_in_the_rest(
    shop: Shop, tmp_path: Path, count: int, picture_every: int
) -> None:
    print(f"NEURALSHELF_SEED={SEED}")
    goods = write_goods(tmp_path, count, picture_every=picture_every, poison_every=100)
    shop.models.poison(MARKER, "424 input")
    shop.models.share(0.3, MIX, seed=SEED)
    before = shop.models.counts
    report, runs = ingest(shop.project, goods.path)
    print(json.dumps({**report, "runs": runs, "calls": dict(shop.models.counts - before)}))
    dead = letters(shop)
    found = indexed(shop.client, shop.index)
    assert found.keys() | dead.keys() == goods.titles.keys()
    assert not found.keys() & dead.keys()
    assert report["documents"] == report["indexed"] + report["dead_letters"] == count
    assert (report["indexed"], report["dead_letters"]) == (len(found), len(dead))
    assert not wrong(found, goods)
    assert goods.poisoned <= dead.keys()
    assert len(dead) <= 2 * len(goods.poisoned) + count // 50

    shop.models.heal()
    mended = goods.mend()
    shop.project.run("deadletters", "replay", str(mended.path), "--json")
    found = indexed(shop.client, shop.index)
    assert found.keys() == goods.titles.keys()
    assert not wrong(found, mended)
    assert letters(shop) == {}


def test_a_document_that_breaks_its_model_takes_no_other_with_it(shop: Shop, tmp_path: Path) -> None:
    goods = write_goods(tmp_path, 20, poison_every=20)
    shop.models.poison(MARKER, "500")
    report, _ = ingest(shop.project, goods.path)
    dead = letters(shop)
    assert dead.keys() == goods.poisoned
    assert (report["indexed"], report["codes"]) == (19, {"ModelFailed": 1})
    assert indexed(shop.client, shop.index).keys() == goods.titles.keys() - goods.poisoned


def test_a_thousand_texts_take_hardly_a_call_more_than_full_batches_would(shop: Shop, tmp_path: Path) -> None:
    goods = write_goods(tmp_path, 1000)
    shop.models.poison("thing number", NOTED)
    report, _ = ingest(shop.project, goods.path)
    assert report["indexed"] == 1000
    assert 1000 / BATCH <= shop.models.counts[NOTED] <= 1000 / BATCH * 1.02
