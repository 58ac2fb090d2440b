"""How good a run is: each measure over all queries and by kind of query, with intervals; or two runs compared."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import eq
from typing import Any

from neuralshelf.errors import InputError
from neuralshelf.relevance.judgements import Judgements
from neuralshelf.relevance.measures import STANDARD, Measurer, PerQuery
from neuralshelf.relevance.queries import Query
from neuralshelf.relevance.run import Run, distinct
from neuralshelf.relevance.statistics import SEED, Difference, Interval, difference, interval

ALL = "all"
FINDINGS = {
    "unjudged": "queries without a judgement, not measured",
    "unasked": "judged queries that are not in the query set",
    "unanswered": "queries without an answer, measured as 0",
    "irrelevant": "queries to which nothing is judged relevant, measured as 0",
    "repeated": "queries answered with a document twice, counted where it is first",
    "tied": "queries with equal scores among their answers, which stay in the order they came",
    "scoreless": "queries with scores that are no numbers, whose answers stay in the order they came",
    "unknown": "judged documents that are in no index",
}
"""What each list of `Findings` holds, for people."""
KINDS = ("text", "picture", "text+picture", "crop")


@dataclass(frozen=True)
class Findings:
    """What is peculiar about a run or its judgements; each a list of query ids, or of document ids where said.

    Attributes:
        unjudged: asked, but nobody has judged an answer: not measured.
        unasked: judged, but not in the query set.
        unanswered: no answer at all; measured, as 0.
        irrelevant: judged, but nothing is relevant, so that no system can be right; measured, as 0.
        repeated: the same document more than once in an answer; counted once, where it is first.
        tied: answers with equal scores next to each other, whose order is the engine's whim.
        scoreless: answers whose score is no number; measured in the order they came.
        unknown: judged documents that are in no index.
    """

    unjudged: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()
    irrelevant: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    tied: tuple[str, ...] = ()
    scoreless: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, list[str]]:
        """Those that there are."""
        return {name: list(ids) for name, ids in vars(self).items() if ids}


@dataclass(frozen=True)
class Evaluation:
    """One run, measured.

    Attributes:
        system: its name, for people.
        measures: measure -> "all" or kind of query -> mean with interval.
        per_query: measure -> query -> value; judged queries of the set only.
    """

    system: str
    run: Run
    measures: Mapping[str, Mapping[str, Interval]]
    per_query: PerQuery
    findings: Findings

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "system": self.system,
            "measures": {
                measure: {kind: found.as_dict() for kind, found in kinds.items()}
                for measure, kinds in self.measures.items()
            },
            "findings": self.findings.as_dict(),
            "per_query": self.per_query,
        }


@dataclass(frozen=True)
class Comparison:
    """A system and the one before it, on the same queries.

    Attributes:
        differences: measure -> "all" or kind of query -> after minus before.
    """

    before: Evaluation
    after: Evaluation
    differences: Mapping[str, Mapping[str, Difference]] = field(default_factory=dict)

    def changes(self, measure: str) -> list[tuple[str, float]]:
        """Query and change of one measure, the biggest win first."""
        before, after = self.before.per_query[measure], self.after.per_query[measure]
        return sorted(((query, after[query] - before[query]) for query in after), key=lambda pair: -pair[1])

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            measure: {kind: found.as_dict() for kind, found in kinds.items()}
            for measure, kinds in self.differences.items()
        }


def evaluate(
    system: str,
    run: Run,
    queries: Mapping[str, Query],
    judgements: Judgements,
    measures: Sequence[str] = STANDARD,
    *,
    unknown: Iterable[str] = (),
    seed: int = SEED,
) -> Evaluation:
    """Measure a run on the judged queries of a set.

    Args:
        unknown: judged ids that are in no index.

    Raises:
        InputError: none of the queries is judged.
        ConfigError: no such measure; MissingDependencyError: the extra `relevance` is not there.
    """
    judged = {query: judgements[query] for query in queries if query in judgements}
    if not judged:
        raise InputError(
            "none of the queries is judged", hint="their ids and those of the judgements have to be the same"
        )
    values = Measurer(judged, measures).per_query(run)
    found = {
        measure: {
            kind: interval([by_query[query] for query in of_kind], seed=seed)
            for kind, of_kind in kinds(queries, judged).items()
        }
        for measure, by_query in values.items()
    }
    return Evaluation(system, run, found, values, _findings(run, queries, judgements, judged, unknown))


def compare(before: Evaluation, after: Evaluation, queries: Mapping[str, Query], *, seed: int = SEED) -> Comparison:
    """Two evaluations of the same queries by the same judgements and measures."""
    differences = {
        measure: {
            kind: difference(
                [before.per_query[measure][query] for query in of_kind],
                [values[query] for query in of_kind],
                seed=seed,
            )
            for kind, of_kind in kinds(queries, values).items()
        }
        for measure, values in after.per_query.items()
    }
    return Comparison(before, after, differences)


def kinds(queries: Mapping[str, Query], judged: Iterable[str]) -> dict[str, list[str]]:
    """ "all" and each kind that there is -> its judged queries. With one kind only, "all" alone."""
    every = list(judged)
    found = {kind: [query for query in every if queries[query].kind == kind] for kind in KINDS}
    several = {kind: those for kind, those in found.items() if those}
    return {ALL: every} | (several if len(several) > 1 else {})


def _findings(
    run: Run, queries: Mapping[str, Query], judgements: Judgements, judged: Judgements, unknown: Iterable[str]
) -> Findings:
    answered = {query: run[query] for query in judged if run.get(query)}
    scores = {query: [answer.score for answer in answers] for query, answers in answered.items()}
    return Findings(
        unjudged=tuple(query for query in queries if query not in judgements),
        unasked=tuple(query for query in judgements if query not in queries),
        unanswered=tuple(query for query in judged if query not in answered),
        irrelevant=tuple(query for query, grades in judged.items() if not any(grade > 0 for grade in grades.values())),
        repeated=tuple(query for query, answers in answered.items() if len(distinct(answers)) < len(answers)),
        tied=tuple(query for query, those in scores.items() if any(map(eq, those, those[1:]))),
        scoreless=tuple(query for query, those in scores.items() if any(map(math.isnan, those))),
        unknown=tuple(sorted(unknown)),
    )
