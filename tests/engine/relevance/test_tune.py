"""`tune` from the command line, on a real engine with the real models: what it finds, refuses, writes and resumes."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from opensearchpy import OpenSearch

from neuralshelf.cli import main
from neuralshelf.engine import Engine
from neuralshelf.model_packages.lite import LiteEncoder
from neuralshelf.model_packages.minilm import MiniLmEncoder
from neuralshelf.relevance.legs import AT_ONCE
from neuralshelf.settings import Folders
from tests.engine.fixtures import ServeModels
from tests.engine.provision.conftest import project_in_a_folder, settings_put_away
from tests.engine.provision.deployment import Project, slay
from tests.engine.provision.wire import Cut, Request, wire_to

ROOT = Path(__file__).resolve().parents[3]
PHRASES = {
    "teapot": ("something to brew a hot drink in", "brewing vessel with spout and lid"),
    "coffee mug": ("cup for a hot drink", "what I drink my espresso from"),
    "umbrella": ("keeps the rain off me", "rain protection to carry"),
    "rocking chair": ("seat that sways to and fro", "swaying seat for a nursery"),
    "wall clock": ("tells the time", "shows hours and minutes"),
    "sunglasses": ("protect my eyes in summer", "shades"),
    "frying pan": ("to cook eggs in", "skillet"),
    "padlock": ("secure my bicycle shed", "to lock a gate with"),
    "table lamp": ("light for reading in the evening", "bedside light"),
    "piggy bank": ("to save coins in", "gift for a child who saves money"),
    "birdhouse": ("nesting place for garden birds", "home for tits and sparrows"),
    "plant pot": ("to grow flowers in", "for herbs on a window sill"),
}
"""Kind of product -> what people ask for, without its name."""
CONFIG: Mapping[str, Any] = {
    "connectors": {
        "text": {"kind": "sagemaker-text", "endpoint": "neuralshelf-minilm", "dimension": 384},
        "picture": {"kind": "sagemaker-clip", "endpoint": "neuralshelf-clip", "dimension": 512},
    },
    "index": {
        "fields": {"title": "text", "description": "text", "brand": "keyword", "product": "keyword"},
        "vectors": {
            "text_vector": {"connector": "text", "text": ["title", "description"]},
            "image_vector": {"connector": "picture", "image": "image"},
        },
        "product": "product",
    },
    "search": {
        "keyword": ["title^3", "brand", "description"],
        "weights": {"keyword": 0.8, "text_vector": 0.1, "image_vector": 0.1},
        "picture_weights": {"keyword": 0.3, "text_vector": 0.0, "image_vector": 0.7},
    },
}
SHARDS = 2
WISHES = 4
"""Queries by text and picture: too few for weights of their own, so those of the configuration stay."""


@pytest.fixture(scope="module")
def shop(client: OpenSearch, engine: Engine, serve_models: ServeModels) -> Iterator[Project]:
    """Two products of each kind, one with two pictures, on two shards; query sets and judgements beside them."""
    served = serve_models(LiteEncoder.load(Folders.default(ROOT).cache), MiniLmEncoder.load())
    with (
        settings_put_away(client),
        wire_to(engine.url) as wire,
        project_in_a_folder(client, wire, served, CONFIG) as project,
    ):
        project.environment["store"] = {"shards": SHARDS}
        project.write()
        every = _rows("catalogue.jsonl")
        chosen = [row for kind in PHRASES for row in [row for row in every if row["kind"] == kind][:2]]
        views = {view["id"]: view["image"] for view in _rows("views.jsonl")}
        (project.folder / "images").mkdir()
        for row in chosen:
            row["images"] = [row["image"], *([views[row["id"]]] if row["id"] in views else [])]
            for image in row["images"]:
                shutil.copy(ROOT / "samples" / image, project.folder / "images")
        kept = ("id", "title", "description", "brand", "images")
        _lines(project.folder / "catalogue.jsonl", [{key: row[key] for key in kept} for row in chosen])
        of_kind = {kind: [row["id"] for row in chosen if row["kind"] == kind] for kind in PHRASES}
        needs = {
            f"{kind} {number}": (text, of_kind[kind])
            for kind, texts in PHRASES.items()
            for number, text in enumerate(texts)
        }
        shown = {f"{kind} shown": chosen[2 * number]["image"] for number, kind in enumerate(list(PHRASES)[:WISHES])}
        wishes = {
            f"{kind} shown": (f"number {number}", of_kind[kind]) for number, kind in enumerate(list(PHRASES)[:WISHES])
        }
        _set(project, "needs", needs | wishes, shown)
        _set(project, "titles", {row["id"]: (row["title"], [row["id"]]) for row in chosen})
        project.run("apply")
        project.run("ingest", "catalogue.jsonl")
        yield project


def _set(
    project: Project, name: str, asked: Mapping[str, tuple[str, list[str]]], shown: Mapping[str, str] | None = None
) -> None:
    """Query set and judgements of query -> text and right answers, with a query by picture, which tuning leaves out.

    Args:
        shown: query -> the picture that comes along with its text.
    """
    pictures = {query: {"image": image} for query, image in (shown or {}).items()}
    queries = [
        {"id": query.replace(" ", "-"), "text": text, **pictures.get(query, {})} for query, (text, _) in asked.items()
    ]
    picture = next((project.folder / "images").iterdir())
    queries.append({"id": "picture", "image": f"images/{picture.name}"})
    _lines(project.folder / f"{name}.jsonl", queries)
    rows = [f"{query.replace(' ', '-')} 0 {each} 2" for query, (_, right) in asked.items() for each in right]
    (project.folder / f"{name}.qrels").write_text("\n".join(rows), encoding="utf-8")


def _rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (ROOT / "samples" / name).read_text("utf-8").splitlines()]


def _lines(file: Path, rows: list[Any]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def asked(name: str) -> tuple[str, ...]:
    return ("--queries", f"{name}.jsonl", "--qrels", f"{name}.qrels")


def searches(project: Project) -> int:
    """Requests for legs that passed the wire since it was cleared."""
    return sum("/_msearch" in request.path for request in project.wire.requests)


def test_a_kill_while_legs_are_searched_costs_no_answers(shop: Project) -> None:
    shop.wire.clear()
    process = shop.start("tune", *asked("needs"))

    def slay_at_the_fourth(request: Request) -> None:
        if "/_msearch" in request.path and searches(shop) == 4:
            slay(process.pid)
            raise Cut

    shop.wire.before = slay_at_the_fourth
    process.communicate(timeout=300)
    shop.wire.clear()
    out = shop.run("tune", *asked("needs")).out
    assert searches(shop) == (len(PHRASES) * 2 + WISHES) / AT_ONCE - 3
    for part in (
        "keyword alone",
        "image_vector alone",
        "held-out nDCG@10",
        "winner:",
        "--- a/neuralshelf.yaml",
        "plan",
    ):
        assert part in out


def test_the_winner_is_written_and_the_engine_then_gives_what_was_promised(shop: Project) -> None:
    before = shop.file.read_text("utf-8")
    found = shop.run("tune", *asked("needs"), "--write", "--out", "winner.diff", "--json").json
    assert found["accepted"]
    assert found["written"]
    assert found["against"]["keyword"]["p"] < 0.05
    assert found["means"]["tuned"] > found["means"]["keyword"] + 0.1
    assert (found["queries"], found["left_out"]["without text"]) == (24 + WISHES, 1)
    assert found["kinds"]["text+picture"]["queries"] == WISHES
    assert found["groups"] == len(PHRASES)
    assert found["agreement"]["queries"] == found["agreement"]["same"] >= 20
    try:
        search = yaml.safe_load(shop.file.read_text("utf-8"))["search"]
        winner = found["winner"]
        assert list(search["weights"].values()) == pytest.approx(winner["fusion"]["weights"])
        assert tuple(search["keyword"]) == tuple(winner["keyword"])
        assert search["picture_weights"] == CONFIG["search"]["picture_weights"]
        assert (shop.folder / "winner.diff").read_text("utf-8") == found["diff"]
        shop.run("apply")
        after = shop.run("tune", *asked("needs"), "--json", code=(0, 1)).json
        assert after["agreement"]["queries"] == after["agreement"]["same"]
        live = shop.run("evaluate", *asked("needs"), "--measures", "nDCG@10", "--json").json["per_query"]["nDCG@10"]
        live = [value for name, value in live.items() if name != "picture"]
        assert after["means"]["configured"] == pytest.approx(sum(live) / len(live), abs=1e-6)
    finally:
        shop.file.write_text(before, "utf-8")
        shop.run("apply")


def test_what_is_no_better_than_keyword_search_is_refused(shop: Project) -> None:
    before = shop.file.read_text("utf-8")
    done = shop.run("tune", *asked("titles"), "--write", "--out", "no.diff", "--json", code=1)
    assert not done.json["accepted"]
    assert not done.json["written"]
    assert done.json["means"]["keyword"] > 0.95
    assert "not better than keyword search alone" in done.err
    assert shop.file.read_text("utf-8") == before
    assert not (shop.folder / "no.diff").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--measure", "Bpref"), 2, "can't be tuned for"),
        (("--seed", "-1"), 2, "--seed -1 is out of range"),
        (("--queries", "absent.jsonl"), 1, "absent.jsonl"),
        (("--queries", "few.jsonl"), 1, "1 queries with a text and a relevant judgement"),
        (("--queries", "filtered.jsonl"), 1, "there is no filter colour"),
    ],
)
def test_what_cannot_be_tuned_is_told_in_a_line(
    shop: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, str],
    code: int,
    said: str,
) -> None:
    queries = [json.loads(line) for line in (shop.folder / "needs.jsonl").read_text("utf-8").splitlines()]
    _lines(shop.folder / "few.jsonl", queries[:1])
    _lines(shop.folder / "filtered.jsonl", [{**query, "filters": {"colour": "red"}} for query in queries])
    for name, value in shop.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NEURALSHELF_STATE", str(shop.folder / "state"))
    monkeypatch.chdir(shop.folder)
    assert main(shop.command("tune", *asked("needs"), *words)[3:]) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err
    assert len(told.err.strip().splitlines()) == 1
