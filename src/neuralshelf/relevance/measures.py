"""Measures over rankings: recall@k, success@k, accuracy. A ranking is a list of document ids, best first."""

from collections.abc import Mapping, Sequence


def success_at(k: int, rankings: Mapping[str, Sequence[str]], relevant: Mapping[str, frozenset[str]]) -> float:
    """Share of queries with at least one relevant document in the first k; equals recall@k where each query has one."""
    hits = sum(bool(relevant[query].intersection(ranking[:k])) for query, ranking in rankings.items())
    return hits / len(rankings)


def accuracy(scores: Mapping[str, Mapping[str, float]], truth: Mapping[str, str]) -> float:
    """Share of documents whose best-scoring query is their class.

    Args:
        scores: class -> document id -> score.
        truth: document id -> class.
    """
    best = {item: max(scores, key=lambda name: scores[name].get(item, float("-inf"))) for item in truth}
    return sum(best[item] == name for item, name in truth.items()) / len(truth)
