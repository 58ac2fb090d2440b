"""Clusters: the same from the same, as many as there are groups, numbered by size, kept in a file without code."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from neuralshelf.errors import ConfigError, InputError
from neuralshelf.personalisation import clusters
from neuralshelf.personalisation.clusters import Clusters, Quality, best, candidates, fit, measure, unit
from neuralshelf.personalisation.numbering import Options, number_documents
from neuralshelf.pipelines.spec import IndexSpec, VectorSpec

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
    numbers, cosines = found.assign(grouped())
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
    assert set(fit(same, 3).assign(same)[0].tolist()) == {0}
    assert measure(same, [2])[0].silhouette == -1.0


def test_clusters_come_back_from_their_file(tmp_path: Path) -> None:
    found = fit(grouped(), GROUPS)
    found.save(tmp_path / "new" / "c.npz", {"generation": "shop-v1"})
    again, facts = Clusters.load(tmp_path / "new" / "c.npz")
    assert again.k == GROUPS
    np.testing.assert_array_equal(again.centroids, found.centroids)
    assert facts == {"generation": "shop-v1"}
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["c.npz"]


def test_a_file_of_something_else_is_refused_and_nothing_in_it_is_run(tmp_path: Path) -> None:
    file = tmp_path / "c.npz"
    with pytest.raises(InputError, match="there are no clusters"):
        Clusters.load(file)
    file.write_bytes(b"something else")
    with pytest.raises(InputError, match="holds no clusters"):
        Clusters.load(file)
    with file.open("wb") as out:
        np.savez(out, centroids=np.array([object()], dtype=object), facts=np.array("{}"))
    with pytest.raises(InputError, match="holds no clusters"):
        Clusters.load(file)


def test_unit_leaves_no_infinity() -> None:
    assert np.isfinite(unit(np.zeros((1, 3), np.float32))).all()


PICTURED = VectorSpec(connector="c", image="image")
TEXTUAL = VectorSpec(connector="c", text=("title",))


@pytest.mark.parametrize(
    ("fields", "vectors", "options", "words"),
    [
        ({}, {"v": TEXTUAL}, Options(), r"no keyword or integer field 'cluster'.*; next: add cluster: keyword"),
        ({"cluster": "text"}, {"v": TEXTUAL}, Options(), "no keyword or integer field 'cluster'"),
        ({"cluster": "keyword"}, {"v": TEXTUAL, "w": TEXTUAL}, Options(), "several vectors: v, w; next: .*--vector"),
        ({"cluster": "keyword"}, {"v": PICTURED, "w": PICTURED}, Options(), "several vectors: v, w"),
        ({"cluster": "keyword"}, {"v": TEXTUAL}, Options(vector="w"), "no vector 'w'; next: there are v"),
        ({"cluster": "keyword"}, {"v": TEXTUAL}, Options(assign=True, k=3), "--assign takes the clusters"),
    ],
)
def test_what_does_not_fit_the_index_is_said_before_anything_is_read(
    fields: dict[str, object], vectors: dict[str, object], options: Options, words: str, tmp_path: Path
) -> None:
    index = IndexSpec.model_validate({"name": "shop", "fields": {"title": "text"} | fields, "vectors": vectors})
    nobody: object = None
    with pytest.raises(ConfigError, match=words):
        number_documents(nobody, index, "shop-v1", tmp_path, options, print)  # type: ignore[arg-type]
