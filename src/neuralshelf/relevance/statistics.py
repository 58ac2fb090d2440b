"""How sure a mean over queries is, and whether two systems differ on the same queries; scipy does the counting.

Intervals are percentile bootstraps over queries (Efron; Sakai, "Evaluating evaluation metrics based on the bootstrap",
SIGIR 2006); p is of a paired randomisation test, as Smucker, Allan and Carterette advise ("A comparison of statistical
significance tests for information retrieval evaluation", CIKM 2007). Both have a seed, so the same run says the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralshelf.errors import MissingDependencyError

CONFIDENCE = 0.95
SIGNIFICANT = 0.05
RESAMPLES = 9_999
SEED = 20_261_127
_AT_ONCE = 500
"""Resamples that are in memory at a time."""
_SAME = 1e-9
"""Two values of a query that differ by less are a tie."""


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % bootstrap interval; of fewer than two queries, the interval is NaN."""

    mean: float
    low: float
    high: float
    queries: int

    def as_dict(self) -> dict[str, float | None]:
        """For JSON, which has no NaN."""
        return {name: None if value != value else value for name, value in vars(self).items()}


@dataclass(frozen=True)
class Difference:
    """A second system minus a first one, on the same queries.

    Attributes:
        change: mean difference with its interval.
        p: of the hypothesis that it makes no difference which system answers; two-sided.
        wins, losses, ties: queries where the second one is better, worse, the same.
    """

    change: Interval
    p: float
    wins: int
    losses: int
    ties: int

    @property
    def significant(self) -> bool:
        """Whether chance alone would give such a difference less than once in twenty times."""
        return self.p < SIGNIFICANT

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        found = {**vars(self), **self.change.as_dict(), "significant": self.significant}
        return {"change": found.pop("mean")} | {name: value for name, value in found.items() if name != "change"}


def interval(values: Sequence[float], *, seed: int = SEED) -> Interval:
    """Mean of one value a query, with its interval.

    Raises:
        MissingDependencyError: the extra `relevance` is not there.
    """
    row = np.asarray(values, dtype=np.float64)
    if not len(row):
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    low, high = _bounds(row, seed)
    return Interval(float(row.mean()), low, high, len(row))


def difference(first: Sequence[float], second: Sequence[float], *, seed: int = SEED) -> Difference:
    """How much better the second is; both have one value a query, in the same order.

    With 13 queries or fewer all ways to swap are tried, so p is exact then.

    Raises:
        MissingDependencyError: the extra `relevance` is not there.
    """
    change = np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64)
    change[np.abs(change) < _SAME] = 0.0
    p = 1.0
    if len(change) > 1 and change.any():
        # Swapping the two systems of a query turns the sign of its difference: the paired test as one sample.
        found = _scipy().permutation_test(
            (change,),
            _mean,
            permutation_type="samples",
            vectorized=True,
            n_resamples=RESAMPLES,
            batch=_AT_ONCE,
            rng=np.random.default_rng(seed),
        )
        p = float(found.pvalue)
    wins, losses = int((change > 0).sum()), int((change < 0).sum())
    return Difference(interval(change.tolist(), seed=seed), p, wins, losses, len(change) - wins - losses)


def _mean(row: NDArray[np.float64], axis: int = -1) -> Any:
    return row.mean(axis=axis)


def _bounds(row: NDArray[np.float64], seed: int) -> tuple[float, float]:
    if len(row) < 2:
        return float("nan"), float("nan")
    found = (
        _scipy()
        .bootstrap(
            (row,),
            np.mean,
            vectorized=True,
            n_resamples=RESAMPLES,
            batch=_AT_ONCE,
            confidence_level=CONFIDENCE,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
        .confidence_interval
    )
    return float(found.low), float(found.high)


def _scipy() -> Any:
    try:
        from scipy import stats
    except ImportError as fault:
        raise MissingDependencyError(
            f"intervals and tests need {fault.name}, which is not installed",
            hint="pip install 'neuralshelf[relevance]'",
        ) from None
    return stats
