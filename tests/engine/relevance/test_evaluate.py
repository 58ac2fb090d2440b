"""`evaluate` from the command line, on a real engine with the real models: products of several pictures, asked by text,
picture, both and crop."""

import base64
import json
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytrec_eval
from opensearchpy import OpenSearch
from PIL import Image

from neuralshelf.cli import main
from neuralshelf.engine import Engine
from neuralshelf.model_packages.lite import LiteEncoder
from neuralshelf.model_packages.minilm import MiniLmEncoder
from neuralshelf.relevance.judgements import read_qrels
from neuralshelf.relevance.run import read_run
from neuralshelf.settings import Folders
from tests.engine.fixtures import ServeModels
from tests.engine.provision.conftest import project_in_a_folder, settings_put_away
from tests.engine.provision.deployment import ENVIRONMENT, Project
from tests.engine.provision.wire import wire_to

ROOT = Path(__file__).resolve().parents[3]
KINDS = ("teapot", "wine glass")
OF_EACH = 6
CONFIG: Mapping[str, Any] = {
    "connectors": {
        "text": {"kind": "sagemaker-text", "endpoint": "neuralshelf-minilm", "dimension": 384},
        "picture": {"kind": "sagemaker-clip", "endpoint": "neuralshelf-clip", "dimension": 512},
    },
    "index": {
        "fields": {
            "title": "text",
            "description": "text",
            "brand": "keyword",
            "kind": "keyword",
            "colour": "keyword",
            "material": "keyword",
            "price": "float",
            "image_path": "keyword",
            "product": "keyword",
        },
        "vectors": {
            "text_vector": {"connector": "text", "text": ["title", "description"]},
            "image_vector": {"connector": "picture", "image": "image"},
        },
        "product": "product",
    },
    "search": {
        "keyword": ["title^3", "description"],
        "weights": {"keyword": 0.3, "text_vector": 0.3, "image_vector": 0.4},
        "filters": ["kind", "colour", "price"],
    },
}


@pytest.fixture(scope="module")
def shop(client: OpenSearch, engine: Engine, serve_models: ServeModels) -> Iterator[Project]:
    """Teapots and wine glasses, each product with up to three pictures; queries and judgements beside them."""
    models = serve_models(LiteEncoder.load(Folders.default(ROOT).cache), MiniLmEncoder.load())
    with (
        settings_put_away(client),
        wire_to(engine.url) as wire,
        project_in_a_folder(client, wire, models, CONFIG) as project,
    ):
        _write(project.folder)
        project.run("apply")
        project.run("ingest", str(project.folder / "catalogue.jsonl"))
        yield project


def _rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (ROOT / "samples" / name).read_text("utf-8").splitlines()]


def _write(folder: Path) -> None:
    every = _rows("catalogue.jsonl")
    rows = [row for kind in KINDS for row in [row for row in every if row["kind"] == kind][:OF_EACH]]
    views = _rows("views.jsonl")
    for row in rows:
        row["images"] = [row.pop("image"), *(view["image"] for view in views if view["id"] == row["id"])]
        for image in row["images"]:
            (folder / image).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / "samples" / image, folder / image)
    _lines(folder / "catalogue.jsonl", rows)
    _lines(folder / "pictures.jsonl", [row | {"image": row["images"][0]} for row in rows])
    left, right = (Image.open(ROOT / "samples" / "images" / f"{name}.jpg") for name in ("teapot-03", "wine-glass-03"))
    scene = Image.new("RGB", (left.width + right.width, left.height))
    scene.paste(left, (0, 0))
    scene.paste(right, (left.width, 0))
    scene.save(folder / "scene.jpg", quality=95)
    queries: list[dict[str, Any]] = [
        {"id": "glass", "text": "wine glass"},
        {"id": "red", "text": "teapot", "filters": {"colour": ["red"]}},
        {"id": "view", "image": "images/teapot-04-c.jpg"},
        {"id": "both", "image": "images/wine-glass-03.jpg", "text": "wine glass"},
        {"id": "left", "image": "scene.jpg", "box": [0.25, 0.5, 0.5, 1]},
        {"id": "right", "image": "scene.jpg", "box": [0.75, 0.5, 0.5, 1]},
        {"id": "unjudged", "text": "something else"},
    ]
    _lines(folder / "queries.jsonl", queries)
    of_kind = {kind: [row["id"] for row in rows if row["kind"] == kind] for kind in KINDS}
    judged = [("glass", item, 2) for item in of_kind["wine glass"]]
    judged += [("red", row["id"], 1) for row in rows if row["kind"] == "teapot" and row["colour"] == "red"]
    judged += [("view", "teapot-04", 3), ("both", "wine-glass-03", 3), ("left", "teapot-03", 3)]
    judged += [("right", "wine-glass-03", 3), ("right", "sold-out", 1), ("elsewhere", "teapot-03", 1)]
    text = "".join(f"{query} 0 {item} {grade}\n" for query, item, grade in judged)
    (folder / "qrels.txt").write_text(text, encoding="utf-8")


def _lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def evaluate(shop: Project, *words: str, **options: Any) -> Any:
    queries = [] if "--queries" in words else ["--queries", str(shop.folder / "queries.jsonl")]
    judged = [] if "--clicks" in words else ["--qrels", str(shop.folder / "qrels.txt")]
    return shop.run("evaluate", *queries, *judged, *words, **options)


@pytest.fixture(scope="module")
def measured(shop: Project) -> Any:
    """What the configured search is worth; its run is in before.trec."""
    return evaluate(shop, "--save", str(shop.folder / "before.trec"), "--json").json


def test_all_kinds_are_asked_and_products_are_judged_each_once(shop: Project, measured: Any) -> None:
    queries = {kind: found["queries"] for kind, found in measured["measures"]["RR"].items()}
    assert queries == {"all": 6, "text": 2, "picture": 1, "text+picture": 1, "crop": 2}
    run = read_run(shop.folder / "before.trec")
    for answers in run.values():
        ids = [answer.id for answer in answers]
        assert len(set(ids)) == len(ids) >= 2
        assert not [identity for identity in ids if "/" in identity]
    # the third picture of a product, and pictures cut out of a scene, find their product first
    assert [measured["per_query"]["Success@1"][query] for query in ("view", "left", "right")] == [1.0, 1.0, 1.0]
    assert measured["findings"]["unjudged"] == ["unjudged"]
    assert measured["findings"]["unasked"] == ["elsewhere"]
    assert measured["findings"]["unknown"] == ["sold-out"]


def test_the_values_are_those_of_trec_eval_on_the_saved_run(shop: Project, measured: Any) -> None:
    qrels = {query: grades for query, grades in read_qrels(shop.folder / "qrels.txt").items() if query != "elsewhere"}
    run = {
        query: {answer.id: -float(rank) for rank, answer in enumerate(answers)}
        for query, answers in read_run(shop.folder / "before.trec").items()
        if query in qrels
    }
    oracle = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10", "map", "recall.10"}).evaluate(run)
    for ours, theirs in {"nDCG@10": "ndcg_cut_10", "AP": "map", "R@10": "recall_10"}.items():
        values = {query: found[theirs] for query, found in oracle.items()}
        assert measured["per_query"][ours] == pytest.approx(values)
        assert measured["measures"][ours]["all"]["mean"] == pytest.approx(sum(values.values()) / len(values))


def test_answers_are_those_of_a_plain_search_with_these_weights(shop: Project, client: OpenSearch) -> None:
    weights = {"keyword": 0.1, "text_vector": 0.1, "image_vector": 0.8}
    given = ",".join(f"{leg}={weight}" for leg, weight in weights.items())
    evaluate(shop, "--weights", given, "--depth", "7", "--save", str(shop.folder / "other.trec"))
    picture = base64.b64encode((shop.folder / "images" / "wine-glass-03.jpg").read_bytes()).decode("ascii")
    params = {"text": "wine glass", "image": picture, "weights": weights, "size": 7}
    body = {"id": f"{shop.name}-search", "params": params}
    answer = client.transport.perform_request("POST", f"/{shop.name}/_search/template", body=body)
    expected = [(hit["_source"]["product"], hit["_score"]) for hit in answer["hits"]["hits"]]
    found = [(each.id, each.score) for each in read_run(shop.folder / "other.trec")["both"]]
    assert len(found) == 7
    assert dict(found) == pytest.approx(dict(expected), abs=1e-6)
    assert [score for _, score in found] == sorted((score for _, score in expected), reverse=True)


def test_a_saved_run_is_measured_without_asking_anything(shop: Project, measured: Any) -> None:
    shop.wire.clear()
    again = evaluate(shop, "--saved", str(shop.folder / "before.trec"), "--json").json
    assert again["per_query"] == measured["per_query"]
    assert again["measures"] == measured["measures"]
    assert shop.wire.requests == []


def test_two_systems_are_compared_and_the_page_shows_their_answers(shop: Project, measured: Any) -> None:
    page = shop.folder / "page.html"
    words = ("--saved", str(shop.folder / "before.trec"), "--against", f"template={shop.name}-keyword-search")
    done = evaluate(shop, *words, "--html", str(page), "--measures", "RR,nDCG@10", "--json").json
    change = done["differences"]["RR"]["all"]
    assert change["wins"] + change["losses"] + change["ties"] == 6
    assert change["change"] == pytest.approx(
        done["measures"]["RR"]["all"]["mean"] - done["against"]["measures"]["RR"]["all"]["mean"]
    )
    assert done["differences"]["RR"]["crop"]["change"] > 0
    html = page.read_text(encoding="utf-8")
    assert "Biggest wins" in html
    assert html.count("data:image/jpeg;base64,") >= 5
    assert "teapot" in html


def test_a_click_log_judges_by_the_texts_of_queries(shop: Project) -> None:
    events = [
        {"query": "Wine  Glass", "item": item, "event": "click", "session": session}
        for session in "abc"
        for item in ("wine-glass-00", "wine-glass-03")
    ]
    _lines(shop.folder / "clicks.jsonl", events)
    clicks = str(shop.folder / "clicks.jsonl")
    words = ("--clicks", clicks, "--saved", str(shop.folder / "before.trec"), "--measures", "R@10")
    found = evaluate(shop, *words, "--json").json
    assert list(found["per_query"]["R@10"]) == ["glass"]
    assert found["clicks"] == {"model": "counts", "events": 6, "unsupported": 0, "ignored": {}}


def test_ctrl_c_leaves_no_index_behind_even_when_a_bulk_comes_after_it(shop: Project, client: OpenSearch) -> None:
    def interrupt(pid: int) -> None:
        os.kill(pid, signal.SIGINT)
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    # writes are: the index, then its first bulk, which is held back till the index is gone
    words = ("--catalogue", str(shop.folder / "pictures.jsonl"))
    done = shop.kill(2, "before", "evaluate", *words, writes=True, end=interrupt)
    assert (done.code, done.err.count("\n")) == (130, 1)
    bulk = next(request for request in shop.wire.requests if "/_bulk" in request.path)
    headers = {"content-type": "application/x-ndjson"}
    late = client.transport.perform_request("POST", bulk.path, body=bulk.body.decode(), headers=headers)
    assert all(item["index"]["status"] == 404 for item in late["items"])
    assert not client.indices.get(index="neuralshelf-evaluate-*")


def complaint(shop: Project, capsys: pytest.CaptureFixture[str], *words: str, code: int) -> str:
    """What the verb says, in this process; one line, whatever is wrong."""
    where = ["--config", str(shop.file), "-e", ENVIRONMENT]
    judged = ["--qrels", str(shop.folder / "qrels.txt")]
    capsys.readouterr()
    assert main(["evaluate", *where, *judged, *words]) == code
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


@pytest.mark.parametrize(
    ("query", "cause"),
    [
        ({"id": "bad", "image": "away.jpg"}, "query bad: picture"),
        ({"id": "bad", "image": "queries.jsonl"}, "query bad: picture"),
        ({"id": "bad", "image": "queries.jsonl", "box": [0.5, 0.5, 1, 1]}, "query bad: picture"),
        ({"id": "bad", "text": "x", "filters": {"colur": "red"}}, "query bad: there is no filter colur"),
        ({"id": "bad", "text": "x", "filters": {"price_max": "cheap"}}, "query bad: refused by the cluster (400)"),
    ],
)
def test_a_query_that_can_not_be_asked_is_named(
    shop: Project, capsys: pytest.CaptureFixture[str], query: dict[str, Any], cause: str
) -> None:
    path = shop.folder / "bad.jsonl"
    _lines(path, [{"id": "glass", "text": "glass"}, query])
    assert cause in complaint(shop, capsys, "--queries", str(path), code=1)


@pytest.mark.parametrize(
    ("words", "code", "cause"),
    [
        (("--template", "nothing-search"), 1, "the stored search template is not there"),
        (("--weights", "keyword=1"), 2, "--weights name keyword"),
        (("--weights", "keyword=0.5,text_vector=0.4,image_vector=0.4"), 2, "weights sum to 1.3"),
        (("--weights", "keyword=much"), 2, "weight 'keyword=much' has no number"),
        (("--params", '{"colur": 1}'), 2, "has no parameter colur"),
        (("--params", "[1]"), 2, "are no JSON object"),
        (("--params", "{"), 2, "params '{'"),
        (("--measures", "best@10"), 2, "measure 'best@10'"),
        (("--against", "colour=red"), 2, "--against 'colour=red'"),
        (("--against", "environment=moon"), 2, "no environment 'moon'"),
        (("--depth", "0"), 2, "--depth 0 is out of range"),
    ],
)
def test_what_is_asked_for_wrongly_is_one_line(
    shop: Project, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, cause: str
) -> None:
    assert cause in complaint(shop, capsys, "--queries", str(shop.folder / "queries.jsonl"), *words, code=code)
