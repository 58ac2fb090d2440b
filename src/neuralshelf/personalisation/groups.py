"""What is in each cluster, told while documents go by: how many, which are typical, what they have in common."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from neuralshelf.personalisation.clusters import Clusters
from neuralshelf.personalisation.documents import drawn

SHOWN = 6
"""Documents of a cluster that are told: so many nearest to its centroid, and so many at random."""

NEIGHBOURS = 3
MOST_VALUES = 1_000
"""A keyword field with more values names things, it does not describe them."""

MOST_COMMON = 3  # of a field
MOST_TOLD = 8
LEAST_SHARE = 0.1


@dataclass(frozen=True)
class Member:
    """A document: its id, what it is called, and its `image_path` ("" without one)."""

    id: str
    text: str
    picture: str = ""


@dataclass(frozen=True)
class Common:
    """A value of a keyword field: the share of the cluster's documents that have it, and of all documents."""

    field: str
    value: str
    share: float
    overall: float


@dataclass(frozen=True)
class Near:
    """Another cluster, and the cosine of both centroids."""

    id: str
    cosine: float


@dataclass(frozen=True)
class Group:
    """A cluster.

    Attributes:
        documents: how many are in it; `share` of all that are in clusters.
        nearest: those nearest to the centroid, the nearest first.
        random: others, by the seed.
        common: values that several documents share, a tenth of them at least and more of them than of all; what tells
            the cluster from others comes first.
        near: clusters that it could be taken for.
    """

    id: str
    documents: int
    share: float
    nearest: tuple[Member, ...]
    random: tuple[Member, ...]
    common: tuple[Common, ...]
    near: tuple[Near, ...]


@dataclass
class Tally:
    """What has gone by so far; memory grows with clusters, not with documents.

    Attributes:
        shown: field that says what a document is. picture: field of its `image_path`. keywords: fields to count.
        seed: of the choice at random.
        had: documents that had a cluster before; `moved` of them are in another now.
    """

    shown: str
    picture: str
    keywords: Sequence[str]
    seed: int = 0
    sizes: Counter[str] = field(default_factory=Counter)
    had: int = 0
    moved: int = 0
    _nearest: dict[str, list[tuple[float, int, Member]]] = field(default_factory=dict)
    _random: dict[str, list[tuple[float, int, Member]]] = field(default_factory=dict)
    _values: dict[str, defaultdict[str, Counter[str]]] = field(default_factory=dict)
    _everywhere: dict[str, Counter[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._everywhere = {name: Counter() for name in self.keywords}
        self._values = {name: defaultdict(Counter) for name in self.keywords}

    def add(self, hit: Mapping[str, Any], cluster: str, cosine: float, before: str | None) -> None:
        """Count a document.

        Args:
            cosine: to the centroid.
            before: its cluster till now.
        """
        source, order = hit.get("_source", {}), -self.sizes.total()
        member = Member(hit["_id"], str(source.get(self.shown) or hit["_id"]), str(source.get(self.picture) or ""))
        _keep(self._nearest.setdefault(cluster, []), (cosine, order, member), SHOWN)
        # twice as many, since some may be among the nearest
        _keep(self._random.setdefault(cluster, []), (-drawn(self.seed, member.id), order, member), 2 * SHOWN)
        self.sizes[cluster] += 1
        self.had += before is not None
        self.moved += before not in (None, cluster)
        for name in tuple(self._everywhere):
            for value in _values(source.get(name)):
                self._everywhere[name][value] += 1
                self._values[name][cluster][value] += 1
            if len(self._everywhere[name]) > MOST_VALUES:
                del self._everywhere[name], self._values[name]

    def groups(self, clusters: Clusters) -> tuple[Group, ...]:
        """The largest first."""
        near = _neighbours(clusters)
        found = []
        for cluster, size in sorted(self.sizes.items(), key=lambda item: (-item[1], item[0])):
            nearest = _best(self._nearest[cluster])
            others = [member for member in _best(self._random[cluster]) if member not in nearest]
            share = size / self.sizes.total()
            common = sorted(self._common(cluster, size), key=lambda one: one.overall - one.share)[:MOST_TOLD]
            found.append(Group(cluster, size, share, nearest, tuple(others[:SHOWN]), tuple(common), near[cluster]))
        return tuple(found)

    def _common(self, cluster: str, size: int) -> Iterator[Common]:
        """Values that are more frequent here than elsewhere."""
        for name, values in self._values.items():
            often = sorted(values[cluster].items(), key=lambda item: (-item[1], item[0]))
            for value, count in often[:MOST_COMMON]:
                share, overall = count / size, self._everywhere[name][value] / self.sizes.total()
                if count > 1 and share >= LEAST_SHARE and share > overall:
                    yield Common(name, value, share, overall)


def _keep(heap: list[tuple[float, int, Member]], item: tuple[float, int, Member], most: int) -> None:
    """The greatest; `order` is different for each, so that members are never compared."""
    (heapq.heappush if len(heap) < most else heapq.heappushpop)(heap, item)


def _best(heap: Sequence[tuple[float, int, Member]]) -> tuple[Member, ...]:
    return tuple(member for _, _, member in sorted(heap, key=lambda item: item[:2], reverse=True))


def _values(value: Any) -> set[str]:
    """Of a field that may hold several."""
    some = value if isinstance(value, list) else [value]
    return {str(one) for one in some if one is not None and one != ""}


def _neighbours(clusters: Clusters) -> dict[str, tuple[Near, ...]]:
    cosines = clusters.centroids @ clusters.centroids.T
    found = {}
    for place, identity in enumerate(clusters.ids):
        order = [int(other) for other in (-cosines[place]).argsort(kind="stable") if other != place]
        near = (Near(clusters.ids[other], float(cosines[place, other])) for other in order[:NEIGHBOURS])
        found[identity] = tuple(near)
    return found
