"""Better weights, with proof: a search through settings, judged on queries that the search has not seen.

Nested cross-validation. The outer folds give the estimate: the whole procedure chooses on four fifths of the queries
and is measured on the rest, in turn. The inner folds decide how much may be changed: nothing, the weights, the
technique too, boosts too. The least of these within a standard error of the best is taken: each freedom more fits the
training queries better, and new ones not always. Queries with the same words, or with the same answers, are in one
fold, and count as one in tests: else a fold would be trained on its own test.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuralshelf.pipelines.spec import KEYWORD_LEG, Combination, Normalization, SearchSpec
from neuralshelf.relevance.cutoffs import Values
from neuralshelf.relevance.fuse import Fusion
from neuralshelf.relevance.judgements import Judgements
from neuralshelf.relevance.legs import Keyword
from neuralshelf.relevance.multiplicity import p_of_best
from neuralshelf.relevance.queries import Query
from neuralshelf.relevance.scoring import Scorer, Setting, Weights
from neuralshelf.relevance.statistics import SIGNIFICANT, Difference, difference

FREEDOMS = ("nothing", "weights", "technique", "boosts")
"""What may be changed, each with what stands before it."""
FOLDS = 5
STEPS = 10
"""The grid of weights has steps of a tenth; around the best one, of half as much."""
MULTIPLIERS = (0.0, 0.5, 2.0)
RANK_CONSTANTS = (10, 20, 60, 100)
_MEANS: tuple[tuple[Normalization, Combination], ...] = (
    ("min_max", "arithmetic_mean"),
    ("min_max", "geometric_mean"),
    ("min_max", "harmonic_mean"),
    ("l2", "arithmetic_mean"),
    ("l2", "geometric_mean"),
    ("l2", "harmonic_mean"),
    ("z_score", "arithmetic_mean"),
)

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Tuned:
    """What tuning found.

    Attributes:
        winner: chosen on all queries.
        freedom: what it may change (`FREEDOMS`).
        chosen: what each outer fold chose on its training queries.
        held_out: freedom -> what it gave on queries it was not chosen on (of the inner folds, all queries).
        against: "configured" and each leg -> held-out values of the outer folds minus its own, by groups.
        p_of_best: of the winner against keyword search alone, all settings that were tried counted in (`p_of_best`).
        tried: how many these are.
        means: the same names, and "tuned" -> mean over all queries, that of "tuned" held out.
        queries, groups: how many.
    """

    winner: Setting
    freedom: str
    chosen: Sequence[Setting]
    held_out: Mapping[str, float]
    against: Mapping[str, Difference]
    p_of_best: float
    tried: int
    means: Mapping[str, float]
    queries: int
    groups: int

    @property
    def accepted(self) -> bool:
        """Better than keyword search alone, and neither by chance nor by the number of tries."""
        found = self.against[KEYWORD_LEG]
        return found.change.mean > 0 and found.significant and self.p_of_best < SIGNIFICANT


class Tuner:
    """Chooses among settings by their values on some queries."""

    def __init__(self, scorer: Scorer, search: SearchSpec, legs: Sequence[str], groups: Sequence[int]) -> None:
        """
        Args:
            legs: names, keyword first.
            groups: of each query of the scorer, the number of its group; queries of one stay together.
        """
        self._scorer = scorer
        self._legs = legs
        self._groups = np.asarray(groups, np.int64)
        self.configured = Setting(search.keyword, configured_fusion(search, legs))
        self._grid = simplex(len(legs), STEPS)
        self._boosts = boosts(search.keyword)

    def tune(self, seed: int) -> Tuned:
        """Choose on all queries, and estimate what choosing so is worth.

        Raises:
            MissingDependencyError: the extra `relevance` is not there.
        """
        everything = np.arange(len(self._groups))
        values = np.zeros(len(everything))
        chosen: list[Setting] = []
        for train, test in self._folds(everything, seed):
            freedom, _ = self._freedom(train, seed)
            chosen.append(self._best(train, freedom))
            values[test] = self._scorer.of(chosen[-1])[test]
        freedom, held_out = self._freedom(everything, seed)
        winner = self._best(everything, freedom)
        others = {"configured": self._scorer.of(self.configured)}
        others |= {leg: self._scorer.alone(n, self.configured.keyword) for n, leg in enumerate(self._legs)}
        tried = np.vstack(list(self._scorer.known()))
        keyword = others[self._legs[0]]
        rows = np.stack([self._by_group(row - keyword, everything) for row in tried])
        chance = p_of_best(rows, self._by_group(self._scorer.of(winner) - keyword, everything), seed)
        return Tuned(
            winner,
            freedom,
            chosen,
            held_out,
            {name: self._difference(other, values, seed) for name, other in others.items()},
            chance,
            len(tried),
            {name: float(each.mean()) for name, each in {"tuned": values, **others}.items()},
            len(everything),
            len(set(self._groups.tolist())),
        )

    def _freedom(self, train: Indices, seed: int) -> tuple[str, dict[str, float]]:
        """How much to change, and what each freedom gives on inner folds that it was not chosen on."""
        values = {freedom: np.zeros(len(self._groups)) for freedom in FREEDOMS}
        for inside, outside in self._folds(train, seed):
            for freedom, row in values.items():
                row[outside] = self._scorer.of(self._best(inside, freedom))[outside]
        means = {freedom: float(row[train].mean()) for freedom, row in values.items()}
        best = max(FREEDOMS, key=lambda freedom: means[freedom])
        for freedom in FREEDOMS:
            lost = self._by_group(values[best] - values[freedom], train)
            if lost.mean() <= lost.std(ddof=1) / np.sqrt(len(lost)):
                return freedom, means
        return best, means

    def _best(self, train: Indices, freedom: str) -> Setting:
        """The best setting on `train`."""
        now = self.configured
        if freedom == "nothing":
            return now
        techniques = [now.fusion, *(each for each in _techniques(len(self._legs)) if freedom != "weights")]
        now = max(
            (self._finest(now.keyword, how, train) for how in techniques), key=lambda found: self._mean(found, train)
        )
        if freedom == "boosts":
            near = [now.fusion.weights, *neighbours(now.fusion.weights)]
            others = [self._of_weights(keyword, now.fusion, near, train) for keyword in self._boosts]
            now = max((now, *others), key=lambda found: self._mean(found, train))
        return now

    def _finest(self, keyword: Keyword, how: Fusion, train: Indices) -> Setting:
        coarse = self._of_weights(keyword, how, self._grid, train)
        near = [coarse.fusion.weights, *neighbours(coarse.fusion.weights)]
        return self._of_weights(keyword, how, near, train)

    def _of_weights(self, keyword: Keyword, how: Fusion, weights: Sequence[Weights], train: Indices) -> Setting:
        """The best weights; of equals those in the middle of them, which new queries will upset the least."""
        means = self._scorer.values(keyword, how, weights)[:, train].mean(axis=1)
        equal = np.flatnonzero(means >= means.max() - 1e-9)
        rows = np.asarray(weights)[equal]
        middle = equal[np.abs(rows - rows.mean(axis=0)).sum(axis=1).argmin()]
        return Setting(keyword, Fusion(how.normalization, how.combination, weights[middle], how.rank_constant))

    def _mean(self, setting: Setting, train: Indices) -> float:
        return float(self._scorer.of(setting)[train].mean())

    def _folds(self, queries: Indices, seed: int) -> list[tuple[Indices, Indices]]:
        """Rest and fold, in turn; groups whole, folds of about the same number of queries."""
        numbers, sizes = np.unique(self._groups[queries], return_counts=True)
        order = np.random.default_rng(seed).permutation(len(numbers))
        order = order[np.argsort(-sizes[order], kind="stable")]
        filled = np.zeros(min(FOLDS, len(numbers)), np.int64)
        fold_of: dict[int, int] = {}
        for place in order:
            smallest = int(filled.argmin())
            fold_of[int(numbers[place])] = smallest
            filled[smallest] += sizes[place]
        fold = np.asarray([fold_of[int(group)] for group in self._groups[queries]])
        return [(queries[fold != number], queries[fold == number]) for number in range(len(filled))]

    def _by_group(self, values: Values, queries: Indices) -> Values:
        """Sum of each group, so scaled that their mean is that of the queries."""
        numbers, inverse = np.unique(self._groups[queries], return_inverse=True)
        return np.bincount(inverse, values[queries]) * len(numbers) / len(queries)

    def _difference(self, first: Values, second: Values, seed: int) -> Difference:
        everything = np.arange(len(self._groups))
        one, other = (self._by_group(values, everything).tolist() for values in (first, second))
        return difference(one, other, seed=seed)


def configured_fusion(search: SearchSpec, legs: Sequence[str]) -> Fusion:
    """How the configuration joins its legs."""
    weights = tuple(float(search.weights[leg]) for leg in legs)
    return Fusion(search.normalization, search.combination, weights, search.rank_constant)


def simplex(legs: int, steps: int) -> list[Weights]:
    """All weights that sum to 1, in steps of 1 / `steps`."""
    return [
        tuple(part / steps for part in (*parts, steps - sum(parts)))
        for parts in itertools.product(range(steps + 1), repeat=legs - 1)
        if sum(parts) <= steps
    ]


def neighbours(weights: Weights) -> list[Weights]:
    """Weights with half a step moved from one leg to another."""
    step, found = 1 / (2 * STEPS), []
    for giver, taker in itertools.permutations(range(len(weights)), 2):
        if weights[giver] >= step:
            moved = list(weights)
            moved[giver], moved[taker] = round(moved[giver] - step, 4), round(moved[taker] + step, 4)
            found.append(tuple(moved))
    return found


def boosts(keyword: Keyword) -> list[Keyword]:
    """The keyword fields with the boost of one of them multiplied; by 0 the field is left out."""
    found: list[Keyword] = []
    for place, item in enumerate(keyword):
        field, _, boost = item.partition("^")
        for factor in MULTIPLIERS:
            other = [f"{field}^{float(boost or 1) * factor:g}"] if factor else []
            changed = (*keyword[:place], *other, *keyword[place + 1 :])
            if changed:
                found.append(changed)
    return found


def grouped(queries: Iterable[Query], judgements: Judgements) -> list[int]:
    """Of each query the number of its group: those with the same words, or the same relevant answers, are in one."""
    owner: dict[object, int] = {}
    parent: list[int] = []

    def root(number: int) -> int:
        while parent[number] != number:
            number = parent[number]
        return number

    for number, query in enumerate(queries):
        parent.append(number)
        words = " ".join(sorted(query.text.casefold().split()))
        relevant = frozenset(one for one, grade in judgements[query.id].items() if grade > 0)
        for key in (words, relevant):
            parent[root(owner.setdefault(key, number))] = root(number)
    return [root(number) for number in range(len(parent))]


def _techniques(legs: int) -> list[Fusion]:
    """All ways to join legs; their weights are not used."""
    none = (0.0,) * legs
    means = [Fusion(normalization, combination, none) for normalization, combination in _MEANS]
    return [*means, *(Fusion("min_max", "rrf", none, constant) for constant in RANK_CONSTANTS)]
