"""Questions to a cluster that may be sick: bounded in time, never a write, refusals kept for the report."""

import logging
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opensearchpy import ConnectionError as ClusterUnreachable
from opensearchpy import NotFoundError, OpenSearch, Transport, TransportError
from opensearchpy.exceptions import OpenSearchException, SerializationError

from neuralshelf.errors import one_line

Json = Any

REQUEST_SECONDS = 8
PREDICT_SECONDS = 10

_ACTION = re.compile(r"no permissions for \[([^\]]+)\]|not authorized to perform: (\S+)")
_PREDICT = re.compile(r"/_plugins/_ml/(_predict/|models/[^/]+/_predict$)")
_QUESTION = "/_search"


class Away(Exception):
    """The cluster does not answer, refuses the login, or can't work at all: no question has an answer now."""

    def __init__(self, fault: OpenSearchException) -> None:
        super().__init__(type(fault).__name__)
        self.fault = fault


class Unanswered(Exception):
    """This one question has no answer, because the cluster refuses it, or because it rests on one that has none."""

    def __init__(self, fault: TransportError | None = None) -> None:
        super().__init__(type(fault).__name__)
        self.fault = fault


class _ReadOnly(Transport):
    """The way of a client, for questions alone, and for none longer than REQUEST_SECONDS."""

    def __init__(self, way: Transport) -> None:
        self._way = way

    def perform_request(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        timeout: int | float | None = None,
        ignore: Collection[int] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        asking = method in ("GET", "HEAD") or url.endswith(_QUESTION) or _PREDICT.match(url) is not None
        assert asking, f"{method} {url} is no question"
        bounded = {"request_timeout": REQUEST_SECONDS, **(params or {})}
        return self._way.perform_request(method, url, headers=headers, params=bounded, body=body)


def read_only(client: OpenSearch) -> OpenSearch:
    """The same client for whoever only asks; its connections are shared."""
    made = OpenSearch()
    made.transport = _ReadOnly(client.transport)
    return made


@dataclass
class Asker:
    """Asks, and keeps what was refused.

    Attributes:
        client: for questions alone (`read_only`).
        denied: actions that the login lacks, each once.
    """

    client: OpenSearch
    denied: dict[str, None] = field(default_factory=dict)

    def get(self, path: str, **params: str) -> Json | None:
        """The answer to GET; None when there is no such thing.

        Raises:
            Away, Unanswered.
        """
        return self._send("GET", path, params=params)

    def search(self, path: str, body: Mapping[str, Json]) -> list[Json]:
        """Hits of a search, [] without the index.

        Raises:
            Away, Unanswered.
        """
        answer = self._send("POST", path, body=body)
        return list(answer["hits"]["hits"]) if answer else []

    def predict(self, model_id: str, documents: list[str | None]) -> Json:
        """What a text-embedding model answers.

        Raises:
            opensearchpy.TransportError: the cluster's or the endpoint's refusal.
        """
        body = {"text_docs": documents, "return_number": True, "target_response": ["sentence_embedding"]}
        params = {"request_timeout": PREDICT_SECONDS}
        return self.client.transport.perform_request(
            "POST", f"/_plugins/_ml/_predict/text_embedding/{model_id}", params=params, body=body
        )

    def _send(
        self, method: str, path: str, *, body: Json = None, params: Mapping[str, str] | None = None
    ) -> Json | None:
        try:
            return self.client.transport.perform_request(method, path, params=params, body=body)
        except NotFoundError:
            return None
        except (ClusterUnreachable, SerializationError) as fault:
            raise Away(fault) from None
        except TransportError as fault:
            crippled = fault.status_code in (429, 503) and fault.error in _CRIPPLED
            if fault.status_code == 401 or crippled:
                raise Away(fault) from None
            if fault.status_code == 403:
                self.denied |= dict.fromkeys(denied_actions(fault) or (f"{method} {path}",))
            raise Unanswered(fault) from None


_CRIPPLED = ("circuit_breaking_exception", "cluster_manager_not_discovered_exception", "cluster_block_exception")


def denied_actions(fault: TransportError) -> list[str]:
    """The actions that a 403 of the security plugin, or of AWS before it, says are missing."""
    found = _ACTION.search(one_line(str(fault.info), 4000))
    return [action.strip() for action in (found[1] or found[2]).split(",")] if found else []


@contextmanager
def quiet() -> Iterator[None]:
    """The client logs each refusal; here they are the result."""
    logger = logging.getLogger("opensearch")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
