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


def chance_of_two_kinds(seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Differences by kind, the second in half the groups only; and those of the best weights of each kind."""
    rows = np.random.default_rng(seed).standard_normal((2, SETTINGS, GROUPS))
    rows[:, 0] += shift
    rows[1, :, : GROUPS // 2] = 0
    return rows, np.stack([kind[kind.mean(axis=1).argmax()] for kind in rows])


def test_the_best_of_nothing_is_passed_as_seldom_as_p_says() -> None:
    alone, among_all = 0, 0
    for seed in range(60):
        rows, best = chance(seed)
        among_all += p_of_best([rows[None]], best[None], seed) < 0.05
        alone += difference([0.0] * GROUPS, best.tolist(), seed=seed).significant if seed < 10 else 0
    assert among_all <= 8  # 5 % of 60 are 3; 9 or more would be one in four hundred
    assert alone >= 8  # the same setting, tested as if it had been the only one


def test_the_best_pair_of_nothing_is_passed_as_seldom_as_p_says() -> None:
    among_pairs, among_ones = 0, 0
    for seed in range(40):
        rows, best = chance_of_two_kinds(seed)
        among_pairs += p_of_best([rows], best, seed) < 0.05
        among_ones += p_of_best([rows.sum(axis=0)[None]], best.sum(axis=0)[None], seed) < 0.05 if seed < 10 else 0
    assert among_pairs <= 6  # 5 % of 40 are 2; 7 or more would be one in three hundred
    assert among_ones >= 3  # as if each weighting had been tried for both kinds at once only


def test_the_greatest_of_all_pairs_is_found_without_making_them() -> None:
    rows = chance_of_two_kinds(5)[0][:, :7]
    places = rows.mean(axis=2).argmax(axis=1)
    best = np.stack([rows[0, places[0]], rows[1, places[1]]])
    lengths = np.linalg.norm(np.concatenate([rows, best[:, None]], axis=1), axis=2)
    one, other = np.sqrt((lengths**2).mean(axis=1))[:, None, None] * rows / lengths[:, :7, None]
    pairs = (one[:, None] + other[None, :]).reshape(-1, GROUPS)
    signs = np.random.default_rng(6).choice((-1.0, 1.0), size=(9_999, GROUPS))
    wanted = ((signs @ pairs.T).max(axis=1) >= (one[places[0]] + other[places[1]]).sum()).mean()
    assert p_of_best([rows], best, 0) == pytest.approx(wanted, abs=0.02)
    assert 0.05 < wanted < 0.9
    assert p_of_best([rows[:, :3], rows[:, 3:]], best, 0) < wanted  # the weights of two techniques make no pairs


def test_a_difference_that_is_there_is_found() -> None:
    rows, best = chance(1, shift=1.5)
    assert p_of_best([rows[None]], best[None], 0) < 0.001
    rows, best = chance_of_two_kinds(1, shift=1.5)
    assert p_of_best([rows], best, 0) < 0.001


def test_one_setting_is_the_usual_test_of_one_side() -> None:
    row = np.random.default_rng(3).standard_normal(GROUPS) + 0.3
    both_sides = difference([0.0] * GROUPS, row.tolist()).p
    assert p_of_best([row[None, None]], row[None], 0) == pytest.approx(both_sides / 2, abs=0.01)


def test_no_difference_at_all_is_no_proof() -> None:
    assert p_of_best([np.zeros((2, 3, GROUPS))], np.zeros((2, GROUPS)), 0) == 1.0
