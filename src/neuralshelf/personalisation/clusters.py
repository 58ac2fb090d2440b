"""Clusters of products by k-means on their vectors, with a number of clusters that was measured instead of guessed.

Needs scikit-learn (extra `personalisation`). The same vectors and seed give the same clusters on the same machine.
"""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from neuralshelf.errors import InputError, MissingDependencyError
from neuralshelf.pipelines.clusters import SCALE, Centroids

Vectors = NDArray[np.float32]

MOST_FITTED = 50_000
"""Vectors that k-means is given: at 1,024 dimensions 200 MB. All others are assigned to what it found."""

MOST_MEASURED = 5_000
"""Of them, those on which numbers of clusters are compared: a silhouette takes time with their square."""

LARGEST_K = 256
STARTS = 4
STEPS = 2
BATCHED = 10_000
SETTLING = 50


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
    """Centroids of length 1, float32, shape (k, dimension), and the id of each.

    Found for the first time, "0" is the one with the most vectors.
    """

    centroids: Vectors
    ids: tuple[str, ...]

    @classmethod
    def of(cls, kept: Centroids) -> Self:
        """As they come out of their file: what the ingest pipeline reckons with."""
        return cls(unit(np.array(kept.centroids, np.float32)), kept.ids)

    @property
    def k(self) -> int:
        """How many."""
        return len(self.centroids)

    def nearest(self, vectors: Vectors) -> tuple[NDArray[np.int64], Vectors]:
        """The place of the nearest cluster of each vector, and its cosine to that centroid.

        Args:
            vectors: shape (n, dimension), of any length but 0.
        """
        cosines = unit(vectors) @ self.centroids.T
        places = cosines.argmax(axis=1)
        return places, cosines[np.arange(len(cosines)), places]

    def keep(self, generation: str, vector: str) -> Centroids:
        """As they go into their file."""
        largest = np.abs(self.centroids).max(axis=1, keepdims=True)
        whole = np.rint(self.centroids / largest * SCALE).astype(int).tolist()
        return Centroids(generation=generation, vector=vector, ids=self.ids, centroids=tuple(map(tuple, whole)))


def unit(vectors: Vectors) -> Vectors:
    """Vectors of length 1: k-means by distance then groups by angle, as a search by cosine does."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)


def candidates(vectors: int) -> tuple[int, ...]:
    """Numbers of clusters to compare: powers of √2 from 2 up, with four vectors a cluster at the least."""
    largest = min(vectors // 4, LARGEST_K)
    return tuple(sorted({round(2 ** (power / 2)) for power in range(2, 17)} & set(range(2, largest + 1))))


def fit(vectors: Vectors, k: int, *, seed: int = 0) -> Clusters:
    """k-means (k-means++ starts, the best of four); beyond 10,000 vectors in batches first.

    Args:
        vectors: shape (n, dimension), n ≥ k.

    Raises:
        InputError: there are fewer vectors than clusters.
        MissingDependencyError: scikit-learn is not installed.
    """
    if not 1 <= k <= len(vectors):
        raise InputError(f"{k} clusters of {len(vectors)} vectors", hint=f"give --k from 1 to {len(vectors)}")
    centres, labels = _means(unit(vectors), k, seed=seed, n_init=STARTS)
    sizes = np.bincount(labels, minlength=k)
    return Clusters(centres[np.argsort(-sizes, kind="stable")], tuple(map(str, range(k))))


def refit(vectors: Vectors, old: Clusters, *, seed: int = 0) -> Clusters:
    """The clusters that there were, two steps of k-means nearer to where vectors are now; they keep their ids.

    Not more steps: in vectors without groups, each carries a further per cent of them over a border.

    Raises:
        InputError, MissingDependencyError: as `fit`.
    """
    if old.k > len(vectors):
        raise InputError(f"{old.k} clusters of {len(vectors)} vectors", hint=f"give --k from 1 to {len(vectors)}")
    centres, _ = _means(unit(vectors), old.k, seed=seed, n_init=1, init=old.centroids, max_iter=STEPS)
    return Clusters(centres, old.ids)


def renamed(new: Clusters, old: Clusters, vectors: Vectors) -> Clusters:
    """`new` with the ids of `old` where both have most of the vectors in common; the others get numbers beyond.

    Pairs are chosen for the most vectors in all (Kuhn, "The Hungarian method for the assignment problem", 1955).

    Raises:
        MissingDependencyError: as `fit`.
    """
    _scikit()
    from scipy.optimize import linear_sum_assignment

    common = np.zeros((new.k, old.k), np.int64)
    np.add.at(common, (new.nearest(vectors)[0], old.nearest(vectors)[0]), 1)
    pairs = dict(zip(*(places.tolist() for places in linear_sum_assignment(-common)), strict=True))
    beyond = count(max((int(known) for known in old.ids if known.isdecimal()), default=-1) + 1)
    shared = {place: old.ids[pairs[place]] for place in pairs if common[place, pairs[place]]}
    return Clusters(new.centroids, tuple(shared.get(place) or str(next(beyond)) for place in range(new.k)))


def measure(vectors: Vectors, numbers: Iterable[int], *, seed: int = 0) -> list[Quality]:
    """How well each number of clusters fits; of many vectors 5,000, picked by the seed, are looked at.

    Raises:
        InputError, MissingDependencyError: as `fit`.
    """
    _, metrics, _, limits = _scikit()
    draw = np.random.default_rng(seed)
    vectors = unit(vectors[np.sort(draw.permutation(len(vectors))[:MOST_MEASURED])])
    first, second = np.array_split(draw.permutation(len(vectors)), 2)
    with limits(1):
        distances = metrics.pairwise_distances(vectors, metric="cosine")
    found = []
    for k in numbers:
        labels, _ = fit(vectors, k, seed=seed).nearest(vectors)
        halves = [fit(vectors[half], min(k, len(half)), seed=seed).nearest(vectors)[0] for half in (first, second)]
        several = 1 < len(set(labels.tolist())) < len(vectors)  # a silhouette is of two clusters or more
        with limits(1):
            silhouette = metrics.silhouette_score(distances, labels, metric="precomputed") if several else -1.0
            stability = metrics.adjusted_rand_score(*halves)
        found.append(Quality(k, float(silhouette), float(stability)))
    return found


def best(found: Sequence[Quality]) -> Quality:
    """The number of clusters with the highest silhouette; of equal ones the most stable."""
    return max(found, key=lambda quality: (quality.silhouette, quality.stability))


def _means(vectors: Vectors, k: int, **options: Any) -> tuple[Vectors, NDArray[np.int64]]:
    """Centres of length 1 and the place of each vector's."""
    cluster, _, exceptions, limits = _scikit()
    seed = options.pop("seed")
    with limits(1), warnings.catch_warnings():  # threads add sums in the order in which they end
        warnings.simplefilter("ignore", exceptions.ConvergenceWarning)  # fewer different vectors than clusters
        if len(vectors) > BATCHED and "init" not in options:
            rough = cluster.MiniBatchKMeans(k, batch_size=4096, random_state=seed, **options).fit(vectors)
            # batches end somewhere near: without these steps the next `refit` would make them, at the cost of ids
            options = {"n_init": 1, "init": rough.cluster_centers_, "max_iter": SETTLING}
        means = cluster.KMeans(k, random_state=seed, **options).fit(vectors)
    return unit(means.cluster_centers_), means.labels_


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
