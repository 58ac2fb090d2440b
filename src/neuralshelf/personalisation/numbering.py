"""Number the documents of an index by clusters: read a vector of each, find or take clusters, write the numbers."""

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
from neuralshelf.pipelines.spec import IndexSpec

PAGE = 500
KEEP_ALIVE = "10m"
TYPICAL = 3
MOST_RETRIES = 6


@dataclass(frozen=True)
class Options:
    """How to cluster.

    Attributes:
        k: how many; None measures several and takes the best.
        seed: of every choice by chance.
        vector: field; None is the only one, or the only one with a picture.
        field: that gets the cluster's number, a keyword or integer field of the index.
        assign: take the clusters that were found last, so that numbers keep their meaning, and find none.
        dry_run: write nothing, neither documents nor clusters.
    """

    k: int | None = None
    seed: int = 0
    vector: str | None = None
    field: str = "cluster"
    assign: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Group:
    """A cluster: how many documents are in it, and the texts of those nearest to its centroid."""

    number: int
    documents: int
    typical: tuple[str, ...]


@dataclass(frozen=True)
class Clustered:
    """What was found and done.

    Attributes:
        written: documents whose number changed; with --dry-run those that would change.
        gone: of them, those that were deleted meanwhile.
        without: documents without the vector, which get no number.
        measured: numbers of clusters that were compared.
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

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


@dataclass
class _Tally:
    """What assigning has seen so far; `nearest` keeps (cosine, order, text) of each cluster's most typical."""

    sizes: Counter[int] = field(default_factory=Counter)
    nearest: dict[int, list[tuple[float, int, str]]] = field(default_factory=dict)

    def add(self, number: int, cosine: float, text: str) -> None:
        """Count a document."""
        kept = self.nearest.setdefault(number, [])
        item = (cosine, -self.sizes.total(), text)
        self.sizes[number] += 1
        (heapq.heappush if len(kept) < TYPICAL else heapq.heappushpop)(kept, item)

    def groups(self) -> tuple[Group, ...]:
        """The largest first."""
        return tuple(
            Group(number, size, tuple(text for _, _, text in sorted(self.nearest[number], reverse=True)))
            for number, size in sorted(self.sizes.items(), key=lambda item: (-item[1], item[0]))
        )


def number_documents(
    client: OpenSearch,
    index: IndexSpec,
    generation: str,
    folder: Path,
    options: Options,
    say: Callable[[str], object],
) -> Clustered:
    """Number the documents of the index by clusters of one of their vectors.

    Only documents whose number changes are written, by partial updates that run no pipeline and leave vectors alone.

    Args:
        generation: of the index (`Deployment.generation`): clusters are good for the vectors of one only.
        folder: where clusters are kept.

    Raises:
        ConfigError: the index has no such field or vector, or --k and --assign go against each other.
        InputError: there are too few vectors, or no clusters to assign to.
        NeuralshelfError: the cluster can't be reached, scikit-learn is not installed.
    """
    vector = _vector(index, options.vector)
    _require_field(index, options.field)
    if options.assign and options.k is not None:
        raise ConfigError("--assign takes the clusters that there are", hint="leave out --k or --assign")
    file = folder / f"{index.physical_name}-{vector}.npz"
    facts = {"generation": generation, "vector": vector}
    shown = next((name for name, kind in index.fields.items() if kind == "text"), options.field)
    reader = _Reader(client, index.name, vector, (options.field, shown))
    measured: Sequence[Quality] = ()
    if options.assign:
        found, known = Clusters.load(file)
        if {key: known.get(key) for key in facts} != facts:
            raise InputError(
                f"{file} is of {known.get('vector')}, {known.get('generation')}",
                hint="neuralshelf cluster without --assign",
            )
    else:
        found, measured = _found(reader.sample(options.seed), options, say)
    tally, changed = _Tally(), []
    for page in reader.pages("assign"):
        numbers, cosines = found.assign(np.array([hit["_source"][vector] for hit in page], np.float32))
        for hit, number, cosine in zip(page, numbers.tolist(), cosines.tolist(), strict=True):
            source = hit["_source"]
            tally.add(number, cosine, str(source.get(shown, hit["_id"])))
            value = number if index.fields[options.field] == "integer" else str(number)
            if source.get(options.field) != value:
                changed.append((hit["_id"], hit.get("_routing"), value))
    gone = 0
    if not options.dry_run:
        if not options.assign:
            found.save(file, facts | {"k": found.k, "seed": options.seed})
        gone = _write(client, index.name, options.field, changed)
    return Clustered(
        index=index.name,
        vector=vector,
        k=found.k,
        documents=tally.sizes.total(),
        without=reader.without(),
        written=len(changed) - gone,
        gone=gone,
        groups=tally.groups(),
        file=str(file),
        measured=tuple(measured),
    )


def _found(vectors: Vectors, options: Options, say: Callable[[str], object]) -> tuple[Clusters, Sequence[Quality]]:
    if options.k is not None:
        return clusters.fit(vectors, options.k, seed=options.seed), ()
    numbers = clusters.candidates(len(vectors))
    if not numbers:
        raise InputError(f"{len(vectors)} vectors are too few to choose a number of clusters", hint="give --k N")
    say(f"comparing {len(numbers)} numbers of clusters, {numbers[0]} to {numbers[-1]}")
    shown = tqdm(numbers, desc="measure", file=sys.stderr, disable=not sys.stderr.isatty())
    measured = clusters.measure(vectors, shown, seed=options.seed)
    return clusters.fit(vectors, clusters.best(measured).k, seed=options.seed), measured


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


def _write(client: OpenSearch, index: str, field: str, changed: Sequence[tuple[str, str | None, int | str]]) -> int:
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
            "doc": {field: value},
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


def _vector(index: IndexSpec, name: str | None) -> str:
    if name is None:
        pictured = [field for field, vector in index.vectors.items() if vector.image is not None]
        (name, *more) = pictured or list(index.vectors)
        if more:
            raise ConfigError(f"there are several vectors: {', '.join([name, *more])}", hint="choose one with --vector")
    if name not in index.vectors:
        raise ConfigError(f"the index has no vector {name!r}", hint=f"there are {', '.join(index.vectors)}")
    return name


def _require_field(index: IndexSpec, name: str) -> None:
    if index.fields.get(name) not in ("keyword", "integer"):
        raise ConfigError(
            f"the index has no keyword or integer field {name!r} for the number of the cluster",
            hint=f"add {name}: keyword to index.fields, then neuralshelf apply; or choose one with --field",
        )
