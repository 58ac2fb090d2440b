"""What the benchmarks measure with must itself be right."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

import plots
import results
import vectors
from searching import Ask, search


def test_a_row_is_the_same_however_many_are_read_and_no_query_is_among_them() -> None:
    cloud = vectors.Cloud(32)
    all_rows = np.concatenate([block for _, block in cloud.blocks(12_000)])
    assert all_rows.shape == (12_000, 32)
    assert np.array_equal(next(vectors.Cloud(32).blocks(500))[1], all_rows[:500])
    assert np.allclose(np.linalg.norm(all_rows, axis=1), 1, atol=1e-5)
    assert (cloud.queries(50) @ all_rows.T).max() < 0.9999


def test_exact_neighbours_over_blocks_are_those_of_all_rows_at_once() -> None:
    cloud = vectors.Cloud(32)
    rows = np.concatenate([block for _, block in cloud.blocks(20_500)])
    queries = cloud.queries(20)
    likeness = queries @ rows.T
    found = cloud.nearest(20_500, queries, 5)
    expected = -np.sort(-likeness, axis=1)[:, :5]
    assert np.allclose(np.take_along_axis(likeness, found, 1), expected, atol=1e-6)


def test_vectors_have_neighbours_as_texts_have() -> None:
    """Noise has a contrast of about 1.1 here and a local dimension above 40; MiniLM's texts 1.4 and 13."""
    rows = np.concatenate([block for _, block in vectors.Cloud(384).blocks(8_000)])
    shape = vectors.shape(rows)
    assert 1.3 < shape.contrast < 1.5
    assert 12 < shape.local_dimension < 17


def test_bytes_keep_the_order_of_neighbours() -> None:
    cloud = vectors.Cloud(384)
    rows = next(cloud.blocks(2_000))[1]
    queries = cloud.queries(50)
    quantise = vectors.Bytes(rows)
    small, asked = (quantise(v).astype(np.float32) for v in (rows, queries))
    cosines = (asked @ small.T) / np.linalg.norm(small, axis=1)
    found = np.argsort(-cosines, axis=1)[:, :10]
    exact = cloud.nearest(2_000, queries)
    assert np.mean([len(set(a) & set(b)) for a, b in zip(found.tolist(), exact.tolist(), strict=True)]) > 9.8


@pytest.mark.parametrize("clients", [1, 4])
def test_recall_counts_what_was_found_of_what_is_near(clients: int) -> None:
    truth = np.arange(40).reshape(4, 10)
    asked: list[int] = []

    @contextmanager
    def connect() -> Iterator[Ask]:
        def ask(number: int) -> Sequence[int]:
            asked.append(number)
            return [*truth[number][: 10 - number].tolist(), 999]

        yield ask

    found = search(connect, truth, clients, warm_up=0)
    assert found.recall == (10 + 9 + 8 + 7) / 40
    assert sorted(asked) == [0, 1, 2, 3]
    assert 0 <= found.p50 <= found.p99


def test_a_cell_that_is_measured_again_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    results.keep(("opensearch", "float", 384, 1000), {"seconds": {"load": 5.0}})
    results.keep(("opensearch", "float", 384, 1000), {"seconds": {"load": 2.0}})
    [(cell, row)] = results.read().items()
    assert cell == ("opensearch", "float", 384, 1000)
    assert row["seconds"] == {"load": 2.0}


def test_growth_is_read_off_and_carried_on() -> None:
    assert plots.exponent([(10, 5.0), (100, 50.0), (1000, 500.0)]) == pytest.approx(1.0)
    known = {("opensearch", "float", 384, size): {"seconds": {"load": size / 500}} for size in (10_000, 100_000)}
    hours, gigabytes = plots.forecast(("opensearch", "float", 384, 1_000_000), known)
    assert hours == pytest.approx(2000 / 3600)
    assert 3 < gigabytes < 6
    assert plots.forecast(("pgvector", "vector", 384, 1_000_000), known)[0] is None


def test_sizes_are_read_and_written() -> None:
    assert [results.number(text) for text in ("1k", "10k", "1M", "250")] == [1_000, 10_000, 1_000_000, 250]
    assert [results.brief(size) for size in (1_000, 1_000_000, 250)] == ["1k", "1M", "250"]
