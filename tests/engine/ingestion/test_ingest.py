"""`neuralshelf ingest` on the real engine: every row ends in the index or with a letter, whatever happens."""

import json
import os
import random
import signal
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neuralshelf.model_packages.encoder import Sample
from tests.engine.fixtures import ServeModels, ToyEncoder
from tests.engine.ingestion.catalogues import picture, written
from tests.engine.provision.conftest import MakeProject
from tests.engine.provision.deployment import FULL, SMALL, Project, slay


def rows(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"id": f"p{number}", "title": f"teapot number {number}", **more} for number in range(count)]


def stored(project: Project) -> dict[str, Mapping[str, Any]]:
    project.client.indices.refresh(index=project.name)
    answer = project.client.search(
        index=project.name, body={"size": 10_000, "query": {"match_all": {}}}, params={"search_pipeline": "_none"}
    )
    return {hit["_id"]: hit["_source"] for hit in answer["hits"]["hits"]}


def letters(project: Project) -> dict[str | None, Mapping[str, Any]]:
    index = f"{project.prefix}-deadletters"
    project.client.indices.refresh(index=index)
    answer = project.client.search(index=index, body={"size": 10_000})
    return {hit["_source"].get("document_id"): hit["_source"] for hit in answer["hits"]["hits"]}


def stopped(project: Project, file: Path) -> Path:
    """The checkpoint of an ingest that was killed when it had one."""
    process = project.start("ingest", str(file))
    while not (found := list((project.folder / "state").rglob("ingest/*.json"))):
        assert process.poll() is None, "it was quicker than this test"
        time.sleep(0.05)
    slay(process.pid)
    process.communicate()
    return found[0]


@pytest.fixture
def shop(make_project: MakeProject) -> Project:
    project = make_project(SMALL)
    project.apply()
    return project


def test_every_row_ends_in_the_index_or_with_a_letter(shop: Project) -> None:
    good = rows(120)
    bad: list[Any] = [{"title": "no id"}, {"id": "p3", "title": "again"}, {"id": "x", "title": 5}, "no object"]
    file = written(shop.folder / "shop.jsonl", [*good, *bad, {"id": "empty", "title": "  "}])
    done = shop.run("ingest", str(file), "--json", code=3)
    assert done.json["indexed"] == 120
    assert done.json["dead_letters"] == 5
    assert done.json["documents"] == 125
    assert stored(shop).keys() == {row["id"] for row in good}
    assert all(document["text_vector"] for document in stored(shop).values())
    found = letters(shop)
    assert {"x", "empty", None} == found.keys()
    assert "nothing to embed" in found["empty"]["cause"]


def test_a_second_run_changes_nothing_and_a_mended_row_loses_its_letter(shop: Project) -> None:
    file = written(shop.folder / "shop.jsonl", [*rows(20), {"id": "late", "title": ""}])
    shop.run("ingest", str(file), code=3)
    written(file, [*rows(20), {"id": "late", "title": "a teapot after all"}])
    assert shop.run("ingest", str(file), "--json").json["dead_letters"] == 0
    assert len(stored(shop)) == 21
    assert letters(shop) == {}


def test_a_dry_run_sends_nothing_and_says_what_would_happen(shop: Project) -> None:
    file = written(shop.folder / "shop.jsonl", [*rows(20), {"title": "no id"}])
    shop.wire.clear()
    done = shop.run("ingest", str(file), "--dry-run", "--json", code=3)
    assert done.json["indexed"] == 20
    assert done.json["codes"] == {"BadLine": 1}
    assert shop.wire.requests == []


def test_pictures_are_embedded_and_broken_ones_get_a_letter(make_project: MakeProject) -> None:
    project = make_project(FULL)
    project.apply()
    (project.folder / "good.jpg").write_bytes(picture(1))
    (project.folder / "cut.jpg").write_bytes(picture(2)[:200])
    file = written(
        project.folder / "shop.jsonl",
        [
            {"id": "good", "title": "teapot", "image": "good.jpg"},
            {"id": "cut", "title": "mug", "image": "cut.jpg"},
            {"id": "away", "title": "lamp", "image": "nowhere.jpg"},
            {"id": "address", "title": "chair", "image": "https://shop.example/a.jpg"},
        ],
    )
    project.run("ingest", str(file), code=3)
    assert stored(project).keys() == {"good"}
    assert {key: found["code"] for key, found in letters(project).items()} == {
        "cut": "TruncatedPicture",
        "away": "Unreadable",
        "address": "BadLine",
    }


@dataclass
class Busy(ToyEncoder):
    """As quick as a model on one core: a call costs something, and each picture in it."""

    def encode(self, samples: Sequence[Sample], dimension: int) -> NDArray[np.float32]:
        if any(sample.image is not None for sample in samples):
            time.sleep(0.02 + 0.01 * len(samples))
        return super().encode(samples, dimension)


def test_pictures_which_opensearch_asks_for_one_by_one_meet_in_batches_at_a_busy_model(
    make_project: MakeProject, serve_models: ServeModels
) -> None:
    pictures = Busy(default_dimension=512)
    project = make_project(FULL, server=serve_models(multimodal=pictures))
    project.apply()
    (project.folder / "good.jpg").write_bytes(picture(1))
    products = [{"id": f"p{number}", "title": f"mug {number}", "image": "good.jpg"} for number in range(600)]
    pictures.calls.clear()
    project.run("ingest", str(written(project.folder / "shop.jsonl", products)))
    assert len(stored(project)) == 600
    calls = [size for size in pictures.calls if size]
    print(f"{len(calls)} calls, {statistics.mean(calls):.1f} samples each")
    assert statistics.mean(calls) >= 8


def test_killed_anywhere_the_next_run_goes_on_and_ends_as_without_kills(shop: Project) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    file = written(shop.folder / "shop.jsonl", [*rows(2000), {"title": "no id"}])
    kills = 0
    while kills < 3:
        process = shop.start("ingest", str(file))
        time.sleep(chance.uniform(1.0, 2.5))
        quicker = process.poll() is not None
        if not quicker:
            slay(process.pid)
        process.communicate()
        if quicker:
            break
        kills += 1
    done = shop.run("ingest", str(file), "--json", code=3)
    assert done.json["indexed"] == 2000, f"seed {seed}, {kills} kills"
    assert done.json["dead_letters"] == 1
    assert stored(shop).keys() == {row["id"] for row in rows(2000)}
    assert len(letters(shop)) == 1
    assert not list((shop.folder / "state").rglob("ingest/*.json")), "the checkpoint outlives the run"


def test_ctrl_c_settles_what_is_under_way_and_the_next_run_goes_on(shop: Project) -> None:
    file = written(shop.folder / "shop.jsonl", rows(3000))
    process = shop.start("ingest", str(file))
    while len(stored(shop)) < 200:
        assert process.poll() is None, "it was quicker than this test"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    before = len(stored(shop))
    assert 200 <= before < 3000
    done = shop.run("ingest", str(file), "--json")
    assert done.json["resumed_after"] > 0
    assert done.json["indexed"] == 3000
    assert len(stored(shop)) == 3000


def test_an_index_that_takes_no_writes_stops_the_run_without_letters(shop: Project) -> None:
    file = written(shop.folder / "shop.jsonl", rows(50))
    blocks = {"index.blocks.read_only_allow_delete": True}
    shop.client.indices.put_settings(index=shop.name, body=blocks)
    done = shop.run("ingest", str(file), code=1)
    assert "takes no writes" in done.err
    assert letters(shop) == {}
    shop.client.indices.put_settings(index=shop.name, body=dict.fromkeys(blocks))
    assert shop.run("ingest", str(file), "--json").json["indexed"] == 50


def test_a_new_index_is_filled_from_the_beginning_whatever_a_stopped_run_left(shop: Project) -> None:
    file = written(shop.folder / "shop.jsonl", rows(2000))
    stopped(shop, file)
    shop.run("destroy", "--yes")
    shop.apply()
    assert shop.run("ingest", str(file), "--json").json["resumed_after"] == 0
    assert len(stored(shop)) == 2000


def test_a_replay_looks_at_all_rows_and_leaves_a_stopped_ingest_its_checkpoint(shop: Project) -> None:
    empty = {"id": "late", "title": ""}
    file = written(shop.folder / "shop.jsonl", [empty, *rows(2000)])
    checkpoint = stopped(shop, file)
    kept = checkpoint.read_bytes()
    assert json.loads(kept)["progress"]["row"] >= 1
    assert letters(shop).keys() == {"late"}
    before = file.stat()
    file.write_bytes(file.read_bytes().replace(b'"title": ""', b'"title":"x"', 1))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size, "it has to be the same catalogue, as far as a checkpoint can see"
    shop.run("deadletters", "replay", str(file))
    assert "late" in stored(shop)
    assert checkpoint.read_bytes() == kept
