"""Evaluations and comparisons: by kind, with all that is peculiar counted and nothing dropped in silence."""

import json
import math
from pathlib import Path

import pytest

from neuralshelf.errors import InputError
from neuralshelf.local.evaluation import by_text
from neuralshelf.relevance.clicks import read_clicks
from neuralshelf.relevance.evaluation import FINDINGS, Findings, compare, evaluate, kinds
from neuralshelf.relevance.queries import Query
from neuralshelf.relevance.run import Answer
from neuralshelf.relevance_tables import evaluation_text

QUERIES = {
    "t1": Query("t1", "teapot"),
    "t2": Query("t2", "mug"),
    "p1": Query("p1", image=Path("p1.jpg")),
    "c1": Query("c1", image=Path("c1.jpg"), box=(0.5, 0.5, 0.2, 0.2)),
    "new": Query("new", "nobody has judged this"),
}
JUDGED = {"t1": {"a": 3}, "t2": {"b": 1, "gone": 1}, "p1": {"a": 1}, "c1": {"z": 0}, "old": {"a": 1}}
RUN = {
    "t1": [Answer("a", 0.9), Answer("b", 0.9)],
    "t2": [Answer("c", math.nan), Answer("b", math.nan)],
    "p1": [],
    "c1": [Answer("z", 0.4), Answer("y", 0.3), Answer("z", 0.2)],
    "new": [Answer("a", 1.0)],
}


def test_means_are_over_judged_queries_in_all_and_by_kind() -> None:
    found = evaluate("shop", RUN, QUERIES, JUDGED, ["RR", "nDCG@10"])
    assert found.per_query["RR"] == {"t1": 1.0, "t2": 0.5, "p1": 0.0, "c1": 0.0}
    assert {kind: (one.mean, one.queries) for kind, one in found.measures["RR"].items()} == {
        "all": (0.375, 4),
        "text": (0.75, 2),
        "picture": (0.0, 1),
        "crop": (0.0, 1),
    }
    assert found.measures["RR"]["all"].low <= 0.375 <= found.measures["RR"]["all"].high


def test_what_is_peculiar_is_counted_and_told() -> None:
    found = evaluate("shop", RUN, QUERIES, JUDGED, ["RR"], unknown=["gone"])
    assert found.findings == Findings(
        unjudged=("new",),
        unasked=("old",),
        unanswered=("p1",),
        irrelevant=("c1",),
        repeated=("c1",),
        tied=("t1",),
        scoreless=("t2",),
        unknown=("gone",),
    )
    text = evaluation_text(found, None, None)
    for name, ids in found.findings.as_dict().items():
        assert f"1 {FINDINGS[name]}: {ids[0]}" in text
    json.loads(json.dumps(found.as_dict(), allow_nan=False))


def test_with_one_kind_there_is_no_table_by_kind() -> None:
    assert kinds(QUERIES, ["t1", "t2"]) == {"all": ["t1", "t2"]}


def test_a_comparison_pairs_the_queries() -> None:
    queries = {f"q{number}": Query(f"q{number}", "x") for number in range(12)}
    judged = {query: {"a": 1} for query in queries}
    right, wrong = [Answer("a", 1.0)], [Answer("b", 1.0), Answer("a", 0.5)]
    worse = dict.fromkeys(queries, wrong)
    better = {query: right if query != "q0" else [] for query in queries}
    before, after = (evaluate(name, run, queries, judged, ["RR"]) for name, run in (("w", worse), ("b", better)))
    found = compare(before, after, queries)
    one = found.differences["RR"]["all"]
    assert (one.wins, one.losses, one.ties) == (11, 1, 0)
    assert one.change.mean == pytest.approx((11 * 0.5 - 0.5) / 12)
    assert one.p == pytest.approx(2 * (1 + 12) / 2**12)  # all but at most one query in the same direction
    assert found.changes("RR")[0][1] == 0.5
    assert found.changes("RR")[-1] == ("q0", -0.5)
    text = evaluation_text(after, found, None)
    assert "before: w" in text
    assert "0.500 → 0.917" in text
    assert "11 better, 1 worse, 0 the same" in text
    same = compare(after, after, queries)
    assert not same.differences["RR"]["all"].significant
    assert "no significant difference" in evaluation_text(after, same, None)
    json.loads(json.dumps(found.as_dict(), allow_nan=False))


def test_judgements_of_other_queries_are_refused() -> None:
    with pytest.raises(InputError, match="none of the queries is judged"):
        evaluate("shop", RUN, QUERIES, {"other": {"a": 1}}, ["RR"])


def test_clicks_find_their_query_by_its_text(tmp_path: Path) -> None:
    queries = {
        "t1": Query("t1", "tea pot"),
        "t2": Query("t2", "mug"),
        "t3": Query("t3", "red", filters={"kind": ["x"]}),
    }
    named = by_text(queries)
    assert [named(each) for each in (" TEA  pot", "t2", "unknown", "red")] == ["t1", "t2", "unknown", "red"]
    # three people wrote it in three ways: together they are support enough
    rows = [{"query": each, "item": "a", "event": "cart"} for each in ("Tea pot", "tea  pot", "t1")]
    path = tmp_path / "clicks.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert read_clicks(path, named=named).judgements == {"t1": {"a": 2}}
