"""Measures over rankings by their standard names (ir-measures, pytrec_eval below): nDCG@10, AP, RR, R@10, Success@1 …

A ranking is taken in the order of its run, best first, not sorted again by score: that order is what people were shown.
trec_eval sorts by score and breaks ties by id, so a run with ties may get other values from it.
Success@k, the share of queries with a relevant answer among the first k, is what re-identification calls CMC rank-k.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from neuralshelf.errors import ConfigError, MissingDependencyError
from neuralshelf.relevance.judgements import Judgements
from neuralshelf.relevance.run import Run, distinct

PerQuery = dict[str, dict[str, float]]
"""Measure -> query id -> value."""
STANDARD = ("nDCG@10", "AP", "RR", "R@10", "Success@1", "Success@5", "Success@10")
"""What is measured when nobody says what."""


class Measurer:
    """Measures runs against the same judgements, again and again."""

    def __init__(self, judgements: Judgements, measures: Sequence[str] = STANDARD) -> None:
        """
        Args:
            judgements: a grade of 1 or more is relevant; of nDCG the grade is the gain.
            measures: names as ir-measures knows them (ir-measur.es).

        Raises:
            MissingDependencyError: the extra `relevance` is not there.
            ConfigError: no such measure.
        """
        library = _library()
        parsed = [_parsed(library, name) for name in measures]
        self._names = dict(zip(measures, map(str, parsed), strict=True))
        self._judgements = judgements
        self._evaluator = library.evaluator(parsed, {query: dict(grades) for query, grades in judgements.items()})

    def per_query(self, run: Run) -> PerQuery:
        """Value of each measure for each judged query; one that the run has no answer to gets 0.

        Queries without judgements are left out: nothing is known about them. A document that is there twice counts
        where it is first.
        """
        found: PerQuery = {name: dict.fromkeys(self._judgements, 0.0) for name in self._names.values()}
        ranked = {
            query: {answer.id: -float(rank) for rank, answer in enumerate(distinct(run[query]))}
            for query in self._judgements
            if run.get(query)
        }
        for metric in self._evaluator.iter_calc(ranked) if ranked else ():
            found[str(metric.measure)][metric.query_id] = float(metric.value)
        return {given: found[name] for given, name in self._names.items()}


def per_query(run: Run, judgements: Judgements, measures: Sequence[str] = STANDARD) -> PerQuery:
    """Measure one run; see `Measurer`."""
    return Measurer(judgements, measures).per_query(run)


def mean(values: Mapping[str, float]) -> float:
    """Of the values of all queries; NaN without one."""
    return sum(values.values()) / len(values) if values else float("nan")


def accuracy(scores: Mapping[str, Mapping[str, float]], truth: Mapping[str, str]) -> float:
    """Share of documents whose best-scoring query is their class.

    Args:
        scores: class -> document id -> score.
        truth: document id -> class.
    """
    best = {item: max(scores, key=lambda name: scores[name].get(item, float("-inf"))) for item in truth}
    return sum(best[item] == name for item, name in truth.items()) / len(truth)


def _library() -> Any:
    try:
        import ir_measures
    except ImportError as fault:
        raise MissingDependencyError(
            f"measuring needs {fault.name}, which is not installed", hint="pip install 'neuralshelf[relevance]'"
        ) from None
    return ir_measures


def _parsed(library: Any, name: str) -> Any:
    try:
        measure = library.parse_measure(name)
        library.evaluator([measure], {"query": {"document": 1}})
        if measure.params.get("cutoff", 1) < 1:
            raise ValueError("the cutoff must be 1 or more")
    except (NameError, ValueError, TypeError, KeyError, RuntimeError, AssertionError) as fault:
        raise ConfigError(
            f"measure {name!r}: {fault}", hint=f"such as {', '.join(STANDARD)}; all names are at ir-measur.es"
        ) from None
    return measure
