"""`_bulk` with every item accounted for: HTTP 200 says nothing about the documents inside."""

import random
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from opensearchpy import ConnectionError as NoConnection
from opensearchpy import OpenSearch, TransportError

from neuralshelf.client import said
from neuralshelf.errors import EngineError

Documents = Mapping[str, Mapping[str, Any]]

MAX_ATTEMPTS = 6
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 10.0
TIMEOUT_SECONDS = 120

# Codes of OpenSearch that callers look for.
BLOCKED = "cluster_block_exception"
CONFLICT = "version_conflict_engine_exception"


@dataclass(frozen=True)
class Outcome:
    """What became of one document: `error` is None when it is indexed with its vectors."""

    id: str
    attempts: int
    code: str = ""
    error: str | None = None


@dataclass(frozen=True)
class Failure:
    """Why one item of a bulk did not get in, as OpenSearch says it. It reports a model's failure as the item's own."""

    status: int
    code: str
    reason: str

    @property
    def throttled(self) -> bool:
        """The model or the cluster asks for less at a time."""
        if self._said == 429 or "throttling" in self.code or "Throttling" in self.reason:
            return True
        # SageMaker's throttling without its header (ml-commons issue 2429), and ML Commons' own pool when that is full.
        return self.reason.endswith(_NULL) or "Acquire operation took longer" in self.reason

    @property
    def may_pass(self) -> bool:
        """Whether sending the item again may help: nothing here blames the document."""
        if self.throttled or _AWAY.search(self.reason) or self._no_vector:
            return True
        barred = self._said in (401, 403, 404) and "remote service" in self.reason
        return barred or (self._said in (408, 500, 502, 503, 504) and self.code not in _FINAL)

    @property
    def refused_by_model(self) -> bool:
        """The model itself said no, and may have meant a batch mate."""
        return 400 <= self._said < 500 and "remote service" in self.reason and not self.may_pass

    @property
    def cause_class(self) -> str:
        """What failed, by a stable name: the model's failures have names of ours, all others OpenSearch's own."""
        if self.refused_by_model:
            return "ModelRefused"
        if self._no_vector:
            return self._no_vector
        if not _MODEL.search(self.reason):
            return self.code
        return "ModelThrottled" if self.throttled else "ModelFailed"

    @property
    def cause(self) -> str:
        """Why, for people: of a model's whole answer its message."""
        return said(self.reason)

    @property
    def unreachable(self) -> bool:
        """No answer from the cluster: says nothing about the document."""
        return self.code == _UNREACHABLE

    @property
    def blocked(self) -> bool:
        """The index takes no writes at all, as when the disk is full."""
        return self.code == BLOCKED

    @property
    def _said(self) -> int:
        """The status that counts: SageMaker and Bedrock hand on what the model's container said as a 424."""
        container = _CONTAINER.search(self.reason) if self.status == 424 else None
        return int(container[1]) if container else self.status

    @property
    def _no_vector(self) -> str | None:
        return next((code for words, code in _NO_VECTOR.items() if words in self.reason), None)


_UNREACHABLE = "unreachable"
_NULL = ('{"message": null}', '{"message":null}', "error status 400 with empty body", "remote service: null")
_CONTAINER = re.compile(r'"[Oo]riginalStatusCode" ?: ?([0-9]{3})')
# No answer that came whole (OpenSearch gives it the status of the part that came), or nobody there to answer.
_AWAY = re.compile("Error communicating with remote model|Endpoint .* not found|model identifier is invalid")
# What else ML Commons and its callers say when an answer can't be read, or has too few vectors.
_MODEL = re.compile("[Rr]emote|Acquire operation|PREDICT in aws connector|tensorsList|^toIndex")
# An answer that is no usable vector is the model's doing, too: what OpenSearch says about it -> code.
_NO_VECTOR = {
    "Vector dimension mismatch": "WrongDimension",
    "Query vector has invalid dimension": "WrongDimension",
    "KNN vector values cannot be": "NotFinite",
    "non-finite value at vector": "NotFinite",
    "zero vector is not supported": "ZeroVector",
    "embedding should be a non-empty": "NoVector",
    "model output is null": "NoVector",
}
# The pipeline's own refusals come with status 500.
_FINAL = ("fail_processor_exception", "mapper_parsing_exception", "script_exception")


def pause(attempt: int) -> float:
    """Seconds to wait after the given attempt (1-based), with full jitter."""
    return random.uniform(0, min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**attempt))  # noqa: S311


def index_all(
    client: OpenSearch,
    index: str,
    documents: Documents,
    metadata: Documents = MappingProxyType({}),
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
        failed = send(client, index, waiting, metadata)
        outcomes += [Outcome(i, attempt) for i in waiting if i not in failed]
        last = attempt == MAX_ATTEMPTS
        again: dict[str, Mapping[str, Any]] = {}
        for identity, first in failed.items():
            alone = len(waiting) > 1 and first.refused_by_model
            failure = send(client, index, {identity: waiting[identity]}, metadata).get(identity) if alone else first
            if failure is None:
                outcomes.append(Outcome(identity, attempt + 1))
            elif failure.may_pass and not last:
                again[identity] = waiting[identity]
            elif failure.unreachable:
                raise EngineError(
                    f"no answer from OpenSearch after {attempt} attempts: {failure.reason}",
                    hint="neuralshelf status, then ingest again: what is indexed stays",
                )
            else:
                outcomes.append(Outcome(identity, attempt + alone, failure.cause_class, failure.cause))
        if not again:
            break
        waiting = again
        time.sleep(pause(attempt))
    return outcomes


def send(
    client: OpenSearch, index: str, documents: Documents, metadata: Documents = MappingProxyType({})
) -> dict[str, Failure]:
    """One `_bulk`, halved where it is too large for the cluster; the items that failed, by id.

    Args:
        index: an index or an alias.
        metadata: as for `index_all`.

    Raises:
        EngineError: the cluster refuses the whole request for good.
    """
    lines: list[Any] = []
    for identity, document in documents.items():
        lines += [{"index": {"_id": identity, **metadata.get(identity, {})}}, document]
    try:
        answer = client.bulk(body=lines, index=index, request_timeout=TIMEOUT_SECONDS)
    except NoConnection as fault:
        return dict.fromkeys(documents, Failure(503, _UNREACHABLE, str(fault.error)))
    except TransportError as fault:
        if fault.status_code in (429, 502, 503, 504):
            return dict.fromkeys(documents, Failure(int(fault.status_code), "overloaded", str(fault.error)))
        if fault.status_code == 413 and len(documents) == 1:
            return dict.fromkeys(documents, Failure(413, "too_large", "larger than the cluster takes in one request"))
        if fault.status_code == 413:
            halves = _halves(documents)
            return send(client, index, halves[0], metadata) | send(client, index, halves[1], metadata)
        raise EngineError(
            f"index {index}: bulk refused ({fault.status_code} {fault.error})",
            hint="neuralshelf status, then ingest again",
        ) from None
    failed = {}
    for item in answer["items"]:
        (result,) = item.values()  # `index`, or `create` when the metadata says op_type
        if "error" in result:
            error = result["error"]
            failed[result["_id"]] = Failure(int(result["status"]), str(error.get("type")), _reason(error))
    return failed


def _reason(error: Mapping[str, Any]) -> str:
    """Outermost and innermost cause: what a vector should have been stands in the latter."""
    causes = [str(error.get("reason"))]
    inner = error.get("caused_by")
    while isinstance(inner, Mapping):
        causes.append(str(inner.get("reason") or inner.get("type")))
        inner = inner.get("caused_by")
    return ": ".join(dict.fromkeys((causes[0], causes[-1])))


def _halves(documents: Documents) -> Sequence[dict[str, Mapping[str, Any]]]:
    items = list(documents.items())
    return dict(items[: len(items) // 2]), dict(items[len(items) // 2 :])
