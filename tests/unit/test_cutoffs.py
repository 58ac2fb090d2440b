"""Measures at a cutoff hold the values of ir-measures."""

import random

import ir_measures
import numpy as np
import pytest

from neuralshelf.errors import ConfigError
from neuralshelf.relevance.cutoffs import Cutoff

NAMES = ["nDCG@10", "nDCG@3", "AP@10", "AP@100", "RR@10", "R@5", "R@100", "P@10", "Success@1", "Success@5"]


@pytest.mark.parametrize("name", NAMES)
def test_values_are_those_of_ir_measures(name: str) -> None:
    chance = random.Random(7)
    measure, library = Cutoff.parse(name), ir_measures.parse_measure(name)
    for _ in range(60):
        documents = [f"d{number}" for number in range(chance.randint(1, 30))]
        judged = {each: chance.choice((0, 0, 1, 2, 3)) for each in [*documents, *(f"e{n}" for n in range(5))]}
        judged[chance.choice(list(judged))] = 2
        rankings = [chance.sample(documents, chance.randint(1, len(documents))) for _ in range(4)]
        length = max(len(ranking) for ranking in rankings)
        grades = np.zeros((len(rankings), length), np.int64)
        for row, ranking in enumerate(rankings):
            grades[row, : len(ranking)] = [judged[each] for each in ranking]
        found = measure.values(grades[:, : measure.k], [grade for grade in judged.values() if grade > 0])
        for value, ranking in zip(found, rankings, strict=True):
            run = {"q": {each: float(-rank) for rank, each in enumerate(ranking)}}
            assert value == pytest.approx(ir_measures.calc_aggregate([library], {"q": judged}, run)[library], abs=1e-12)


def test_no_answer_is_worth_nothing() -> None:
    for name in NAMES:
        assert Cutoff.parse(name).values(np.zeros((2, 0), np.int64), [1, 2]).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", ["nDCG", "ndcg@10", "RR", "Bpref@10", "nDCG@0", "nDCG@10 ", ""])
def test_what_has_no_cutoff_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="can't be tuned for"):
        Cutoff.parse(name)
