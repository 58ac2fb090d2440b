"""Dead letters replayed: after the models are mended, from a mended catalogue, and never over something newer."""

import base64
import io
import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

import pytest
from opensearchpy import OpenSearch
from starlette.types import ASGIApp

from neuralshelf.bulk import index_all
from neuralshelf.cli import main
from neuralshelf.engine import Engine
from neuralshelf.errors import EngineError, ServerError
from neuralshelf.ingestion.letters.deadletters import DeadLetters, Letter
from neuralshelf.ingestion.letters.letter import Fence
from neuralshelf.ingestion.letters.replay import ReplayReport, replay_stored
from tests.engine.fixtures import ServeModels, empty
from tests.engine.ingestion.catalogues import picture, written
from tests.engine.provision.conftest import project_in_a_folder
from tests.engine.provision.deployment import ENVIRONMENT, FULL, Finished, Project
from tests.engine.provision.wire import wire_to
from tests.faults.faulty import Call, FaultyServer, refused

POISON = "poisoned"


async def repeats(call: Call) -> None:
    """An error that says back all that was sent, as some proxies do."""
    headers = {name.decode(): value.decode() for name, value in call.scope["headers"]}
    said = {"message": f"can't read {call.body.decode()} of {headers}", "request": headers, "body": call.body.decode()}
    await call.answer(400, json.dumps(said).encode(), {"x-amzn-ErrorType": "ValidationException"})


FAULTS = {"refuses": refused(400, {"message": "can't be embedded"}, code="ValidationException"), "repeats": repeats}


@dataclass(frozen=True)
class Shop:
    """An applied deployment, its letters, and its models, which refuse what is asked of them."""

    project: Project
    client: OpenSearch
    models: FaultyServer
    letters: DeadLetters

    @property
    def index(self) -> str:
        return self.project.name

    def stored(self) -> dict[str, Mapping[str, Any]]:
        self.client.indices.refresh(index=self.index)
        hits = self.client.search(index=self.index, body={"size": 1000}, params={"search_pipeline": "_none"})["hits"]
        return {hit["_id"]: hit["_source"] for hit in hits["hits"]}

    def fail(self, documents: Mapping[str, Mapping[str, Any]]) -> None:
        """Send documents, and write letters of those that are refused."""
        failed = [outcome for outcome in index_all(self.client, self.index, documents) if outcome.error is not None]
        assert failed
        self.letters.put(
            Letter(o.id, o.code, o.error or "", o.attempts, "shop.jsonl", 1, documents[o.id]) for o in failed
        )

    def replay(self, **chosen: Any) -> ReplayReport:
        return replay_stored(self.client, self.index, DeadLetters(self.client, self.letters.name, self.index), **chosen)

    def run(self, *words: str, code: int = 0) -> Finished:
        return self.project.run("deadletters", *words, code=code)

    def called(self, *words: str) -> tuple[int, str]:
        """The same in this process; what it said on both streams."""
        where = ["--config", str(self.project.file), "-e", ENVIRONMENT]
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            code = main(["deadletters", *where, *words])
        return code, said.getvalue()


@pytest.fixture(scope="module")
def applied(engine: Engine, client: OpenSearch, serve_models: ServeModels) -> Iterator[Shop]:
    made: list[FaultyServer] = []

    def wrap(app: ASGIApp) -> ASGIApp:
        made.append(FaultyServer(app, FAULTS))
        return made[0]

    server = serve_models(wrap=wrap)
    with wire_to(engine.url) as wire, project_in_a_folder(client, wire, server, FULL) as project:
        with project.provisioner() as provisioner:
            provisioner.apply(provisioner.plan(), show=lambda changed: None)
        yield Shop(project, client, made[0], DeadLetters.of(client, project.deployment()))


@pytest.fixture
def shop(applied: Shop) -> Iterator[Shop]:
    """The deployment, empty and well, with its letters not yet looked at."""
    yield Shop(
        applied.project,
        applied.client,
        applied.models,
        DeadLetters(applied.client, applied.letters.name, applied.index),
    )
    applied.models.heal()
    applied.project.wire.clear()
    applied.letters.drop()
    empty(applied.client, applied.index)


def test_what_a_model_refused_gets_in_when_it_is_mended(shop: Shop) -> None:
    shop.models.poison(POISON, "refuses")
    documents = {f"p{n}": {"title": f"teapot {n}{' ' + POISON if n % 10 == 0 else ''}"} for n in range(30)}
    shop.fail(documents)
    assert sorted(shop.letters.ids()) == ["p0", "p10", "p20"]
    refused_again = shop.replay()
    assert (refused_again.replayed, refused_again.failed, refused_again.remaining) == (0, 3, 3)
    assert min(letter.attempts for letter in shop.letters.find()) > 1
    shop.models.heal()
    done = shop.run("replay", "--json").json
    assert (done["replayed"], done["remaining"], done["superseded"]) == (3, 0, [])
    assert shop.stored().keys() == documents.keys()
    assert all(document["text_vector"] for document in shop.stored().values())
    assert shop.run("list").out.strip() == "no dead letters"


def test_letters_of_one_code_or_one_document_are_replayed_alone(shop: Shop) -> None:
    shop.letters.put(Letter(f"p{n}", "even" if n % 2 == 0 else "odd", "", document={"title": "a"}) for n in range(6))
    assert shop.replay(code="odd").replayed == 3
    assert shop.replay(document_id="p4").replayed == 1
    assert sorted(shop.letters.ids()) == ["p0", "p2"]
    assert shop.stored().keys() == {"p1", "p3", "p4", "p5"}
    assert shop.replay(code="none of these").remaining == 0


def test_a_replay_never_writes_over_anything_newer(shop: Shop) -> None:
    documents = {name: {"title": f"old {name} {POISON}"} for name in ("made", "changed", "deleted", "same", "absent")}
    index_all(shop.client, shop.index, {name: {"title": "first"} for name in ("changed", "deleted", "same")})
    shop.models.poison(POISON, "refuses")
    shop.fail(documents)
    shop.models.heal()
    index_all(shop.client, shop.index, {name: {"title": "newest"} for name in ("made", "changed")})
    shop.client.delete(index=shop.index, id="deleted")
    calls = shop.models.calls
    done = shop.run("replay", "--json").json
    assert (done["replayed"], sorted(done["superseded"]), done["remaining"]) == (2, ["changed", "deleted", "made"], 0)
    titles = {name: document["title"] for name, document in shop.stored().items()}
    assert titles == {
        "made": "newest",
        "changed": "newest",
        "same": documents["same"]["title"],
        "absent": documents["absent"]["title"],
    }
    assert (
        shop.models.calls - calls <= 2 + 8
    )  # the models are asked for known inputs first, none for what is superseded


def test_what_is_written_during_a_replay_stays(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    index_all(shop.client, shop.index, {"held": {"title": "first"}})
    shop.letters.put(Letter(name, "C", "", document={"title": "old"}) for name in ("held", "none"))
    fences = DeadLetters.fences

    def then_written(self: DeadLetters, ids: Any) -> dict[str, Fence]:
        found = fences(self, ids)
        index_all(shop.client, shop.index, {name: {"title": "newest"} for name in ids})
        return found

    monkeypatch.setattr(DeadLetters, "fences", then_written)
    done = shop.replay()
    assert (done.replayed, sorted(done.superseded), done.remaining) == (0, ["held", "none"], 0)
    assert {document["title"] for document in shop.stored().values()} == {"newest"}


def test_what_failed_in_another_index_waits_for_its_catalogue_when_the_new_one_holds_it(shop: Shop) -> None:
    index_all(shop.client, shop.index, {"copied": {"title": "of the migration"}})
    elsewhere = {"index": f"{shop.index}-0"}
    shop.letters.put(
        Letter(name, "C", "", document={"title": "old"}, fence=Fence(**elsewhere, seq_no=0, primary_term=1))
        for name in ("copied", "lost")
    )
    done = shop.replay()
    assert (done.replayed, done.waiting, done.superseded) == (1, 1, ())
    assert list(shop.letters.ids()) == ["copied"]
    assert shop.stored()["copied"]["title"] == "of the migration"


def test_a_dry_run_writes_nothing(shop: Shop) -> None:
    shop.letters.put([Letter("p1", "C", "", document={"title": "a"}), Letter(None, "BadLine", "", source="c", line=1)])
    shop.project.wire.clear()
    calls = shop.models.calls
    done = shop.run("replay", "--dry-run", "--json", code=3).json
    assert (done["replayed"], done["waiting"], done["remaining"]) == (1, 1, 2)
    assert [request.path for request in shop.project.wire.writes if "_refresh" not in request.path] == []
    assert shop.models.calls == calls
    assert shop.stored() == {}


def test_a_mended_catalogue_brings_in_those_rows_alone_that_have_letters(shop: Shop) -> None:
    folder = shop.project.folder
    broken = {"id": "p1", "title": "cut short", "image": "p1.jpg"}
    priced = {"id": "p3", "title": "at a price", "price": "cheap"}
    good = {f"p{n}": {"id": f"p{n}", "title": f"teapot {n}"} for n in (0, 2, 4)}
    (folder / "p1.jpg").write_bytes(picture(1)[:200])
    file = written(folder / "shop.jsonl", [good["p0"], broken, good["p2"], priced, {"title": "no id"}, good["p4"]])
    shop.project.run("ingest", str(file), code=3)
    codes = shop.run("list", "--json").json["codes"]
    assert codes["BadLine"] == 2
    assert sum(codes.values()) == 3
    assert shop.run("replay", "--json", code=3).json["waiting"] == 3
    assert shop.run("replay", str(file), "--json", code=3).json["failed"] == 3
    (folder / "p1.jpg").write_bytes(picture(1))
    rows = [
        good["p0"],
        broken,
        good["p2"],
        {**priced, "price": 3.5},
        {"id": "p5", "title": "has an id now"},
        good["p4"],
    ]
    written(file, rows)
    index_all(shop.client, shop.index, {"p2": {"title": "newer than its row", "price": 7.0}})
    assert shop.run("replay", str(file), "--dry-run", "--json", code=3).json["replayed"] == 3
    done = shop.run("replay", str(file), "--json").json
    assert (done["replayed"], done["failed"], done["remaining"]) == (3, 0, 0)
    stored = shop.stored()
    assert stored.keys() == {f"p{n}" for n in range(6)}
    assert stored["p1"]["image_vector"]
    assert stored["p2"]["price"] == 7.0  # its row had no letter, so it was not sent again


def test_a_letter_names_a_picture_and_nothing_is_read_there(shop: Shop) -> None:
    secret = shop.project.folder / "secret.jpg"
    secret.write_bytes(picture(3))
    named = (str(secret), "http://127.0.0.1:9/a.jpg", "secret.jpg")
    shop.letters.put(Letter(f"p{n}", "C", "", document={"title": "a"}, pictures=(n,)) for n in named)
    done = shop.replay()
    assert (done.replayed, done.waiting) == (0, 3)
    assert shop.stored() == {}


def test_an_index_that_takes_no_writes_or_models_that_are_away_leave_the_letters_as_they_are(shop: Shop) -> None:
    shop.letters.put(Letter(f"p{n}", "C", "its own cause", document={"title": "a"}) for n in range(5))

    def away() -> None:
        raise ServerError("no model answers")

    shop.client.indices.put_settings(index=shop.index, body={"index.blocks.write": True})
    try:
        with pytest.raises(EngineError, match="takes no writes"):
            shop.replay()
    finally:
        shop.client.indices.put_settings(index=shop.index, body={"index.blocks.write": None})
    shop.models.share(1, ["refuses"])
    with pytest.raises(ServerError):
        shop.replay(alive=away)
    assert {(letter.cause, letter.attempts) for letter in shop.letters.find()} == {("its own cause", 0)}
    shop.models.heal()
    assert shop.replay(alive=away).replayed == 5


def test_people_look_at_letters_and_drop_them(shop: Shop) -> None:
    document = {"title": "a teapot", "price": 3.5}
    cause = "p1.jpg: ends too early"
    shop.letters.put([Letter("p1", "TruncatedPicture", cause, 0, "shop.jsonl", 7, document, ("p1.jpg",))])
    shop.letters.put([Letter(None, "BadLine", "no id", 0, "shop.jsonl", 8)])
    table = shop.run("list").out
    assert "TruncatedPicture" in table
    assert "shop.jsonl:8" in table
    assert "2 dead letters: BadLine 1, TruncatedPicture 1" in table
    listed = json.loads(shop.called("list", "--size", "1", "--json")[1])
    assert ([found["id"] for found in listed["letters"]], listed["count"]) == ([None], 2)
    shown = json.loads(shop.called("show", "p1", "--json")[1])
    assert (shown["document"], shown["pictures"], shown["line"]) == (document, ["p1.jpg"], 7)
    assert "no id" in shop.called("show", "shop.jsonl:8")[1]
    for words, code, said in (
        (["show", "p2"], 1, "no dead letter of 'p2'"),
        (["drop", "--all"], 2, "--yes"),
        (["drop", "--id", "p1", "--yes", "--json"], 0, '"dropped": 1'),
        (["drop", "--code", "BadLine", "--yes"], 0, "1 dead letters dropped"),
        (["drop", "--all"], 0, "0 dead letters dropped"),
    ):
        found = shop.called(*words)
        assert found[0] == code
        assert said in found[1]


def test_what_a_model_says_back_is_not_kept(shop: Shop) -> None:
    """Keys and signatures of the request, and the picture: neither in letters nor in what is printed."""
    data = picture(5)
    (shop.project.folder / "p1.jpg").write_bytes(data)
    encoded = base64.b64encode(data).decode()
    pieces = [encoded[at : at + 40] for at in range(0, len(encoded) - 40, 40)]
    shop.models.poison(next(piece for piece in pieces if "/" not in piece), "repeats")
    shop.models.poison(POISON, "repeats")
    rows = [{"id": "p1", "title": "a", "image": "p1.jpg"}, {"id": "p2", "title": POISON}]
    done = shop.project.run("ingest", str(written(shop.project.folder / "shop.jsonl", rows)), "--json", code=3)
    assert done.json["dead_letters"] == 2
    index = shop.letters.name
    with urllib.request.urlopen(f"{shop.project.wire.target}/{index}/_search?size=10") as answer:
        kept = answer.read().decode()
    listed = shop.run("list")
    for text in (kept, listed.out, listed.err, done.out, done.err):
        for secret in (*shop.project.environ.values(), *pieces):
            assert secret not in text
        assert "AWS4-HMAC-SHA256 Credential=AKIA" not in text
