"""What changed in an index: its documents in the order of their last operations, shard by shard."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opensearchpy import OpenSearch

from neuralshelf.errors import EngineError, ProvisionError

PAGE = 256
IDS = 2000


@dataclass(frozen=True)
class Changed:
    """A document as its last operation left it.

    Attributes:
        number: sequence number of that operation, which grows with every operation on its shard.
        version, term: as the engine counts them.
        source: {} where it was not asked for.
    """

    id: str
    shard: int
    number: int
    term: int
    version: int
    routing: str | None
    source: Mapping[str, Any]


def checkpoints(client: OpenSearch, index: str) -> dict[int, int]:
    """Shard -> the sequence number up to which every operation is done, everywhere.

    Raises:
        EngineError: a shard is not there.
    """
    found = client.indices.stats(index=index, params={"level": "shards"})["indices"][index]["shards"]
    known = {}
    for shard, copies in found.items():
        for copy in copies:
            if copy["routing"]["primary"] and "seq_no" in copy:
                known[int(shard)] = int(copy["seq_no"]["global_checkpoint"])
    expected = int(client.indices.get_settings(index=index)[index]["settings"]["index"]["number_of_shards"])
    if len(known) < expected:
        raise EngineError(f"index {index}: a shard is not there", hint="wait for a green index, then migrate again")
    return known


def deletions(client: OpenSearch, index: str) -> dict[str, int]:
    """Shard and its node -> deletions counted there. Differs from before when something may have been deleted."""
    found = client.indices.stats(index=index, params={"level": "shards"})["indices"][index]["shards"]
    return {
        f"{shard} {copy['routing']['node']}": int(copy["indexing"]["delete_total"])
        for shard, copies in found.items()
        for copy in copies
        if copy["routing"]["primary"]
    }


def changes(
    client: OpenSearch,
    index: str,
    since: Mapping[int, int],
    until: Mapping[int, int],
    *,
    without: Sequence[str] = (),
    source: bool = True,
) -> Iterator[list[Changed]]:
    """Pages of documents whose last operation is after `since` and not after `until`; refresh the index before.

    One that changes while this goes on has its last operation after `until`, and is left to the next time.

    Args:
        without: fields that are not read.
        source: False reads no fields at all.
    """
    size = PAGE if source else IDS
    for shard, last in sorted(until.items()):
        number = since.get(shard, -1)
        while number < last:
            found = client.search(
                index=index,
                body={
                    "query": {"range": {"_seq_no": {"gt": number, "lte": last}}},
                    "sort": [{"_seq_no": "asc"}],
                    "size": size,
                    "version": True,
                    "seq_no_primary_term": True,
                    "track_total_hits": False,
                    "_source": {"excludes": list(without)} if source else False,
                },
                params={
                    "preference": f"_shards:{shard}|_primary",
                    "search_pipeline": "_none",
                    "allow_partial_search_results": "false",
                },
            )
            hits = found["hits"]["hits"]
            if hits:
                yield [
                    Changed(
                        hit["_id"],
                        shard,
                        hit["_seq_no"],
                        hit["_primary_term"],
                        hit["_version"],
                        hit.get("_routing"),
                        hit.get("_source", {}),
                    )
                    for hit in hits
                ]
            if len(hits) < size:
                break
            number = hits[-1]["_seq_no"]


def several(client: OpenSearch, index: str, body: Mapping[str, Any], **params: Any) -> list[Mapping[str, Any]]:
    """What `_mget` says of each document, as it is at this very moment.

    Raises:
        ProvisionError: one could not be read (no right to, its shard is away): that is not the same as being absent.
    """
    found: list[Mapping[str, Any]] = client.mget(index=index, body=body, params=params)["docs"]
    for document in found:
        if "error" in document:
            cause = document["error"].get("reason") or document["error"].get("type")
            raise ProvisionError(
                f"document {document['_id']} of {index} can't be read: {cause}",
                hint="neuralshelf doctor; then migrate again, which goes on from here",
            )
    return found
