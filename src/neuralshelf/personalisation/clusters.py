"""Clusters of products by k-means on their vectors, with a number of clusters that was measured instead of guessed.

Needs scikit-learn (extra `personalisation`). The same vectors and seed give the same clusters on the same machine.
"""

import json
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralshelf.errors import InputError, MissingDependencyError

Vectors = NDArray[np.float32]

MOST_FITTED = 50_000
"""Vectors that k-means is given: at 1,024 dimensions 200 MB. All others are assigned to what it found."""

MOST_MEASURED = 5_000
"""Of them, those on which numbers of clusters are compared: a silhouette takes time with their square."""

LARGEST_K = 256
STARTS = 4
BATCHED = 10_000


@dataclass(frozen=True)
class Quality:
    """How well k clusters fit.

    Attributes:
        silhouette: mean over vectors, -1 to 1: how much nearer one is to its own cluster than to the next, by cosine
            (Rousseeuw, "Silhouettes", 1987).
        stability: adjusted Rand index, up to 1, of the clusters of two random halves, all vectors assigned to each
            (Hubert and Arabie, "Comparing partitions", 1985; Lange et al., "Stability-based validation of clustering
            solutions", 2004).
    """

    k: int
    silhouette: float
    stability: float


@dataclass(frozen=True)
class Clusters:
    """Centroids of length 1, float32, shape (k, dimension); number 0 had the most vectors when they were made."""

    centroids: Vectors

    @property
    def k(self) -> int:
        """How many."""
        return len(self.centroids)

    def assign(self, vectors: Vectors) -> tuple[NDArray[np.int64], Vectors]:
        """The nearest cluster of each vector, and its cosine to that centroid.

        Args:
            vectors: shape (n, dimension), of any length but 0.
        """
        cosines = unit(vectors) @ self.centroids.T
        nearest = cosines.argmax(axis=1)
        return nearest, cosines[np.arange(len(cosines)), nearest]

    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """As a .npz, whole or not at all; `facts` say what the vectors were."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.part")
        with temporary.open("wb") as file:
            np.savez(file, centroids=self.centroids, facts=np.array(json.dumps(facts)))
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path) -> "tuple[Clusters, dict[str, Any]]":
        """Clusters and facts that were saved.

        Raises:
            InputError: there is no such file, or it is none of ours.
        """
        try:
            with np.load(path, allow_pickle=False) as found:
                centroids = np.asarray(found["centroids"], np.float32)
                facts: dict[str, Any] = json.loads(str(found["facts"]))
        except FileNotFoundError:
            raise InputError(f"there are no clusters in {path}", hint="neuralshelf cluster") from None
        except (OSError, ValueError, KeyError):
            raise InputError(f"{path} holds no clusters", hint="delete it, then neuralshelf cluster") from None
        return cls(centroids), facts


def unit(vectors: Vectors) -> Vectors:
    """Vectors of length 1: k-means by distance then groups by angle, as a search by cosine does."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)


def candidates(vectors: int) -> tuple[int, ...]:
    """Numbers of clusters to compare: powers of √2 from 2 up, with four vectors a cluster at the least."""
    largest = min(vectors // 4, LARGEST_K)
    return tuple(sorted({round(2 ** (power / 2)) for power in range(2, 17)} & set(range(2, largest + 1))))


def fit(vectors: Vectors, k: int, *, seed: int = 0) -> Clusters:
    """k-means (k-means++ starts, the best of four); in batches beyond 10,000 vectors.

    Args:
        vectors: shape (n, dimension), n ≥ k.

    Raises:
        InputError: there are fewer vectors than clusters.
        MissingDependencyError: scikit-learn is not installed.
    """
    if not 1 <= k <= len(vectors):
        raise InputError(f"{k} clusters of {len(vectors)} vectors", hint=f"give --k from 1 to {len(vectors)}")
    cluster, _, exceptions, limits = _scikit()
    vectors = unit(vectors)
    if len(vectors) <= BATCHED:
        means = cluster.KMeans(k, n_init=STARTS, random_state=seed)
    else:
        means = cluster.MiniBatchKMeans(k, n_init=STARTS, random_state=seed, batch_size=4096)
    with limits(1), warnings.catch_warnings():  # threads add sums in the order in which they end
        warnings.simplefilter("ignore", exceptions.ConvergenceWarning)  # fewer different vectors than clusters
        means.fit(vectors)
    sizes = np.bincount(means.labels_, minlength=k)
    centres = unit(means.cluster_centers_)
    return Clusters(centres[np.argsort(-sizes, kind="stable")])


def measure(vectors: Vectors, numbers: Iterable[int], *, seed: int = 0) -> list[Quality]:
    """How well each number of clusters fits; of many vectors 5,000, picked by the seed, are looked at.

    Raises:
        InputError, MissingDependencyError: as `fit`.
    """
    _, metrics, _, limits = _scikit()
    draw = np.random.default_rng(seed)
    vectors = unit(vectors[np.sort(draw.permutation(len(vectors))[:MOST_MEASURED])])
    first, second = np.array_split(draw.permutation(len(vectors)), 2)
    found = []
    for k in numbers:
        labels, _ = fit(vectors, k, seed=seed).assign(vectors)
        halves = [fit(vectors[half], min(k, len(half)), seed=seed).assign(vectors)[0] for half in (first, second)]
        several = 1 < len(set(labels.tolist())) < len(vectors)  # a silhouette is of two clusters or more
        with limits(1):
            silhouette = metrics.silhouette_score(vectors, labels, metric="cosine") if several else -1.0
            stability = metrics.adjusted_rand_score(*halves)
        found.append(Quality(k, float(silhouette), float(stability)))
    return found


def best(found: Sequence[Quality]) -> Quality:
    """The number of clusters with the highest silhouette; of equal ones the most stable."""
    return max(found, key=lambda quality: (quality.silhouette, quality.stability))


def _scikit() -> tuple[Any, Any, Any, Any]:
    """`sklearn.cluster`, `.metrics` and `.exceptions`, and a limit of threads."""
    try:
        from sklearn import cluster, exceptions, metrics
        from threadpoolctl import threadpool_limits
    except ImportError:
        raise MissingDependencyError(
            "scikit-learn is not installed", hint="pip install 'neuralshelf[personalisation]'"
        ) from None
    return cluster, metrics, exceptions, threadpool_limits
