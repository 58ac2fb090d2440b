"""The best of many, held against chance: it is passed as seldom as p says, and planted differences are found."""

import numpy as np
import pytest

from neuralshelf.relevance.multiplicity import p_of_best
from neuralshelf.relevance.statistics import difference

GROUPS, SETTINGS = 30, 60


def chance(seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Differences of settings that are no better, but for the first one; and those of the best."""
    rows = np.random.default_rng(seed).standard_normal((SETTINGS, GROUPS))
    rows[0] += shift
    return rows, rows[rows.mean(axis=1).argmax()]


def test_the_best_of_nothing_is_passed_as_seldom_as_p_says() -> None:
    alone, among_all = 0, 0
    for seed in range(60):
        rows, best = chance(seed)
        among_all += p_of_best(rows, best, seed) < 0.05
        alone += difference([0.0] * GROUPS, best.tolist(), seed=seed).significant if seed < 10 else 0
    assert among_all <= 8  # 5 % of 60 are 3; 9 or more would be one in four hundred
    assert alone >= 8  # the same setting, tested as if it had been the only one


def test_a_difference_that_is_there_is_found() -> None:
    assert p_of_best(*chance(1, shift=1.5), 0) < 0.001


def test_one_setting_is_the_usual_test_of_one_side() -> None:
    row = np.random.default_rng(3).standard_normal(GROUPS) + 0.3
    both_sides = difference([0.0] * GROUPS, row.tolist()).p
    assert p_of_best(row[None, :], row, 0) == pytest.approx(both_sides / 2, abs=0.01)


def test_no_difference_at_all_is_no_proof() -> None:
    assert p_of_best(np.zeros((3, GROUPS)), np.zeros(GROUPS), 0) == 1.0
