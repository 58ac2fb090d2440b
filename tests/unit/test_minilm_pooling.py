"""The measurement of poolings: ranks, measures and the interval of a gain on numbers that are known."""

import json
from pathlib import Path

import numpy as np
import pytest

from neuralshelf.model_packages.minilm import evaluate_pooling
from neuralshelf.model_packages.minilm.evaluate_pooling import gain, measures, ranks


def test_ranks_count_from_one_and_a_tie_counts_against() -> None:
    documents = np.eye(3, dtype=np.float32)
    assert ranks(documents, documents).tolist() == [1, 1, 1]
    queries = np.array([[0, 1, 0], [0, 1, 0], [0.6, 0.8, 0]], np.float32)
    assert ranks(queries, documents).tolist() == [3, 1, 3]


def test_measures_are_recall_and_mean_reciprocal_rank() -> None:
    found = measures(np.array([1, 2, 6, 20]))
    assert found == {"R@1": 0.25, "R@5": 0.5, "R@10": 0.75, "MRR": pytest.approx((1 + 1 / 2 + 1 / 6 + 1 / 20) / 4)}


def test_a_gain_on_every_query_has_no_zero_in_its_interval() -> None:
    mean, low, high = gain(np.array([1, 1, 2, 1] * 20), np.array([2, 4, 5, 2] * 20))
    assert low > 0
    assert low < mean < high
    nothing = gain(np.array([1, 2] * 20), np.array([2, 1] * 20))
    assert nothing[1] < 0 < nothing[2]


def test_the_table_is_of_the_items_in_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items = [
        {"title": "coffee mug", "description": "a cup for hot drinks"},
        {"title": "running shoes", "description": "footwear for sport"},
        {"title": "desk lamp", "description": "light for your table"},
    ]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    assert evaluate_pooling.main([str(tmp_path / "items.jsonl")]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[2] == "| mean over the tokens | 1.000 | 1.000 | 1.000 | 1.000 |"
    assert told[3].startswith("| first token | ")
    assert told[-1].startswith("MRR gains ")
