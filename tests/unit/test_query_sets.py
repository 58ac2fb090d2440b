"""The query sets that come with the project: complete, judged, and for the sample catalogue what queries.toml gives."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # the samples folder is no part of the installed package
sys.path.insert(0, str(Path(__file__).parents[1] / "relevance_sets"))

import baselines

from neuralshelf.deployment import Deployment
from neuralshelf.local.evaluation import Judged
from neuralshelf.relevance.judgements import read_qrels
from neuralshelf.relevance.queries import Query, read_queries
from samples.assortment import FOLDER as SAMPLES
from samples.queries import files, grade

CATALOGUE = {
    row["id"]: row for row in map(json.loads, (SAMPLES / "catalogue.jsonl").read_text(encoding="utf-8").splitlines())
}
SHOPS = Path(__file__).parents[1] / "relevance_sets"
SHOPS_ITEMS = Path(__file__).parents[3] / "shared" / "data" / "products-mit" / "items.jsonl"
QUERIES = read_queries(SAMPLES / "queries.jsonl")
QRELS = read_qrels(SAMPLES / "qrels.txt")


def test_the_committed_files_are_what_queries_toml_gives() -> None:
    for file, text in files().items():
        assert file.read_text(encoding="utf-8") == text, file.name


def test_there_are_enough_queries_of_every_sort() -> None:
    kinds = Counter(query.kind for query in QUERIES.values())
    assert kinds["text"] >= 120
    assert min(kinds[kind] for kind in ("picture", "text+picture", "crop")) >= 40
    assert min(Counter(name.rpartition("-")[0] for name in QUERIES).values()) >= 10


@pytest.mark.parametrize(
    "file", [SAMPLES / "queries.jsonl", SHOPS / "products-mit.queries.jsonl"], ids=lambda f: f.name
)
def test_no_text_is_asked_twice(file: Path) -> None:
    texts = Counter(query.text.lower() for query in read_queries(file).values() if query.kind == "text")
    assert set(texts.values()) == {1}


def test_every_query_has_a_full_answer_and_every_judgement_a_product() -> None:
    assert list(QRELS) == list(QUERIES)
    for name, grades in QRELS.items():
        assert max(grades.values()) == 3, name
        assert min(grades.values()) >= 1, name
        assert set(grades) <= set(CATALOGUE), name


def test_every_picture_exists_and_every_box_is_inside_it() -> None:
    for query in QUERIES.values():
        if query.image is not None:
            assert query.image.is_file()
            assert query.image.stem not in CATALOGUE, "a picture that is indexed finds itself"
        if query.box is not None:
            x, y, width, height = query.box
            assert width / 2 <= min(x, 1 - x)
            assert height / 2 <= min(y, 1 - y)


@pytest.mark.parametrize(
    ("id", "expected"),
    [("teapot-02", 3), ("teapot-08", 2), ("teapot-00", 2), ("teapot-01", 1), ("pitcher-04", 0), ("toaster-00", 0)],
)
def test_a_grade_falls_with_what_is_missing(id: str, expected: int) -> None:
    """Teapots: -02 red cast iron, -08 red porcelain, -00 white cast iron, -01 blue earthenware; pitcher-04 is red."""
    asked = {"kinds": {"teapot": 3, "pitcher": 1}, "colour": "red", "material": "iron"}
    assert grade(CATALOGUE[id], asked) == expected


def test_without_a_kind_only_what_has_everything_answers() -> None:
    asked = {"brand": "Pewterfold", "colour": "red"}
    assert grade(CATALOGUE["teapot-02"], asked) == 3
    assert grade(CATALOGUE["teapot-00"], asked) == 0


def test_the_shops_set_is_judged_throughout() -> None:
    queries, qrels = read_queries(SHOPS / "products-mit.queries.jsonl"), read_qrels(SHOPS / "products-mit.qrels")
    kinds = Counter(query.kind for query in queries.values())
    assert kinds["text"] >= 120
    assert min(kinds["picture"], kinds["text+picture"]) >= 10
    assert list(qrels) == list(queries)
    assert {grade for grades in qrels.values() for grade in grades.values()} == {1, 2, 3}
    assert all(max(grades.values()) >= 2 for grades in qrels.values())


def test_the_shops_set_knows_no_other_products_and_pictures() -> None:
    if not SHOPS_ITEMS.is_file():
        pytest.skip(f"needs the demo shops' products: {SHOPS_ITEMS} does not exist")
    known = {json.loads(line)["id"] for line in SHOPS_ITEMS.read_text(encoding="utf-8").splitlines()}
    judged = {id for grades in read_qrels(SHOPS / "products-mit.qrels").values() for id in grades}
    assert judged <= known
    for query in read_queries(SHOPS / "products-mit.queries.jsonl").values():
        assert query.image is None or query.image.is_file(), query.id


def test_no_query_of_the_shops_set_is_a_title() -> None:
    """Whoever copies titles measures how well words match themselves."""
    if not SHOPS_ITEMS.is_file():
        pytest.skip(f"needs the demo shops' products: {SHOPS_ITEMS} does not exist")
    titles = {json.loads(line)["title"].lower() for line in SHOPS_ITEMS.read_text(encoding="utf-8").splitlines()}
    assert not titles & {query.text.lower() for query in read_queries(SHOPS / "products-mit.queries.jsonl").values()}


def test_the_shops_configuration_can_be_read() -> None:
    config = Deployment.load(SHOPS / "products-mit.yaml", "local").config
    assert config.search.keyword_fields == ("title", "brand", "description")


def test_words_of_texts_in_titles_are_counted_without_stop_words() -> None:
    texts = {"a": "The red POT", "b": "keeps rain off", "c": "red"}
    queries = {name: Query(name, text) for name, text in texts.items()}
    queries["c"] = Query("c", "red", image=Path("a picture's words are not asked.jpg"))
    judged = Judged(queries, {"a": {"1": 3, "2": 1}, "b": {"2": 2}, "c": {"1": 3}})
    titles = {"1": "Red kettle", "2": "Pot umbrella"}
    assert baselines.overlap(judged, titles) == (1 / 5, 1 / 2)


def test_the_documented_overlap_is_that_of_the_files() -> None:
    shared, alone = baselines.overlap(Judged(QUERIES, QRELS), {id: row["title"] for id, row in CATALOGUE.items()})
    text = (Path(__file__).parents[2] / "docs" / "relevance-sets.md").read_text(encoding="utf-8")
    assert f"title graded 2 or 3 | {shared:.0%} |".replace("%", " %") in text
    assert f"no word with such a title | {alone:.0%} |".replace("%", " %") in text


def test_sorts_are_the_ids_up_to_the_last_hyphen() -> None:
    judged = Judged({"kind-01": Query("kind-01", "pot"), "photo-01": Query("photo-01", image=Path("a.jpg"))}, {})
    found = baselines.by_sort(list(judged.queries), judged)
    assert found == {
        "all": ["kind-01", "photo-01"],
        "with a text": ["kind-01"],
        "kind": ["kind-01"],
        "photo": ["photo-01"],
    }
