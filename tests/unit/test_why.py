"""The parts of a ranked hit's score."""

from typing import Any

import pytest

from neuralshelf.personalisation.blending import blended
from neuralshelf.search import Hit
from neuralshelf.tables import hits_table
from neuralshelf.why import Why, why


def ranked(score: float, search: float, preference: float) -> dict[str, Any]:
    return {"_id": "a", "_score": score, "_source": {"search_score": search, "preference": preference}}


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 0.95])
def test_the_parts_are_those_that_the_ranking_joined(weight: float) -> None:
    scores = [0.8, 0.6, 0.35]
    for hit in blended(["mug", "jug", "mug"], scores, {"mug": 0.7, "jug": 0.3}, weight):
        found = why(ranked(hit.score, scores[hit.place], hit.preference), weight)
        assert found is not None
        assert found.relevance == pytest.approx(max((scores[hit.place] - 0.35) / 0.45, 0.001), abs=1e-6)
        assert (found.search, found.preference, found.weight) == (scores[hit.place], hit.preference, weight)


def test_at_weight_one_relevance_does_not_count_and_is_not_known() -> None:
    assert why(ranked(0.7, 0.4, 0.7), 1.0) == Why(0.4, None, 0.7, 1.0)


def test_relevance_stays_between_0_and_1_when_scores_are_rounded() -> None:
    for score in (0.0, 0.51):
        found = why(ranked(score, 0.4, 0.5), 0.99)
        assert found is not None
        assert found.relevance in (0.0, 1.0)


@pytest.mark.parametrize(
    "source",
    [
        {},
        {"search_score": 0.5},
        {"preference": 0.5},
        {"search_score": "?", "preference": 0.5},
        {"search_score": 0.5, "preference": None},
    ],
)
def test_a_hit_that_was_not_ranked_has_none(source: dict[str, Any]) -> None:
    assert why({"_id": "a", "_score": 0.5, "_source": source}, 0.5) is None


def test_the_table_has_columns_for_them_where_hits_are_ranked() -> None:
    plain = Hit("a", 0.5, {"title": "mug", "price": 3.0})
    assert "relevance" not in hits_table([plain])
    here = Hit("b", 0.6, {"title": "jug"}, why=Why(0.4, 0.7, 0.5, 0.5))
    only = Hit("c", 0.6, {"title": "jar"}, why=Why(0.4, None, 0.61, 1.0))
    head, _, first, second, third = hits_table([here, only, plain]).splitlines()
    assert head.split()[-2:] == ["relevance", "preference"]
    assert first.split()[-4:] == ["70", "%", "50", "%"]
    assert second.split()[-2:] == ["61", "%"]
    assert "%" not in second.rsplit("61", 1)[0]
    assert "%" not in third
