"""One bulk of documents: prepared, sent, and told apart into what is in and what is not."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from opensearchpy import OpenSearch

from neuralshelf.bulk import Failure, send
from neuralshelf.ingestion.admission import Refused
from neuralshelf.ingestion.documents import Document

BULK_BYTES = 8_000_000
_NUMBER_BYTES = 22  # of a vector that a document brings

Prepare = Callable[[Document], dict[str, Any]]
"""Makes the body of a document; raises Refused."""


@dataclass
class Item:
    """A document on its way.

    Attributes:
        attempts: how often it was sent.
        alone: the model may have refused it for a batch mate's sake, so it goes in a bulk of its own.
        failed: when it failed last, on a clock that only goes forward.
    """

    document: Document
    attempts: int = 0
    alone: bool = False
    failed: float = 0.0


@dataclass(frozen=True)
class Sent:
    """A bulk that is back: `failed` and `refused` by document id, all others are indexed."""

    items: Sequence[Item]
    failed: Mapping[str, Failure]
    refused: Mapping[str, Refused]
    seconds: float


@dataclass(frozen=True)
class Sender:
    """Sends bulks, in several threads.

    Attributes:
        client: None prepares everything and sends nothing.
        before: called with the documents of a bulk before it is sent.
    """

    client: OpenSearch | None
    index: str
    prepare: Prepare
    before: Callable[[Sequence[Document]], None] = lambda documents: None

    def __call__(self, items: Sequence[Item]) -> Sent:
        """Prepare and send, in parts of at most BULK_BYTES, so that memory stays bounded."""
        start = time.monotonic()
        failed: dict[str, Failure] = {}
        refused: dict[str, Refused] = {}
        part: dict[str, dict[str, Any]] = {}
        size = 0
        if self.client is not None:
            self.before([item.document for item in items])
        for item in items:
            try:
                body = self.prepare(item.document)
            except Refused as fault:
                refused[item.document.id] = fault
                continue
            weight = sum(map(_weight, body.values()))
            if part and size + weight > BULK_BYTES:
                failed |= self._send(part)
                part, size = {}, 0
            part[item.document.id] = body
            size += weight
        if part:
            failed |= self._send(part)
        return Sent(items, failed, refused, time.monotonic() - start)

    def _send(self, part: Mapping[str, Mapping[str, Any]]) -> dict[str, Failure]:
        return {} if self.client is None else send(self.client, self.index, part)


def _weight(value: Any) -> int:
    """Bytes of a value on the wire, about; what is short does not count."""
    if isinstance(value, str):
        return len(value)
    return _NUMBER_BYTES * len(value) if isinstance(value, np.ndarray) else 0
