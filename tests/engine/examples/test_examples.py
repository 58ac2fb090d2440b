"""Each example is run as people run it, with the models of the local server, and finds what its file says."""

import csv
import json
from collections import Counter
from typing import Any

import pytest

from tests.engine.examples.conftest import ROOT, Shelf

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clip(shelf: Shelf) -> dict[str, Any]:
    return shelf.example("clip-product-search")


@pytest.fixture(scope="module")
def descriptions(shelf: Shelf) -> dict[str, Any]:
    return shelf.example("description-search")


@pytest.fixture(scope="module")
def titan(shelf: Shelf) -> dict[str, Any]:
    return shelf.example("titan-clusters")


@pytest.fixture(scope="module")
def photo(shelf: Shelf) -> dict[str, Any]:
    return shelf.example("photo-to-product")


def test_they_are_listed(shelf: Shelf) -> None:
    found = json.loads(shelf.run("example", "--json"))["examples"]
    assert sorted(found) == ["clip-product-search", "description-search", "photo-to-product", "titan-clusters"]
    assert "system 2" in shelf.run("example")


def test_an_unknown_one_is_one_line_that_names_the_others(shelf: Shelf) -> None:
    said = shelf.run("example", "nothing", code=2)
    assert said.count("\n") == 1
    assert "choose one of: clip-product-search, " in said


def test_clip_finds_glasses_by_text_and_every_picture_by_itself(shelf: Shelf, clip: dict[str, Any]) -> None:
    assert clip["missed"] == []
    assert (clip["indexed"], clip["dead_letters"]) == (len(shelf.rows), 0)
    assert clip["self_match"]["pictures"] == len(shelf.rows)
    assert clip["self_match"]["lost"] == 0
    assert clip["self_match"]["worst_cosine"] == pytest.approx(1, abs=1e-5)
    assert all(question["hits"] for question in clip["questions"])


def test_descriptions_are_found_by_distance(shelf: Shelf, descriptions: dict[str, Any]) -> None:
    assert descriptions["missed"] == []
    assert [len(question["hits"]) for question in descriptions["questions"]] == [3] * len(descriptions["questions"])


def test_an_index_of_distances_is_provisioned_verified_and_covered_like_any_other(
    shelf: Shelf, descriptions: dict[str, Any]
) -> None:
    name = "description-search"
    shelf.run("plan", "--detailed-exitcode", example=name)
    found = json.loads(shelf.run("verify", "--json", example=name))
    assert "384 numbers, l2" in {check["found"] for check in found["checks"]}
    covered = json.loads(shelf.run("coverage", "--deep", "20", "--json", example=name))
    assert (covered["problems"], covered["documents"]) == (0, len(shelf.rows))


def test_another_space_is_another_index(shelf: Shelf, descriptions: dict[str, Any]) -> None:
    name = "description-search"
    file = shelf.folder / "examples" / name / "neuralshelf.yaml"
    before = file.read_text("utf-8")
    assert ", space: l2" in before
    try:
        file.write_text(before.replace(", space: l2", ""), "utf-8")
        plan = shelf.run("plan", "--json", example=name)
        assert "l2" in plan
        assert "index.version" in plan
        failed = [c for c in json.loads(_failed(shelf, name))["checks"] if c["ok"] is False]
        assert any("compares by l2 instead of cosinesimil" in check["found"] for check in failed)
    finally:
        file.write_text(before, "utf-8")


def _failed(shelf: Shelf, name: str) -> str:
    """What verify prints when it fails."""
    try:
        return shelf.run("verify", "--json", example=name)
    except AssertionError as fault:
        return str(fault).split("\n")[1]


def test_titan_finds_by_text_picture_and_both_and_numbers_every_product(shelf: Shelf, titan: dict[str, Any]) -> None:
    assert titan["missed"] == []
    found = titan["clusters"]
    assert (found["documents"], found["written"], found["chosen"]) == (len(shelf.rows), len(shelf.rows), "measured")
    assert found["without"] == {"documents": 0, "empty": 0, "examples": []}
    assert sum(group["documents"] for group in found["groups"]) == len(shelf.rows)
    measured = {quality["k"]: quality["silhouette"] for quality in found["measured"]}
    assert found["k"] == max(measured, key=lambda k: measured[k])


def test_numbers_are_in_the_documents_and_leave_the_vectors_alone(shelf: Shelf, titan: dict[str, Any]) -> None:
    name = "titan-clusters"
    hits = json.loads(shelf.run("search", "--size", "100", "--json", "--", "a", example=name))["hits"]
    sizes = Counter(hit["cluster"] for hit in hits)
    assert sizes == {group["id"]: group["documents"] for group in titan["clusters"]["groups"]}
    covered = json.loads(shelf.run("coverage", "--json", example=name))
    assert covered["problems"] == 0


def test_a_second_run_writes_nothing_and_moves_hardly_anything(shelf: Shelf, titan: dict[str, Any]) -> None:
    again = json.loads(shelf.run("cluster", "apply", "--json", example="titan-clusters"))
    assert again["written"] == 0
    assert again["groups"] == titan["clusters"]["groups"]
    moved = json.loads(shelf.run("cluster", "--dry-run", "--json", example="titan-clusters"))
    assert moved["k"] == again["k"]
    assert moved["kept"] > 0.98


def test_the_page_of_clusters_shows_the_pictures_of_products(shelf: Shelf, titan: dict[str, Any]) -> None:
    page, name = shelf.folder / "clusters.html", "titan-clusters"
    shelf.run("cluster", "apply", "--html", str(page), example=name)
    html = page.read_text("utf-8")
    shown = sum(len(group["nearest"]) + len(group["random"]) for group in titan["clusters"]["groups"])
    assert html.count("data:image/jpeg;base64,") == shown
    assert html.count("<article") == len(titan["clusters"]["groups"])
    elsewhere = ("cluster", "apply", "--html", str(page), "--images", str(shelf.folder / "samples" / "images"))
    shelf.run(*elsewhere, example=name)
    assert page.read_text("utf-8") == html
    shelf.run(*elsewhere[:-1], str(shelf.folder / "examples"), example=name)
    assert "none of these could be found" in page.read_text("utf-8")
    assert "can't be written" in shelf.run("cluster", "apply", "--html", "/proc/x/y.html", example=name, code=1)


def test_a_dry_run_writes_neither_numbers_nor_clusters(shelf: Shelf, titan: dict[str, Any]) -> None:
    tried = json.loads(shelf.run("cluster", "--k", "3", "--dry-run", "--json", example="titan-clusters"))
    assert tried["written"] > 0
    again = json.loads(shelf.run("cluster", "apply", "--json", example="titan-clusters"))
    assert (again["k"], again["written"]) == (titan["clusters"]["k"], 0)
    assert "would get a new cluster" in shelf.run("cluster", "--k", "3", "--dry-run", example="titan-clusters")


def test_what_people_did_is_kept_by_cluster_and_orders_their_hits(
    shelf: Shelf, titan: dict[str, Any], client: Any
) -> None:
    name = "titan-clusters"
    shelf.run("apply", example=name)
    log = ROOT / "samples" / "interactions.jsonl"
    known = {row["id"] for row in shelf.rows}
    items = [json.loads(line)["item"] for line in log.read_text("utf-8").splitlines()]
    kept = shelf.folder / "kept.csv"
    said = shelf.run("interactions", "--import", str(log), "--export", str(kept), "--json", example=name)
    told = json.loads(said.splitlines()[0])
    assert (told["rows"], told["unknown"]) == (len(items), sum(item not in known for item in items))
    ids = {group["id"] for group in titan["clusters"]["groups"]}
    with kept.open(encoding="utf-8", newline="") as file:
        assert {row["ITEM_ID"] for row in csv.DictReader(file)} <= ids

    def page(**who: str) -> list[str]:
        body = {"id": "titan-product-search", "params": {"text": "something red", "size": 5, **who}}
        answer = client.transport.perform_request("POST", "/titan-products/_search/template", body=body)
        return [hit["_id"] for hit in answer["hits"]["hits"]]

    pages = [page(), *(page(user=person) for person in ("gardener", "musician", "host"))]
    assert len({tuple(found) for found in pages}) == 4
    again = shelf.run("interactions", "--import", str(log), "--forget", "host", "--yes", "--json", example=name)
    assert json.loads(again.splitlines()[0])["added"] == 0
    assert page(user="host") == page()


def test_a_model_s_own_message_is_what_a_refused_search_says(shelf: Shelf, titan: dict[str, Any]) -> None:
    said = shelf.run("search", "--", "glass " * 2000, example="titan-clusters", code=1)
    assert said.count("\n") == 1
    assert "token" in said


def test_a_photo_finds_five_different_products(shelf: Shelf, photo: dict[str, Any]) -> None:
    assert photo["missed"] == []
    assert photo["indexed"] == len(shelf.rows) + photo["views"]["asked"]  # two views a product: one indexed, one asked
    assert photo["views"]["rank_5"]["share"] >= photo["views"]["rank_1"]["share"]
    hits = photo["questions"][0]["hits"]
    assert len({hit["sku"] for hit in hits}) == 5


@pytest.mark.parametrize("text", ["teapot", "blue chair"])
def test_a_product_is_listed_once_unless_all_views_are_asked_for(
    shelf: Shelf, photo: dict[str, Any], client: Any, text: str
) -> None:
    for template in ("photo-search", "photo-keyword-search"):
        listed = {}
        for every in (True, False):
            body = {"id": template, "params": {"text": text, "size": 40, "all_views": every}}
            answer = client.transport.perform_request("POST", "/photo-products/_search/template", body=body)
            listed[every] = [hit["_source"]["sku"] for hit in answer["hits"]["hits"]]
        assert len(set(listed[True])) < len(listed[True])
        assert len(set(listed[False])) == len(listed[False])
        assert listed[False][0] == listed[True][0]
