"""The winner as a change of neuralshelf.yaml: these values, and not a character besides."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from neuralshelf.pipelines.spec import SearchSpec
from neuralshelf.relevance.proposal import changed, decimals, diff

BLOCK = """\
# the shop
project: shop   # no other

search:
  template: product-search   # as clients know it
  keyword:
    - title^3   # says most
    - "brand^2"
    - 'colour'
    # words of the maker
    - description
  weights:   # sum to 1
    keyword: 0.3   # words
    text_vector: 0.3
    image_vector: 0.4   # pictures

  # what can be narrowed
  filters: [brand, colour]
other: {search: {weights: {keyword: 0.3}}}
"""
FLOW = """\
search: {keyword: [ "title^3",brand^2 , colour,  description ], filters: [brand], weights: {keyword: 0.3,
    text_vector: 0.3, image_vector: 0.4}, normalization: min_max,   combination: arithmetic_mean}  # all in one
"""
MIXED = Path(__file__).resolve().parents[2].joinpath("neuralshelf.yaml").read_text(encoding="utf-8")


def spec(text: str) -> SearchSpec:
    return SearchSpec.parse(yaml.safe_load(text)["search"], "text")


def with_(before: SearchSpec, **values: Any) -> SearchSpec:
    return SearchSpec.parse({**before.model_dump(), **values}, "values")


def removed_and_added(before: str, after: str) -> tuple[list[str], list[str]]:
    lines = diff(before, after, "neuralshelf.yaml").splitlines()[2:]
    return [line[1:] for line in lines if line[0] == "-"], [line[1:] for line in lines if line[0] == "+"]


def comments(text: str) -> list[str]:
    return [line.partition("#")[2] for line in text.splitlines() if "#" in line]


OWN = {"keyword": 0.05, "text_vector": 0.25, "image_vector": 0.7}
CHANGES: list[dict[str, Any]] = [
    {"weights": {"keyword": 0.25, "text_vector": 0.0, "image_vector": 0.75}},
    {"normalization": "l2", "combination": "geometric_mean"},
    {"combination": "rrf", "rank_constant": 20},
    {"picture_weights": OWN},
    {"picture_weights": OWN, "rank_constant": 20, "combination": "rrf", "weights": OWN},
    {"rank_constant": 100, "weights": {"keyword": 1.0, "text_vector": 0.0, "image_vector": 0.0}},
]


@pytest.mark.parametrize("text", [BLOCK, FLOW, MIXED], ids=["block", "flow", "mixed"])
@pytest.mark.parametrize("values", CHANGES, ids=str)
def test_exactly_what_was_asked_for_changes(text: str, values: dict[str, Any]) -> None:
    before = spec(text)
    after = with_(before, **values)
    made = changed(text, before, after)
    assert spec(made) == after
    rest, kept = yaml.safe_load(made), yaml.safe_load(text)
    assert {key: rest[key] for key in rest if key != "search"} == {key: kept[key] for key in kept if key != "search"}
    assert comments(made) == comments(text)


@pytest.mark.parametrize("text", [BLOCK, FLOW, MIXED], ids=["block", "flow", "mixed"])
@pytest.mark.parametrize("number", [0, 1, 2, 3])
@pytest.mark.parametrize("boost", ["", "^1.5"])
def test_one_keyword_field_gets_another_boost_or_goes(text: str, number: int, boost: str) -> None:
    before = spec(text)
    name = before.keyword[number].split("^")[0]
    new = (f"{name}{boost}",) if boost else ()
    after = with_(before, keyword=(*before.keyword[:number], *new, *before.keyword[number + 1 :]))
    made = changed(text, before, after)
    assert spec(made) == after
    assert set(comments(text)) - set(comments(made)) <= ({" says most"} if not boost else set())


def test_comments_and_blank_lines_stay() -> None:
    before = spec(BLOCK)
    after = with_(before, combination="rrf", weights={"keyword": 0.5, "text_vector": 0.3, "image_vector": 0.2})
    assert removed_and_added(BLOCK, changed(BLOCK, before, after)) == (
        ["    keyword: 0.3   # words", "    image_vector: 0.4   # pictures"],
        ["    keyword: 0.5   # words", "    image_vector: 0.2   # pictures", "  combination: rrf"],
    )


@pytest.mark.parametrize("text", [BLOCK, FLOW, MIXED], ids=["block", "flow", "mixed"])
def test_picture_weights_that_stand_there_are_changed(text: str) -> None:
    before = with_(spec(text), picture_weights=OWN)
    written = changed(text, spec(text), before)
    after = with_(before, picture_weights={"keyword": 0.0, "text_vector": 0.3, "image_vector": 0.7})
    assert spec(changed(written, before, after)) == after
    gone, come = removed_and_added(written, changed(written, before, after))
    assert len(gone) == len(come) == 1
    assert "picture_weights" in come[0]


def test_picture_weights_come_in_a_line_of_their_own() -> None:
    after = with_(spec(BLOCK), picture_weights=OWN)
    line = "  picture_weights: {keyword: 0.05, text_vector: 0.25, image_vector: 0.7}"
    assert removed_and_added(BLOCK, changed(BLOCK, spec(BLOCK), after)) == ([], [line])


def test_nothing_to_change_is_no_diff() -> None:
    assert changed(BLOCK, spec(BLOCK), spec(BLOCK)) == BLOCK
    assert diff(BLOCK, BLOCK, "neuralshelf.yaml") == ""


@pytest.mark.parametrize("weights", [(1 / 3, 1 / 3, 1 / 3), (0.05, 0.9, 0.05), (1.0, 0.0), (1 / 7, 2 / 7, 4 / 7)])
def test_weights_are_decimals_that_sum_to_one(weights: tuple[float, ...]) -> None:
    found = decimals(weights)
    assert sum(round(weight * 1000) for weight in found) == 1000
    assert found == pytest.approx(weights, abs=0.002)
