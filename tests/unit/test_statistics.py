"""Intervals and tests of significance: exact where it can be counted, and right as often as they claim."""

import math

import numpy as np
import pytest

from neuralshelf.relevance.statistics import difference, interval


def test_the_interval_is_that_of_the_mean_and_the_same_each_time() -> None:
    values = np.random.default_rng(1).normal(0.5, 0.1, 400).tolist()
    found = interval(values)
    assert found == interval(values)
    assert found != interval(values, seed=2)
    half = 1.96 * np.std(values) / math.sqrt(400)
    assert found.mean == pytest.approx(np.mean(values))
    assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half), abs=0.0015)


def test_intervals_hold_the_true_mean_as_often_as_they_say() -> None:
    chance = np.random.default_rng(2)
    held = 0
    for _ in range(100):
        found = interval((chance.random(50) < 0.7).astype(float).tolist())
        held += found.low <= 0.7 <= found.high
    assert 88 <= held <= 99


def test_of_one_query_or_none_there_is_no_interval() -> None:
    one, none = interval([0.5]), interval([])
    assert one.mean == 0.5
    assert math.isnan(one.low)
    assert math.isnan(none.mean)
    assert none.as_dict() == {"mean": None, "low": None, "high": None, "queries": 0}


def test_of_few_queries_p_is_counted_out() -> None:
    # of the 2^5 ways to swap, 2 give as large a difference: all as they are, and all swapped
    found = difference([0.0] * 5, [1.0] * 5)
    assert (found.p, found.wins, found.losses, found.ties) == (2 / 32, 5, 0, 0)
    assert not found.significant
    # 1+1+1-1 = 2 of 4: sums of at least 2 either way in 10 of 16
    assert difference([0, 0, 0, 1], [1, 1, 1, 0]).p == 10 / 16


def test_where_nothing_differs_p_is_one() -> None:
    for first, second in (([0.3, 0.7], [0.3, 0.7]), ([0.1 + 0.2], [0.3]), ([0.1], [0.9])):
        assert difference(first, second).p == 1.0
    assert difference([0.1 + 0.2, 1.0], [0.3, 1.0]).ties == 2


def test_a_real_difference_is_found_and_chance_is_not() -> None:
    chance = np.random.default_rng(3)
    before = chance.random(200)
    better = difference(before.tolist(), (before + chance.normal(0.03, 0.1, 200)).tolist())
    assert better.significant
    assert better.change.low > 0
    falsely = sum(
        difference(before[:20].tolist(), (before[:20] + chance.normal(0, 0.1, 20)).tolist()).significant
        for _ in range(100)
    )
    assert falsely <= 12
