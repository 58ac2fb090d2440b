"""`coverage` and `repair` against the real engine: what is wrong is found, and mended without a loss."""

import base64
import json
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch

from neuralshelf.bulk import index_all
from neuralshelf.engine import Engine
from neuralshelf.ingestion.coverage import repair as repairing
from neuralshelf.local.coverage import coverage, repair
from neuralshelf.local.loading import Options
from neuralshelf.local.stack import Stack
from neuralshelf.model_packages.encoder import Sample
from neuralshelf.pipelines.stamps import stamp
from neuralshelf.settings import Folders
from tests.engine.fixtures import ServeModels, empty
from tests.engine.ingestion.catalogues import picture, written
from tests.engine.provision.conftest import project_in_a_folder
from tests.engine.provision.deployment import ENVIRONMENT, FULL, Project
from tests.engine.provision.wire import Moment, wire_to

Json = Any
SET = """for (field in params.entrySet()) {
  if (field.value == null) { ctx._source.remove(field.key) } else { ctx._source[field.key] = field.value }
}"""


class Shop:
    """A deployment with a catalogue of 40 products, every second one pictured, all indexed."""

    def __init__(self, project: Project) -> None:
        project.apply()
        self.project, self.client, self.name = project, project.client, project.name
        self.stack = Stack(project.file, ENVIRONMENT, Folders(cache=project.folder / "c", state=project.folder / "s"))
        (project.folder / "images").mkdir()
        rows = [self.row(number) for number in range(40)]
        self.catalogue = written(project.folder / "shop.jsonl", rows)
        project.run("ingest", str(self.catalogue), "--full-speed")
        self.whole = {row["id"]: self.source(row["id"]) for row in rows}

    def row(self, number: int) -> dict[str, Json]:
        made = {"id": f"p{number}", "title": f"teapot number {number}", "brand": "Acme", "price": 1.5}
        if number % 2:
            made["image"] = f"images/{number}.jpg"
            (self.project.folder / f"images/{number}.jpg").write_bytes(picture(number))
        return made

    def restore(self) -> None:
        """As it was in the beginning."""
        empty(self.client, self.name)
        assert not [outcome for outcome in index_all(self.client, self.name, self.whole) if outcome.error]
        for number in range(40):
            self.row(number)

    def coverage(self, *, catalogue: bool = False, deep: int = 0, ids: Path | None = None) -> Json:
        file = self.catalogue if catalogue else None
        deployment = self.project.deployment()
        return coverage(self.stack, deployment, catalogue=file, options=Options(), deep=deep, ids=ids).as_dict()

    def repair(self, *, catalogue: bool = False, dry_run: bool = False) -> Json:
        file, options = self.catalogue if catalogue else None, Options(dry_run=dry_run)
        return repair(self.stack, self.project.deployment(), catalogue=file, options=options, ids=None).as_dict()

    def source(self, identity: str) -> dict[str, Json]:
        return dict(self.client.get(index=self.name, id=identity)["_source"])

    def past(self, identity: str, **fields: Json) -> None:
        """Change fields without the pipeline; None takes a field away."""
        body = [{"update": {"_id": identity}}, {"script": {"source": SET, "params": fields}}]
        answer = self.client.bulk(index=self.name, body=body)
        assert not answer["errors"], answer

    def assert_right(self, identity: str) -> None:
        """Its vectors are what the models give for what it holds now; its picture is that of its number."""
        source, number = self.source(identity), int(identity[1:])
        text = f"{source['title']} {source['brand']}"
        wanted = self.project.server.text.encode([Sample(text=text)], 384)[0]
        assert np.allclose(source["text_vector"], wanted, atol=1e-6), identity
        assert ("image_vector" in source) is bool(number % 2), identity
        if number % 2:
            data = base64.b64encode(picture(number)).decode()
            assert source["image_vector_from"] == stamp(self.project.deployment().generation, data)
            assert source["image_vector"] == self.whole[identity]["image_vector"]


@pytest.fixture(scope="module")
def filled(client: OpenSearch, engine: Engine, serve_models: ServeModels) -> Iterator[Shop]:
    with wire_to(engine.url) as wire, project_in_a_folder(client, wire, serve_models(), FULL) as project:
        yield Shop(project)


@pytest.fixture
def shop(filled: Shop) -> Iterator[Shop]:
    yield filled
    filled.restore()


def test_what_is_wrong_is_found_by_its_kind_and_mended_and_then_nothing_is_left(shop: Shop) -> None:
    clean = shop.coverage()
    assert clean["documents"] == 40
    assert clean["vectors"]["text_vector"]["counts"] == {"present": 40}
    assert clean["vectors"]["image_vector"]["counts"] == {"present": 20, "without_input": 20}

    shop.past("p0", title="a stale title")
    shop.past("p1", text_vector=None, text_vector_from=None)
    shop.past("p2", text_vector_from=None)
    shop.past("p3", text_vector_from="other-shop-v1 0123")
    shop.past("p4", title="dearer", price=9.0)
    shop.past("p5", image_vector_from=None)
    ids = shop.project.folder / "ids.jsonl"
    found = shop.coverage(ids=ids)
    wrong = found["vectors"]["text_vector"]["examples"]
    assert {what: sorted(some) for what, some in wrong.items()} == {
        "stale": ["p0", "p4"],
        "missing": ["p1"],
        "unstamped": ["p2"],
        "other_generation": ["p3"],
    }
    assert found["vectors"]["image_vector"]["examples"] == {"unstamped": ["p5"]}
    noted = [json.loads(line) for line in ids.read_text("utf-8").splitlines()]
    assert sorted(line["id"] for line in noted) == [f"p{number}" for number in range(6)]
    assert found["problems"] == 6

    shown = shop.repair(dry_run=True)
    assert shown["mended"] == {"text_vector": 5}
    assert shop.coverage()["problems"] == 6
    done = shop.repair()
    assert done["mended"] == {"text_vector": 5}
    assert [(left["id"], left["what"]) for left in done["examples"]] == [("p5", "image_vector: unstamped")]
    assert "repair --catalogue" in done["examples"][0]["next"]
    done = shop.repair(catalogue=True)
    assert done["mended"] == {"image_vector": 1}
    assert shop.coverage(deep=40)["deep"]["counts"] == {"agree": 40}
    for number in range(6):
        shop.assert_right(f"p{number}")
    assert shop.source("p4")["price"] == 9.0  # what a client wrote stays


def test_the_index_is_held_against_the_catalogue_and_brought_to_it(shop: Shop) -> None:
    shop.client.delete(index=shop.name, id="p7")
    shop.client.index(index=shop.name, id="foreign", body={"title": "not of the catalogue"})
    other = base64.b64encode(picture(1000)).decode()
    shop.client.index(index=shop.name, id="p9", body={"title": "teapot number 9", "brand": "Acme", "image": other})
    shop.past("p11", image_vector=None, image_vector_from=None)  # as if it never had a picture
    shop.client.index(index=shop.name, id="p12", body={"title": "teapot number 12", "brand": "Acme", "image": other})
    (shop.project.folder / "images" / "13.jpg").write_bytes(b"no picture")
    found = shop.coverage(catalogue=True)
    examples = {what: sorted(some) for what, some in found["catalogue"]["examples"].items()}
    assert examples == {
        "not_indexed": ["p7"],
        "not_in_catalogue": ["foreign"],
        "other_picture": ["p11", "p12", "p9"],
        "refused": ["p13"],
    }
    assert found["problems"] == 6
    done = shop.repair(catalogue=True)
    assert (done["indexed"], done["mended"]) == (1, {"image_vector": 3})
    assert [(left["id"], left["what"]) for left in done["examples"]] == [("p13", "refused")]
    for number in (7, 9, 11, 12):
        shop.assert_right(f"p{number}")
    left = shop.coverage(catalogue=True)["catalogue"]["counts"]
    assert left == {"same": 39, "refused": 1, "not_in_catalogue": 1}


def test_a_model_exchanged_behind_its_endpoint_is_found_by_embedding_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = shop.project.server.text
    before = encoder._row
    monkeypatch.setattr(encoder, "_row", lambda sample, dimension: -before(sample, dimension))
    assert shop.coverage()["problems"] == 0  # stamps can't tell
    assert shop.coverage(deep=10)["deep"]["counts"] == {"other_model": 10}


def test_a_repair_overwrites_nothing_that_was_written_meanwhile(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10):
        shop.past(f"p{number}", title="stale")
    raced: list[str] = []

    def late(client: Any, name: str, bodies: Mapping[str, Any], conditions: Mapping[str, Any]) -> Any:
        if not raced:
            raced.extend(["p1", "p2", "p3"])
            for identity in ("p1", "p2"):
                shop.client.index(index=shop.name, id=identity, body={"title": "newer", "brand": "Acme"})
            shop.client.delete(index=shop.name, id="p3")
        return index_all(client, name, bodies, conditions)

    monkeypatch.setattr(repairing, "index_all", late)
    done = shop.repair()
    assert (done["mended"], done["left"]) == ({"text_vector": 7}, 0)
    assert [shop.source(identity)["title"] for identity in ("p1", "p2")] == ["newer", "newer"]
    assert not shop.client.exists(index=shop.name, id="p3")


def test_a_text_that_no_model_takes_is_left_with_its_cause(shop: Shop) -> None:
    shop.past("p0", title="stale")
    shop.past("p2", title="stale", text_vector=None, image_vector_from="other-shop-v1 0123", image_vector=[1.0] * 512)
    done = shop.repair()
    assert done["mended"] == {"text_vector": 1}
    assert {left["id"] for left in done["examples"]} == {"p2"}
    assert "image_vector is another index's" in done["examples"][0]["cause"]


def test_the_command_says_what_is_wrong_in_its_exit_code_too(shop: Shop) -> None:
    run, catalogue = shop.project.run, str(shop.catalogue)
    shop.past("p0", title="stale")
    told = run("coverage", code=1).out
    assert "text_vector: 1 stale: p0" in told
    assert "neuralshelf repair" in told
    assert "1 of text_vector" in run("repair", "--catalogue", catalogue, "--dry-run").out
    assert run("repair", "--json").json["mended"] == {"text_vector": 1}
    assert run("coverage", "--catalogue", catalogue, "--deep", "3", "--json").json["problems"] == 0
    for words in (["--pictures", "x"], ["--deep", "-1"]):
        assert run("coverage", *words, code=2).err.count("\n") == 1
    assert "does not exist" in run("coverage", "--catalogue", "no.jsonl", code=1).err


def test_an_index_that_is_not_there_is_one_line(shop: Shop) -> None:
    shop.project.edit("index.version", 7)
    try:
        assert "there is no index" in shop.project.run("coverage", code=1).err
    finally:
        shop.project.edit("index.version", 1)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_repair_that_is_killed_or_interrupted_loses_nothing_and_the_next_one_goes_on(
    shop: Shop, moment: Moment
) -> None:
    for number in range(40):
        shop.past(f"p{number}", title=f"another name {number}")
    shop.client.indices.refresh(index=shop.name)
    assert shop.project.kill(1, moment, "repair", writes=True).code == -signal.SIGKILL
    done = shop.project.kill(1, moment, "repair", writes=True, end=lambda pid: os.kill(pid, signal.SIGINT))
    assert done.code in (0, 130), done.err
    assert "Traceback" not in done.err
    shop.client.indices.refresh(index=shop.name)
    assert shop.coverage()["documents"] == 40
    shop.repair()
    shop.client.indices.refresh(index=shop.name)
    assert shop.coverage()["vectors"]["text_vector"]["counts"] == {"present": 40}
    for number in range(40):
        shop.assert_right(f"p{number}")
        assert shop.source(f"p{number}")["title"] == f"another name {number}"
