"""`_bulk` with every item accounted for: HTTP 200 says nothing about the documents inside."""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from opensearchpy import ConnectionError as NoConnection
from opensearchpy import OpenSearch, TransportError

from neuralshelf.errors import EngineError

MAX_ATTEMPTS = 6
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 10.0


@dataclass(frozen=True)
class Outcome:
    """What became of one document: `error` is None when it is indexed with its vectors."""

    id: str
    attempts: int
    code: str = ""
    error: str | None = None


def index_all(
    client: OpenSearch,
    index: str,
    documents: Mapping[str, Mapping[str, Any]],
    metadata: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> list[Outcome]:
    """Index each document under its own id (so a repetition never doubles) and say what became of each.

    Items that may succeed later (throttled, model or engine overloaded, unreachable) are sent again, with full jitter,
    six times at most. A model refuses a whole batch of texts for one of them, so what it refused is sent again singly.

    Args:
        metadata: id -> what else its `index` action says (version, version_type, routing, …).

    Raises:
        EngineError: the cluster itself can't be reached or refuses the whole request for good.
    """
    outcomes: list[Outcome] = []
    waiting = dict(documents)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        failed = _send(client, index, waiting, metadata)
        outcomes += [Outcome(i, attempt) for i in waiting if i not in failed]
        last = attempt == MAX_ATTEMPTS
        again: dict[str, Mapping[str, Any]] = {}
        for identity, first in failed.items():
            alone = len(waiting) > 1 and first.refused_by_model
            failure = _send(client, index, {identity: waiting[identity]}, metadata).get(identity) if alone else first
            if failure is None:
                outcomes.append(Outcome(identity, attempt + 1))
            elif failure.may_pass and not last:
                again[identity] = waiting[identity]
            elif failure.code == _UNREACHABLE:  # says nothing about the document
                raise EngineError(
                    f"no answer from OpenSearch after {attempt} attempts: {failure.reason}",
                    hint="neuralshelf status, then ingest again: what is indexed stays",
                )
            else:
                outcomes.append(Outcome(identity, attempt + alone, failure.code, failure.reason))
        if not again:
            break
        waiting = again
        time.sleep(random.uniform(0, min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**attempt)))  # noqa: S311
    return outcomes


@dataclass(frozen=True)
class _Failure:
    status: int
    code: str
    reason: str

    @property
    def may_pass(self) -> bool:
        """Whether sending the item again may help. The engine reports a model's failure as the item's own."""
        if "throttling" in self.code or "Throttling" in self.reason:
            return True
        return self.status in (408, 429, 500, 502, 503, 504) and self.code not in _FINAL

    @property
    def refused_by_model(self) -> bool:
        """The model itself said no, and may have meant a batch mate."""
        return self.status == 400 and "remote service" in self.reason and not self.may_pass


_UNREACHABLE = "unreachable"
# The pipeline's own refusals come with status 500.
_FINAL = ("fail_processor_exception", "mapper_parsing_exception", "script_exception")


def _send(
    client: OpenSearch,
    index: str,
    documents: Mapping[str, Mapping[str, Any]],
    metadata: Mapping[str, Mapping[str, Any]],
) -> dict[str, _Failure]:
    """Failed items by id."""
    lines: list[Any] = []
    for identity, document in documents.items():
        lines += [{"index": {"_id": identity, **metadata.get(identity, {})}}, document]
    try:
        answer = client.bulk(body=lines, index=index, request_timeout=120)
    except NoConnection as fault:
        return dict.fromkeys(documents, _Failure(503, _UNREACHABLE, str(fault.error)))
    except TransportError as fault:
        if fault.status_code in (429, 503):
            return dict.fromkeys(documents, _Failure(fault.status_code, "overloaded", str(fault.error)))
        if fault.status_code == 413 and len(documents) > 1:
            halves = _halves(documents)
            return _send(client, index, halves[0], metadata) | _send(client, index, halves[1], metadata)
        raise EngineError(
            f"index {index}: bulk refused ({fault.status_code} {fault.error})",
            hint="neuralshelf status, then ingest again",
        ) from None
    failed = {}
    for item in answer["items"]:
        result = item["index"]
        if "error" in result:
            error = result["error"]
            failed[result["_id"]] = _Failure(int(result["status"]), str(error.get("type")), str(error.get("reason")))
    return failed


def _halves(documents: Mapping[str, Mapping[str, Any]]) -> Sequence[dict[str, Mapping[str, Any]]]:
    items = list(documents.items())
    return dict(items[: len(items) // 2]), dict(items[len(items) // 2 :])
