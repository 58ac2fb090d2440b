"""Documents of an index that have a vector: read by pages, sampled, given a field; and how many have none."""

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from opensearchpy import OpenSearch, TransportError, helpers

from neuralshelf.batches import batches
from neuralshelf.client import reason
from neuralshelf.errors import EngineError, InputError
from neuralshelf.personalisation.clusters import MOST_FITTED, Vectors
from neuralshelf.pipelines.spec import VectorSpec
from neuralshelf.scroll import MOST, PAGE, pages

MOST_RETRIES = 6
BULK_SECONDS = 300
AGAIN = "neuralshelf status, then cluster apply: what is written stays"
EXAMPLES = 5

Hit = Mapping[str, Any]


def drawn(seed: int, identity: str) -> int:
    """A number by chance, always the same one for a document and a seed: who takes the smallest takes a sample."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {identity}".encode(), digest_size=8).digest())


@dataclass(frozen=True)
class Without:
    """Documents that have no vector.

    Attributes:
        empty: of them, those with nothing to make it from; the others were not embedded.
        examples: ids of some.
    """

    documents: int
    empty: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        """The causes."""
        failed = self.documents - self.empty
        causes = [f"{self.empty} with nothing to make it from"] if self.empty else []
        causes += [f"{failed} not embedded (neuralshelf repair)"] if failed else []
        return ", ".join(causes)


@dataclass(frozen=True)
class Documents:
    """Those of an index that have a vector; memory does not grow with their number.

    Attributes:
        vector: its field.
        alone: whether it is the index's only one. Then documents are read whole, in half the time: OpenSearch parses
            and writes again what it is to leave something out of. Other vectors would cost more than that.
    """

    client: OpenSearch
    index: str
    vector: str
    alone: bool = False

    def pages(self, fields: Iterable[str], desc: str) -> Iterator[list[dict[str, Any]]]:
        """Hits with the vector and at least these fields.

        Raises:
            EngineError: there is no such index, or it can't be read.
        """
        body = {"query": self._have, "_source": self._source(fields)}
        return pages(self.client, self.index, body, desc)

    def sample(self, seed: int) -> Vectors:
        """At most `MOST_FITTED` vectors, the same ones for the same documents, in the order of their ids.

        Raises:
            EngineError: as `pages`.
            InputError: no document has the vector.
        """
        chosen: list[tuple[int, str]] = []
        for page in pages(self.client, self.index, {"query": self._have, "_source": False}, "look", size=MOST):
            for hit in page:
                item = (-drawn(seed, hit["_id"]), hit["_id"])
                (heapq.heappush if len(chosen) < MOST_FITTED else heapq.heappushpop)(chosen, item)
        found: dict[str, Vectors] = {}
        for ids in batches(sorted(identity for _, identity in chosen), MOST):
            body = {"query": {"ids": {"values": ids}}, "_source": self._source(())}
            for page in pages(self.client, self.index, body, "read"):
                for hit in page:
                    found[hit["_id"]] = np.array(hit["_source"].get(self.vector) or (), np.float32)
        vectors = [found[identity] for identity in sorted(found) if found[identity].size]
        if not vectors:
            raise InputError(f"no document of {self.index} has a {self.vector}", hint="neuralshelf ingest FILE")
        return np.stack(vectors)

    def without(self, spec: VectorSpec) -> Without:
        """How many documents have no vector, and why.

        Args:
            spec: what the vector is made of.
        """
        made_of = [*spec.text, *(spec.stamps(self.vector) if spec.image is not None else ())]
        something = {"bool": {"should": [{"exists": {"field": field}} for field in made_of]}}
        body = {
            "size": EXAMPLES,
            "sort": ["_doc"],
            "track_total_hits": True,
            "_source": False,
            "query": {"bool": {"must_not": [self._have]}},
            "aggs": {"something": {"filter": something}},
        }
        answer = self.client.search(index=self.index, body=body, params={"search_pipeline": "_none"})
        total = int(answer["hits"]["total"]["value"])
        empty = total - int(answer["aggregations"]["something"]["doc_count"])
        return Without(total, empty, tuple(hit["_id"] for hit in answer["hits"]["hits"]))

    def write(self, updates: Iterable[tuple[Hit, Mapping[str, Any]]]) -> tuple[int, int]:
        """Partial updates, which run no pipeline and leave vectors alone, as they come; throttled ones are repeated.

        Args:
            updates: a hit, and fields with their values.

        Returns:
            How many were written, and how many documents were gone.

        Raises:
            EngineError: an update was refused. What was written before stays.
        """
        actions = (
            {
                "_op_type": "update",
                "_index": self.index,
                "_id": hit["_id"],
                **({"routing": hit["_routing"]} if "_routing" in hit else {}),
                "retry_on_conflict": 3,
                "doc": dict(fields),
            }
            for hit, fields in updates
        )
        options: dict[str, Any] = {
            "chunk_size": PAGE,
            "max_retries": MOST_RETRIES,
            "initial_backoff": 1,
            "raise_on_error": False,
        }
        written = gone = 0
        try:
            for done, item in helpers.streaming_bulk(self.client, actions, request_timeout=BULK_SECONDS, **options):
                (result,) = item.values()
                if done:
                    written += 1
                elif result["status"] == 404:
                    gone += 1
                else:
                    error = result["error"]
                    cause = error.get("reason", error) if isinstance(error, Mapping) else error
                    raise EngineError(f"document {result['_id']} of {self.index} can't be written: {cause}", hint=AGAIN)
        except TransportError as fault:
            raise EngineError(f"index {self.index} can't be written: {reason(fault)}", hint=AGAIN) from None
        return written, gone

    def _source(self, fields: Iterable[str]) -> bool | list[str]:
        return True if self.alone else [self.vector, *fields]

    @property
    def _have(self) -> Mapping[str, Any]:
        return {"exists": {"field": self.vector}}


def shown_field(fields: Mapping[str, str], other: str) -> str:
    """The field that says what a document is: the first text, else `other`."""
    return next((name for name, kind in fields.items() if kind == "text"), other)


def keywords(fields: Mapping[str, str], but: Sequence[str]) -> tuple[str, ...]:
    """Keyword fields, some left out."""
    return tuple(name for name, kind in fields.items() if kind == "keyword" and name not in but)
