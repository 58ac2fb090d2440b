"""Clusters: the same from the same, as many as there are groups, numbered by size, kept in a file without code."""

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neuralshelf.errors import ConfigError, InputError
from neuralshelf.personalisation import clusters
from neuralshelf.personalisation.clusters import (
    Clusters,
    Quality,
    best,
    candidates,
    fit,
    measure,
    refit,
    renamed,
    unit,
)
from neuralshelf.personalisation.numbering import Options, number_documents
from neuralshelf.pipelines.clusters import Centroids, ClusterSpec
from neuralshelf.pipelines.spec import IndexSpec

GROUPS = 8


def grouped(each: int = 30, groups: int = GROUPS, dimension: int = 64, noise: float = 0.05) -> NDArray[np.float32]:
    """Vectors around orthogonal directions; group g has each + g of them."""
    draw = np.random.default_rng(3)
    rows = [np.eye(dimension)[g] + noise * draw.standard_normal((each + g, dimension)) for g in range(groups)]
    return np.concatenate(rows).astype(np.float32)


def truth(each: int = 30, groups: int = GROUPS) -> list[int]:
    return [g for g in range(groups) for _ in range(each + g)]


def test_groups_are_found_and_the_largest_is_number_0() -> None:
    found = fit(grouped(), GROUPS)
    assert found.centroids.shape == (GROUPS, 64)
    assert found.centroids.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found.centroids, axis=1), 1, atol=1e-6)
    numbers, cosines = found.nearest(grouped())
    assert [GROUPS - 1 - number for number in numbers] == truth()
    assert cosines.min() > 0.8


def test_the_length_of_a_vector_does_not_matter() -> None:
    lengths = np.random.default_rng(5).uniform(0.1, 30, (len(grouped()), 1)).astype(np.float32)
    np.testing.assert_allclose(fit(grouped() * lengths, GROUPS).centroids, fit(grouped(), GROUPS).centroids, atol=1e-5)


@pytest.mark.parametrize("batched", [10_000, 100])
def test_the_same_vectors_and_seed_give_the_same_clusters_in_another_process(
    monkeypatch: pytest.MonkeyPatch, batched: int
) -> None:
    monkeypatch.setattr(clusters, "BATCHED", batched)
    program = (
        "import sys, numpy as np; from neuralshelf.personalisation import clusters; "
        f"clusters.BATCHED = {batched}; vectors = np.frombuffer(sys.stdin.buffer.read(), np.float32).reshape(-1, 64); "
        f"sys.stdout.buffer.write(clusters.fit(vectors, {GROUPS}, seed=7).centroids.tobytes())"
    )
    ran = subprocess.run([sys.executable, "-c", program], input=grouped().tobytes(), capture_output=True, check=True)
    assert ran.stdout == fit(grouped(), GROUPS, seed=7).centroids.tobytes()


def test_measuring_finds_the_number_of_groups() -> None:
    found = measure(grouped(), candidates(len(grouped())))
    assert best(found).k == GROUPS
    by_number = {quality.k: quality for quality in found}
    assert by_number[GROUPS].stability == pytest.approx(1.0)
    assert by_number[GROUPS].silhouette > max(q.silhouette for q in found if q.k != GROUPS) + 0.05
    assert measure(grouped(), [GROUPS])[0] == by_number[GROUPS]


def test_of_equal_silhouettes_the_more_stable_wins() -> None:
    assert best([Quality(4, 0.5, 0.3), Quality(8, 0.5, 0.9), Quality(16, 0.2, 1.0)]).k == 8


def test_candidates_leave_four_vectors_a_cluster() -> None:
    assert candidates(7) == ()
    assert candidates(40) == (2, 3, 4, 6, 8)
    assert candidates(1_000_000)[-1] == 256


def test_more_clusters_than_vectors_is_one_line() -> None:
    with pytest.raises(InputError, match=r"5 clusters of 3 vectors; next: give --k from 1 to 3"):
        fit(grouped()[:3], 5)
    with pytest.raises(InputError):
        fit(grouped(), 0)


def test_equal_vectors_are_no_error() -> None:
    same = np.ones((12, 4), np.float32)
    assert set(fit(same, 3).nearest(same)[0].tolist()) == {0}
    assert measure(same, [2])[0].silhouette == -1.0


def test_clusters_come_back_from_their_file_as_they_will_be_reckoned_with(tmp_path: Path) -> None:
    found = fit(grouped(), GROUPS)
    file = tmp_path / "new" / "clusters.json"
    found.keep("shop-v1", "v").write(file)
    kept = Centroids.read(file)
    assert kept == found.keep("shop-v1", "v")
    assert kept is not None
    again = Clusters.of(kept)
    assert again.ids == found.ids
    assert (again.centroids * found.centroids).sum(axis=1).min() > 0.999
    np.testing.assert_array_equal(again.nearest(grouped())[0], found.nearest(grouped())[0])
    assert [path.name for path in file.parent.iterdir()] == ["clusters.json"]
    assert Centroids.read(tmp_path / "none.json") is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "Invalid JSON"),
        ('{"generation": "g", "vector": "v", "ids": ["0"], "centroids": [[1, 2], [3, 4]]}', "don't fit"),
        ('{"generation": "g", "vector": "v", "ids": ["0", "0"], "centroids": [[1, 2], [3, 4]]}', "don't fit"),
        ('{"generation": "g", "vector": "v", "ids": ["0"], "centroids": [[1, 128]]}', "beyond 127"),
        ('{"generation": "g", "vector": "v", "ids": ["0"], "centroids": [[0, 0]]}', "zeros"),
        ('{"generation": "g", "vector": "v", "ids": ["0"], "centroids": [[0.5, 0]]}', "valid integer"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "clusters.json"
    file.write_text(content)
    with pytest.raises(ConfigError, match=words):
        Centroids.read(file)


def test_more_than_a_script_can_compare_is_refused() -> None:
    ids, centroids = tuple(str(n) for n in range(900)), ((1,) * 1024,) * 900
    with pytest.raises(ValueError, match="more than a pipeline can compare"):
        Centroids(generation="g", vector="v", ids=ids, centroids=centroids)


@pytest.mark.parametrize("batched", [10_000, 1_000])
@pytest.mark.parametrize("seed", range(5))
def test_with_a_tenth_of_new_vectors_nineteen_of_twenty_keep_their_cluster(
    monkeypatch: pytest.MonkeyPatch, seed: int, batched: int
) -> None:
    monkeypatch.setattr(clusters, "BATCHED", batched)
    draw = np.random.default_rng(seed)
    blurred = draw.standard_normal((3_000, 24)).astype(np.float32)  # no groups at all: the hardest case
    new = draw.standard_normal((300, 24)).astype(np.float32) + 0.3
    old = fit(blurred, 20)
    moved = refit(np.concatenate([blurred, new]), old)
    before, after = old.nearest(blurred)[0], moved.nearest(blurred)[0]
    assert moved.ids == old.ids
    assert not np.array_equal(moved.centroids, old.centroids)
    assert (before == after).mean() >= 0.95


def test_clusters_found_anew_keep_the_ids_of_those_that_they_share_most_with() -> None:
    vectors, draw = grouped(), np.random.default_rng(1)
    found = fit(vectors, GROUPS)
    old = Clusters(found.centroids, tuple("abcdefgh"))
    order = draw.permutation(GROUPS)
    new = Clusters(found.centroids[order], tuple(map(str, range(GROUPS))))
    assert renamed(new, old, vectors).ids == tuple(np.array(old.ids)[order].tolist())


def test_clusters_that_were_not_there_before_get_ids_that_were_not_there_either() -> None:
    vectors = grouped()
    old = fit(vectors[: len(vectors) // 2], 4)
    ids = renamed(fit(vectors, GROUPS), old, vectors).ids
    assert set(old.ids) <= set(ids)
    assert set(ids) - set(old.ids) == {"4", "5", "6", "7"}


def test_unit_leaves_no_infinity() -> None:
    assert np.isfinite(unit(np.zeros((1, 3), np.float32))).all()


def test_what_can_not_go_together_is_said_before_anything_is_read(tmp_path: Path) -> None:
    index = IndexSpec.model_validate(
        {"name": "shop", "fields": {"cluster": "keyword"}, "vectors": {"v": {"connector": "c", "image": "image"}}}
    )
    nobody: Any = None
    asked = partial(number_documents, nobody, index, ClusterSpec(vector="v"), "shop-v1", tmp_path / "clusters.json")
    with pytest.raises(ConfigError, match="cluster apply takes the clusters that there are"):
        asked(Options(assign=True, k=3), print)
    with pytest.raises(InputError, match=r"there are no clusters of v, shop-v1.*; next: neuralshelf cluster"):
        asked(Options(assign=True), print)
