"""Measures at a cutoff, of many rankings of one query at once: what a search through thousands of settings needs.

The definitions are those of trec_eval, and tests hold the values against ir-measures'.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuralshelf.errors import ConfigError

Values = NDArray[np.float64]
_NAME = re.compile(r"(nDCG|AP|RR|R|P|Success)@([1-9]\d{0,3})")


@dataclass(frozen=True)
class Cutoff:
    """One measure by its standard name: nDCG, AP, RR, R (recall), P (precision) or Success, @k."""

    name: str
    k: int

    @classmethod
    def parse(cls, text: str) -> "Cutoff":
        """`nDCG@10`.

        Raises:
            ConfigError: it can't be tuned for.
        """
        found = _NAME.fullmatch(text)
        if found is None:
            raise ConfigError(f"--measure {text!r} can't be tuned for", hint="such as nDCG@10, RR@10, AP@100, R@10")
        return cls(found[1], int(found[2]))

    def __str__(self) -> str:
        return f"{self.name}@{self.k}"

    def values(self, grades: NDArray[np.int64], judged: Collection[int]) -> Values:
        """float64 [ranking].

        Args:
            grades: int [ranking, rank], of what stands at each rank, 0 where nothing does; at the most k ranks.
            judged: all grades above 0 that were given to this query.
        """
        ranks = np.arange(1, grades.shape[1] + 1)
        right = grades > 0
        if self.name == "nDCG":
            best = np.sort(np.fromiter(judged, np.int64))[::-1][: self.k]
            ideal = (best / np.log2(np.arange(2, len(best) + 2))).sum()
            return np.asarray((grades / np.log2(ranks + 1)).sum(axis=1) / ideal)
        if self.name == "RR":
            return np.asarray((right / ranks).max(axis=1, initial=0.0))
        if self.name == "AP":
            return np.asarray((right * right.cumsum(axis=1) / ranks).sum(axis=1) / len(judged))
        if self.name == "Success":
            return np.asarray(right.any(axis=1), np.float64)
        return np.asarray(right.sum(axis=1) / (len(judged) if self.name == "R" else self.k))
