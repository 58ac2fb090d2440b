"""Measures against values by hand and against pytrec_eval, the library of trec_eval itself."""

import builtins
import math
import random
from collections.abc import Mapping
from typing import Any

import pytest
import pytrec_eval

from neuralshelf.errors import ConfigError, MissingDependencyError
from neuralshelf.relevance.measures import STANDARD, Measurer, accuracy, mean, per_query
from neuralshelf.relevance.run import Answer

TREC = {
    "nDCG@10": "ndcg_cut_10",
    "AP": "map",
    "RR": "recip_rank",
    "R@10": "recall_10",
    "Success@1": "success_1",
    "Success@5": "success_5",
    "Success@10": "success_10",
}
"""Our names -> those of trec_eval."""


def ranked(*ids: str) -> list[Answer]:
    return [Answer(identity, 1.0 / rank) for rank, identity in enumerate(ids, 1)]


def test_values_by_hand() -> None:
    found = per_query({"q": ranked("x", "b", "y", "a")}, {"q": {"a": 3, "b": 1, "c": 2}}, (*STANDARD, "P@5"))
    gain = 1 / math.log2(3) + 3 / math.log2(5)
    ideal = 3 + 2 / math.log2(3) + 1 / math.log2(4)
    assert {name: values["q"] for name, values in found.items()} == pytest.approx(
        {
            "nDCG@10": gain / ideal,
            "AP": (1 / 2 + 2 / 4) / 3,
            "RR": 1 / 2,
            "R@10": 2 / 3,
            "Success@1": 0.0,
            "Success@5": 1.0,
            "Success@10": 1.0,
            "P@5": 2 / 5,
        }
    )


@pytest.mark.parametrize("tied", [False, True])
def test_every_value_is_that_of_trec_eval(tied: bool) -> None:
    chance = random.Random(25)  # printed by pytest when it fails: the seed is in the source
    documents = [f"d{number:02}" for number in range(40)]
    qrels, scores = {}, {}
    for query in map(str, range(60)):
        qrels[query] = {each: chance.choice((0, 1, 2, 3)) for each in chance.sample(documents, 8)}
        some = chance.sample(documents, chance.randint(1, 30))
        scores[query] = {each: float(chance.randint(0, 4) if tied else chance.random()) for each in some}
    # trec_eval takes ties by id, the last first; a run of ours says its order itself
    order = {query: sorted(by.items(), key=lambda pair: (pair[1], pair[0]))[::-1] for query, by in scores.items()}
    found = per_query({query: [Answer(*pair) for pair in pairs] for query, pairs in order.items()}, qrels)
    oracle = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut", "map", "recip_rank", "recall", "success"})
    for query, values in oracle.evaluate(scores).items():
        for ours, theirs in TREC.items():
            assert found[ours][query] == pytest.approx(values[theirs], abs=1e-12), (ours, query)


def test_ties_stay_in_the_order_they_were_shown() -> None:
    judged = {"q": {"a": 1}}
    assert per_query({"q": [Answer("a", 1.0), Answer("z", 1.0)]}, judged, ["RR"]) == {"RR": {"q": 1.0}}
    assert per_query({"q": [Answer("z", 1.0), Answer("a", 1.0)]}, judged, ["RR"]) == {"RR": {"q": 0.5}}


def test_no_answer_is_zero_and_no_judgement_is_no_value() -> None:
    run = {"answered": ranked("a"), "empty": [], "unjudged": ranked("a")}
    judged: Mapping[str, Mapping[str, int]] = {"answered": {"a": 1}, "empty": {"a": 1}, "away": {"a": 1}}
    assert per_query(run, judged, ["RR"]) == {"RR": {"answered": 1.0, "empty": 0.0, "away": 0.0}}
    assert per_query({}, judged, ["RR"]) == {"RR": dict.fromkeys(judged, 0.0)}


def test_a_document_twice_counts_once_and_what_is_no_number_counts_by_its_place() -> None:
    judged = {"q": {"a": 1, "b": 1}}
    twice = per_query({"q": [Answer("a", 3.0), Answer("a", 2.0), Answer("b", 1.0)]}, judged)
    assert twice == per_query({"q": ranked("a", "b")}, judged)
    nans = per_query({"q": [Answer("x", math.nan), Answer("a", math.nan), Answer("b", math.nan)]}, judged)
    assert nans == per_query({"q": ranked("x", "a", "b")}, judged)


def test_where_nothing_is_relevant_everything_is_zero() -> None:
    found = per_query({"q": ranked("a", "b")}, {"q": {"a": 0}})
    assert {name: values["q"] for name, values in found.items()} == dict.fromkeys(STANDARD, 0.0)


def test_names_come_back_as_they_were_given() -> None:
    names = ["NDCG@10", "MAP", "nDCG@10", "AP(rel=2)"]
    found = Measurer({"q": {"a": 1}}, names).per_query({"q": ranked("a")})
    assert list(found) == names
    assert found["NDCG@10"] == found["nDCG@10"] == {"q": 1.0}
    assert found["AP(rel=2)"] == {"q": 0.0}


@pytest.mark.parametrize("name", ["", "foo", "nDCG@", "P@0", "R", "nDCG@-1", "R@10 AP", "alpha_nDCG@10", "RBP", "P@x"])
def test_a_measure_that_there_is_none_of_is_told(name: str) -> None:
    with pytest.raises(ConfigError, match="measure ") as fault:
        Measurer({"q": {"a": 1}}, [name])
    assert "nDCG@10" in fault.value.hint


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith(("ir_measures", "scipy", "matplotlib")):
            raise ImportError(f"No module named {name!r}", name=name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match="ir_measures") as fault:
        per_query({}, {"q": {"a": 1}})
    assert "neuralshelf[relevance]" in fault.value.hint


def test_mean_and_accuracy() -> None:
    assert mean({"a": 1.0, "b": 0.0}) == 0.5
    assert math.isnan(mean({}))
    scores = {"shoe": {"1": 0.9, "2": 0.1}, "hat": {"1": 0.5, "2": 0.2, "3": 0.1}}
    assert accuracy(scores, {"1": "shoe", "2": "shoe", "3": "hat"}) == 2 / 3
