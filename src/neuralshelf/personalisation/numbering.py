"""Give the documents of an index their clusters: read a vector of each, find or take clusters, write their ids."""

import hashlib
import heapq
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from opensearchpy import NotFoundError, OpenSearch, TransportError, helpers
from tqdm import tqdm

from neuralshelf.client import reason
from neuralshelf.errors import ConfigError, EngineError, InputError
from neuralshelf.personalisation import clusters
from neuralshelf.personalisation.clusters import Clusters, Quality, Vectors
from neuralshelf.pipelines.clusters import Centroids, ClusterSpec
from neuralshelf.pipelines.spec import IndexSpec

PAGE = 500
KEEP_ALIVE = "10m"
TYPICAL = 3
MOST_RETRIES = 6


@dataclass(frozen=True)
class Options:
    """How to cluster.

    Attributes:
        k: how many; None as many as there are, or if there are none, the best of several.
        seed: of every choice by chance.
        fresh: begin anew instead of where clusters are; ids go on where most documents do.
        assign: find none: number documents by the clusters that there are.
        dry_run: write nothing, neither documents nor clusters.
    """

    k: int | None = None
    seed: int = 0
    fresh: bool = False
    assign: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Group:
    """A cluster: how many documents are in it, and those nearest to its centroid: their ids and texts."""

    id: str
    documents: int
    typical: tuple[str, ...]
    nearest: tuple[str, ...]


@dataclass(frozen=True)
class Clustered:
    """What was found and done.

    Attributes:
        written: documents whose cluster changed; with --dry-run those that would change.
        gone: of them, those that were deleted meanwhile.
        without: documents without the vector, which get no cluster.
        measured: numbers of clusters that were compared.
        kept: share of the documents that had a cluster and are still in it; None when none had.
        file: where the clusters are kept.
    """

    index: str
    vector: str
    k: int
    documents: int
    without: int
    written: int
    gone: int
    groups: tuple[Group, ...]
    file: str
    measured: tuple[Quality, ...] = ()
    kept: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


@dataclass
class _Tally:
    """What assigning has seen so far; `nearest` keeps (cosine, order, id, text) of each cluster's most typical."""

    sizes: Counter[str] = field(default_factory=Counter)
    nearest: dict[str, list[tuple[float, int, str, str]]] = field(default_factory=dict)
    had: int = 0
    changed: list[tuple[str, str | None, str]] = field(default_factory=list)
    moved: int = 0

    def add(
        self, hit: Mapping[str, Any], cluster: str, cosine: float, before: str | None, text: str, *, lacks: bool
    ) -> None:
        """Count a document."""
        kept = self.nearest.setdefault(cluster, [])
        item = (cosine, -self.sizes.total(), hit["_id"], text)
        self.sizes[cluster] += 1
        (heapq.heappush if len(kept) < TYPICAL else heapq.heappushpop)(kept, item)
        self.had += before is not None
        self.moved += before not in (None, cluster)
        if before != cluster or lacks:
            self.changed.append((hit["_id"], hit.get("_routing"), cluster))

    def groups(self) -> tuple[Group, ...]:
        """The largest first."""
        found = []
        for cluster, size in sorted(self.sizes.items(), key=lambda item: (-item[1], item[0])):
            _, _, ids, texts = zip(*sorted(self.nearest[cluster], reverse=True), strict=True)
            found.append(Group(cluster, size, texts, ids))
        return tuple(found)


def number_documents(
    client: OpenSearch,
    index: IndexSpec,
    spec: ClusterSpec,
    generation: str,
    file: Path,
    options: Options,
    say: Callable[[str], object],
    also: Mapping[str, int] | None = None,
) -> Clustered:
    """Give documents of the index the id of their cluster, by one of their vectors.

    Only documents whose cluster changes are written, by partial updates that run no pipeline and leave vectors alone.

    Args:
        generation: of the index (`Deployment.generation`): clusters are good for the vectors of one only.
        file: where clusters are kept.
        also: further fields that every document should have, with their values.

    Raises:
        ConfigError: the file holds something else, or --k and `apply` go against each other.
        InputError: there are too few vectors, or no clusters to assign to.
        NeuralshelfError: the cluster can't be reached, scikit-learn is not installed.
    """
    if options.assign and (options.k is not None or options.fresh):
        raise ConfigError("cluster apply takes the clusters that there are", hint="leave out apply, or --k and --fresh")
    old = Centroids.read(file)
    if old is not None and (old.generation, old.vector) != (generation, spec.vector):
        old = None
    shown = next((name for name, kind in index.fields.items() if kind == "text"), spec.field)
    also = also or {}
    reader = _Reader(client, index.name, spec.vector, (spec.field, shown, *also))
    measured: Sequence[Quality] = ()
    if not options.assign:
        before = None if old is None else Clusters.of(old)
        found, measured = _found(reader.sample(options.seed), before, options, say)
        kept = found.keep(generation, spec.vector)
    elif old is None:
        raise InputError(f"there are no clusters of {spec.vector}, {generation}, in {file}", hint="neuralshelf cluster")
    else:
        kept = old
    nearest, tally = Clusters.of(kept), _Tally()
    for page in reader.pages("assign"):
        places, cosines = nearest.nearest(np.array([hit["_source"][spec.vector] for hit in page], np.float32))
        for hit, place, cosine in zip(page, places.tolist(), cosines.tolist(), strict=True):
            source = hit["_source"]
            text = str(source.get(shown, hit["_id"]))
            lacks = any(source.get(name) != value for name, value in also.items())
            tally.add(hit, nearest.ids[place], cosine, source.get(spec.field), text, lacks=lacks)
    gone = 0
    if not options.dry_run:
        if not options.assign:
            kept.write(file)
        gone = _write(client, index.name, spec.field, tally.changed, also)
    return Clustered(
        index=index.name,
        vector=spec.vector,
        k=nearest.k,
        documents=tally.sizes.total(),
        without=reader.without(),
        written=len(tally.changed) - gone,
        gone=gone,
        groups=tally.groups(),
        file=str(file),
        measured=tuple(measured),
        kept=1 - tally.moved / tally.had if tally.had else None,
    )


def _found(
    vectors: Vectors, old: Clusters | None, options: Options, say: Callable[[str], object]
) -> tuple[Clusters, Sequence[Quality]]:
    if old is not None and not options.fresh and options.k in (None, old.k):
        return clusters.refit(vectors, old, seed=options.seed), ()
    measured: Sequence[Quality] = ()
    if options.k is None:
        numbers = clusters.candidates(len(vectors))
        if not numbers:
            raise InputError(f"{len(vectors)} vectors are too few to choose a number of clusters", hint="give --k N")
        say(f"comparing {len(numbers)} numbers of clusters, {numbers[0]} to {numbers[-1]}")
        shown = tqdm(numbers, desc="measure", file=sys.stderr, disable=not sys.stderr.isatty())
        measured = clusters.measure(vectors, shown, seed=options.seed)
    k = clusters.best(measured).k if options.k is None else options.k
    found = clusters.fit(vectors, k, seed=options.seed)
    return found if old is None else clusters.renamed(found, old, vectors), measured


@dataclass(frozen=True)
class _Reader:
    """Reads documents that have a vector, by pages of the index as it is at one moment."""

    client: OpenSearch
    index: str
    vector: str
    fields: Sequence[str]

    def sample(self, seed: int) -> Vectors:
        """At most `MOST_FITTED` vectors, the same ones for the same documents, in the order of their ids."""
        kept: list[tuple[int, str, Vectors]] = []
        for page in self.pages("read"):
            for hit in page:
                drawn = hashlib.blake2b(f"{seed} {hit['_id']}".encode(), digest_size=8).digest()
                item = (-int.from_bytes(drawn), hit["_id"], np.array(hit["_source"][self.vector], np.float32))
                # the vector is never compared: no two ids are equal
                (heapq.heappush if len(kept) < clusters.MOST_FITTED else heapq.heappushpop)(kept, item)
        if not kept:
            raise InputError(f"no document of {self.index} has a {self.vector}", hint="neuralshelf ingest FILE")
        return np.stack([vector for _, _, vector in sorted(kept, key=lambda item: item[1])])

    def pages(self, desc: str) -> Iterator[list[Mapping[str, Any]]]:
        """Hits with the vector and the fields.

        Raises:
            EngineError: there is no such index.
        """
        body = {
            "size": PAGE,
            "query": {"exists": {"field": self.vector}},
            "sort": ["_doc"],
            "track_total_hits": True,
            "_source": [self.vector, *self.fields],
        }
        options = {"scroll": KEEP_ALIVE, "search_pipeline": "_none", "allow_partial_search_results": "false"}
        try:
            self.client.indices.refresh(index=self.index)
            answer = self.client.search(index=self.index, body=body, params=options)
        except NotFoundError:
            raise EngineError(f"there is no index {self.index}", hint="neuralshelf apply, then ingest") from None
        except TransportError as fault:
            raise EngineError(f"index {self.index} can't be read: {reason(fault)}", hint="neuralshelf doctor") from None
        total = answer["hits"]["total"]["value"]
        with tqdm(total=total, unit="doc", desc=desc, file=sys.stderr, disable=not sys.stderr.isatty()) as bar:
            try:
                while hits := answer["hits"]["hits"]:
                    yield hits
                    bar.update(len(hits))
                    answer = self.client.scroll(scroll_id=answer["_scroll_id"], params={"scroll": KEEP_ALIVE})
            finally:
                with suppress(TransportError):  # it goes by itself after KEEP_ALIVE
                    self.client.clear_scroll(scroll_id=answer["_scroll_id"])

    def without(self) -> int:
        """Documents that have no such vector."""
        query = {"bool": {"must_not": [{"exists": {"field": self.vector}}]}}
        body = {"size": 0, "track_total_hits": True, "query": query}
        answer = self.client.search(index=self.index, body=body, params={"search_pipeline": "_none"})
        return int(answer["hits"]["total"]["value"])


def _write(
    client: OpenSearch, index: str, field: str, changed: Sequence[tuple[str, str | None, str]], also: Mapping[str, int]
) -> int:
    """Partial updates in bulks, throttled ones repeated; returns how many documents were gone.

    Raises:
        EngineError: an update was refused.
    """
    actions = (
        {
            "_op_type": "update",
            "_index": index,
            "_id": identity,
            **({"routing": routing} if routing else {}),
            "retry_on_conflict": 3,
            "doc": {field: value, **also},
        }
        for identity, routing, value in changed
    )
    gone = 0
    with tqdm(total=len(changed), unit="doc", desc="write", file=sys.stderr, disable=not sys.stderr.isatty()) as bar:
        for done, item in helpers.streaming_bulk(
            client, actions, max_retries=MOST_RETRIES, initial_backoff=1, raise_on_error=False
        ):
            bar.update()
            if done:
                continue
            (result,) = item.values()
            if result["status"] != 404:
                error = result["error"]
                cause = error.get("reason", error) if isinstance(error, Mapping) else error
                raise EngineError(
                    f"document {result['_id']} of {index}: {field} can't be written: {cause}",
                    hint="neuralshelf status, then cluster again: what is written stays",
                )
            gone += 1
    client.indices.refresh(index=index)
    return gone
