"""Every way to join the legs, measured on every query: fused offline, many weights at once."""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from neuralshelf.relevance.cutoffs import Cutoff, Values
from neuralshelf.relevance.fuse import Candidates, Fusion, LegAnswer
from neuralshelf.relevance.judgements import Judgements
from neuralshelf.relevance.legs import Keyword, Legs, raw_order

Weights = tuple[float, ...]


@dataclass(frozen=True)
class Setting:
    """One way to search: the keyword leg's fields with boosts, and how legs are joined.

    Attributes:
        picture_weights: of queries with a picture, in place of the weights of `fusion`; None: these serve them, too.
    """

    keyword: Keyword
    fusion: Fusion
    picture_weights: Weights | None = None

    def fusion_of(self, *, pictured: bool) -> Fusion:
        """How the legs of a query with a picture are joined, or of one without."""
        own = self.picture_weights if pictured else None
        return self.fusion if own is None else replace(self.fusion, weights=own)


class Scorer:
    """Measures settings on queries whose legs are known; what was measured is remembered.

    Attributes:
        pictured: bool [query], those with a picture.
    """

    def __init__(
        self,
        legs: Mapping[str, Legs],
        judgements: Judgements,
        measure: Cutoff,
        *,
        pictured: Collection[str] = (),
        collapse: bool = False,
    ) -> None:
        """
        Args:
            legs: of each query; each has a relevant judgement.
            pictured: queries with a picture.
            collapse: judged are groups (products), each where its best document is.
        """
        self._queries = [
            _Query(found, {one: grade for one, grade in judgements[name].items() if grade > 0}, measure, collapse)
            for name, found in legs.items()
        ]
        self.pictured = np.asarray([name in pictured for name in legs], np.bool_)
        self._known: dict[tuple[Keyword, str, str, int, Weights], Values] = {}

    def values(self, keyword: Keyword, how: Fusion, weights: Sequence[Weights]) -> Values:
        """float64 [weights, query].

        Args:
            how: its own weights are not used.
        """
        technique = (keyword, "" if how.combination == "rrf" else how.normalization, how.combination, how.rank_constant)
        new = [each for each in dict.fromkeys(weights) if (*technique, each) not in self._known]
        if new:
            rows = np.asarray(new, np.float32)
            found = np.stack([query.values(keyword, how, rows) for query in self._queries], axis=1)
            self._known |= {(*technique, each): row for each, row in zip(new, found, strict=True)}
        return np.stack([self._known[*technique, each] for each in weights])

    def known(self) -> Iterator[Values]:
        """float64 [weights, query], of each technique with its keyword fields: all weights that were measured."""
        techniques = sorted(self._known, key=lambda key: repr(key[:-1]))
        for _, same in itertools.groupby(techniques, key=lambda key: key[:-1]):
            yield np.stack([self._known[key] for key in same])

    def of(self, setting: Setting) -> Values:
        """float64 [query]."""
        weights = [setting.fusion_of(pictured=pictured).weights for pictured in (False, True)]
        texts, with_pictures = self.values(setting.keyword, setting.fusion, weights)
        return np.asarray(np.where(self.pictured, with_pictures, texts))

    def alone(self, leg: int, keyword: Keyword) -> Values:
        """float64 [query], of a search by one leg only; 0 is the keyword leg."""
        return np.asarray([query.alone(leg, keyword) for query in self._queries])


@dataclass(frozen=True, eq=False)
class _Query:
    legs: Legs
    judged: Mapping[str, int]
    measure: Cutoff
    collapse: bool
    tables: dict[Keyword, "_Table"] = field(default_factory=dict)

    def values(self, keyword: Keyword, how: Fusion, weights: NDArray[np.float32]) -> Values:
        table = self.tables.get(keyword)
        if table is None:
            found = Candidates.of((self.legs.keyword[keyword], *self.legs.vectors), collapse=self.collapse)
            table = self.tables[keyword] = _Table(found, [self._name(answer) for answer in found.answers], self.judged)
        return self.measure.values(table.grades(how, weights, self.measure.k), self.judged.values())

    def alone(self, leg: int, keyword: Keyword) -> float:
        found = (self.legs.keyword[keyword], *self.legs.vectors)[leg]
        names = dict.fromkeys(self._name(answer) for answer in raw_order(found))
        grades = [self.judged.get(name, 0) for name in list(names)[: self.measure.k]]
        return float(self.measure.values(np.asarray([grades], np.int64), self.judged.values())[0])

    def _name(self, answer: LegAnswer) -> str:
        return (answer.group or "") if self.collapse else answer.id


@dataclass(frozen=True, eq=False)
class _Table:
    """One query's candidates, ready to be ranked; `names` are what is judged, of each candidate."""

    found: Candidates
    names: Sequence[str]
    judged: Mapping[str, int]

    @cached_property
    def _groups(self) -> NDArray[np.int64]:
        """Number of each candidate's name, as names are first met."""
        numbers = {name: number for number, name in enumerate(dict.fromkeys(self.names))}
        return np.asarray([numbers[name] for name in self.names], np.int64)

    @cached_property
    def _grades(self) -> NDArray[np.int64]:
        """Of each name."""
        return np.asarray([self.judged.get(name, 0) for name in dict.fromkeys(self.names)], np.int64)

    def grades(self, how: Fusion, weights: NDArray[np.float32], k: int) -> NDArray[np.int64]:
        """int [weights, rank], of the first k."""
        if not self.names:
            return np.zeros((len(weights), 0), np.int64)
        scores = self.found.scores(how, weights)
        if len(self._grades) < len(self.names):
            members = np.argsort(self._groups, kind="stable")
            starts = np.searchsorted(self._groups[members], np.arange(len(self._grades)))
            scores = np.maximum.reduceat(scores[:, members], starts, axis=1)
        return np.asarray(self._grades[np.argsort(-scores, axis=1, kind="stable")[:, :k]])
