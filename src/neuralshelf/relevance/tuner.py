"""Better weights, with proof: a search through settings, judged on queries that the search has not seen.

Nested cross-validation. The outer folds give the estimate: the whole procedure chooses on four fifths of the queries
and is measured on the rest, in turn. The inner folds decide how much may be changed: nothing, the weights, those of
queries with a picture apart from those of others, the technique too, boosts too. The least of these within a standard
error of the best is taken: each freedom more fits the training queries better, and new ones not always. Queries with
the same words, or with the same answers, are in one fold, and count as one in tests: else a fold would be trained on
its own test.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

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

FREEDOMS = ("nothing", "weights", "weights by kind", "technique", "boosts")
"""What may be changed, each with what stands before it."""
KINDS = ("text", "text+picture")
"""Kinds of queries, which may have weights of their own."""
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
class OfKind:
    """The queries of a kind, in how many groups, and the means of `Tuned` over them."""

    queries: int
    groups: int
    means: Mapping[str, float]


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
        tried: how many these are; where kinds have weights of their own, each with each.
        means: the same names, and "tuned" -> mean over all queries, that of "tuned" held out.
        kinds: of `KINDS`, those that were asked.
        apart: whether kinds could get weights of their own.
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
    kinds: Mapping[str, OfKind]
    apart: bool
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
        self.configured = configured(search, legs)
        self._of_kind = [np.flatnonzero(~scorer.pictured), np.flatnonzero(scorer.pictured)]
        self._enough = [self._count(each) >= FOLDS * 2 for each in self._of_kind]
        already = self.configured.picture_weights is not None
        self.apart = already or all(self._enough)
        self._freedoms = [each for each in FREEDOMS if each != "weights by kind" or (self.apart and not already)]
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
        found = {"tuned": values, **others}
        chance, tried = self._chance(winner, others[self._legs[0]], seed)
        return Tuned(
            winner,
            freedom,
            chosen,
            held_out,
            {name: self._difference(other, values, seed) for name, other in others.items()},
            chance,
            tried,
            _means(found, everything),
            {
                kind: OfKind(len(each), self._count(each), _means(found, each))
                for kind, each in zip(KINDS, self._of_kind, strict=True)
                if len(each)
            },
            self.apart,
            len(everything),
            self._count(everything),
        )

    def _chance(self, winner: Setting, other: Values, seed: int) -> tuple[float, int]:
        """`p_of_best` of the winner against another search, and how many settings were tried."""
        parts = [each for each in self._of_kind if len(each)] if self.apart else [np.arange(len(self._groups))]
        everything = np.arange(len(self._groups))

        def differences(values: Values) -> Values:
            """float64 [kind, group]"""
            kinds = np.zeros((len(parts), len(everything)))
            for kind, part in zip(kinds, parts, strict=True):
                kind[part] = (values - other)[part]
            return np.stack([self._by_group(kind, everything) for kind in kinds])

        tried = [np.stack([differences(row) for row in rows], axis=1) for rows in self._scorer.known()]
        chance = p_of_best(tried, differences(self._scorer.of(winner)), seed)
        return chance, sum(each.shape[1] ** len(parts) for each in tried)

    def _freedom(self, train: Indices, seed: int) -> tuple[str, dict[str, float]]:
        """How much to change, and what each freedom gives on inner folds that it was not chosen on."""
        values = {freedom: np.zeros(len(self._groups)) for freedom in self._freedoms}
        for inside, outside in self._folds(train, seed):
            for freedom, row in values.items():
                row[outside] = self._scorer.of(self._best(inside, freedom))[outside]
        means = {freedom: float(row[train].mean()) for freedom, row in values.items()}
        best = max(self._freedoms, key=lambda freedom: means[freedom])
        for freedom in self._freedoms:
            lost = self._by_group(values[best] - values[freedom], train)
            if lost.mean() <= lost.std(ddof=1) / np.sqrt(len(lost)):
                return freedom, means
        return best, means

    def _best(self, train: Indices, freedom: str) -> Setting:
        """The best setting on `train`."""
        now = self.configured
        if freedom == "nothing":
            return now
        wide = freedom in ("technique", "boosts")
        techniques = [now.fusion, *(_techniques(len(self._legs)) if wide else ())]
        kinds = self._kinds(train, apart=freedom != "weights")
        now = max((self._finest(now, how, kinds) for how in techniques), key=lambda found: self._mean(found, train))
        if freedom == "boosts":
            others = [self._of_weights(replace(now, keyword=keyword), kinds) for keyword in self._boosts]
            now = max((now, *others), key=lambda found: self._mean(found, train))
        return now

    def _kinds(self, train: Indices, *, apart: bool) -> list[Indices | None]:
        """The queries that choose the weights of each of `KINDS`; None: these stay as they are.

        A kind is trained on itself where weights are apart, and only if it has queries enough. Else one weighting is
        chosen on all.
        """
        if self.configured.picture_weights is None and not (apart and self.apart):
            return [train, None]
        parts = [np.intersect1d(train, each) for each in self._of_kind]
        return [each if len(each) and enough else None for each, enough in zip(parts, self._enough, strict=True)]

    def _finest(self, now: Setting, how: Fusion, kinds: Sequence[Indices | None]) -> Setting:
        coarse = self._of_weights(replace(now, fusion=replace(how, weights=now.fusion.weights)), kinds, self._grid)
        return self._of_weights(coarse, kinds)

    def _of_weights(self, now: Setting, kinds: Sequence[Indices | None], among: Sequence[Weights] = ()) -> Setting:
        """The setting with the best weights for each kind: of some, or near those that it has."""
        found = []
        for pictured, train in zip((False, True), kinds, strict=True):
            own = now.fusion_of(pictured=pictured).weights
            found.append(own if train is None else self._middle(now, among or [own, *neighbours(own)], train))
        one = now.picture_weights is None and (kinds[1] is None or found[0] == found[1])
        return Setting(now.keyword, replace(now.fusion, weights=found[0]), None if one else found[1])

    def _middle(self, now: Setting, weights: Sequence[Weights], train: Indices) -> Weights:
        """The best weights; of equals those in the middle of them, which new queries will upset the least."""
        means = self._scorer.values(now.keyword, now.fusion, weights)[:, train].mean(axis=1)
        equal = np.flatnonzero(means >= means.max() - 1e-9)
        rows = np.asarray(weights)[equal]
        return weights[int(equal[np.abs(rows - rows.mean(axis=0)).sum(axis=1).argmin()])]

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

    def _count(self, queries: Indices) -> int:
        """Groups that they are in."""
        return len(set(self._groups[queries].tolist()))

    def _difference(self, first: Values, second: Values, seed: int) -> Difference:
        everything = np.arange(len(self._groups))
        one, other = (self._by_group(values, everything).tolist() for values in (first, second))
        return difference(one, other, seed=seed)


def configured(search: SearchSpec, legs: Sequence[str]) -> Setting:
    """How the configuration searches."""
    weights = tuple(float(search.weights[leg]) for leg in legs)
    own = tuple(float(search.picture_weights[leg]) for leg in legs) if search.picture_weights else None
    return Setting(search.keyword, Fusion(search.normalization, search.combination, weights, search.rank_constant), own)


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


def _means(values: Mapping[str, Values], queries: Indices) -> dict[str, float]:
    return {name: float(each[queries].mean()) for name, each in values.items()}
