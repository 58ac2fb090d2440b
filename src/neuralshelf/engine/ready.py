"""Ready means usable: an index can be made, and machine learning, k-NN and neural search answer.

A green health is not enough: a node whose Java can't split Thai words is green, and can't create a single index.
"""

import logging
import secrets
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

from opensearchpy import OpenSearch
from opensearchpy.exceptions import OpenSearchException, OpenSearchWarning, TransportError

from neuralshelf.client import reason
from neuralshelf.engine.base import Progress
from neuralshelf.errors import EngineError, one_line

TIMEOUT_SECONDS = 180.0
LEAST_VERSION = (2, 19)
_REQUEST_SECONDS = 20
_REQUIRED = {"opensearch-ml": "ML Commons", "opensearch-knn": "k-NN", "opensearch-neural-search": "neural search"}


def await_ready(
    client: OpenSearch,
    url: str,
    progress: Progress,
    *,
    alive: Callable[[], None] = lambda: None,
    timeout: float = TIMEOUT_SECONDS,
) -> None:
    """Return once the cluster at `url` is usable.

    Args:
        client: for `url`; closed afterwards.
        alive: raises once waiting is in vain.
        timeout: seconds.

    Raises:
        EngineError: too old, a plugin is missing, the login is refused, an index can't be created, or time is up.
    """
    begun = time.monotonic()
    checks = [_check_listening, _check_version, _check_plugins, _check_health, _check_index, _check_pipeline]
    probe = _Probe(client, url)
    with _quiet(), closing(client):
        while checks:
            waited = time.monotonic() - begun
            progress("engine: wait until usable", int(waited), None)
            alive()
            try:
                checks[0](probe)
            except _NotYet as reason:
                if waited > timeout:
                    raise EngineError(
                        f"OpenSearch at {url} is not usable after {waited:.0f} s: {reason}", hint="see its log"
                    ) from None
                time.sleep(0.5)
                continue
            except TransportError as fault:
                raise probe.refused("refuses a question", fault) from None
            del checks[0]
    progress("engine: usable", 1, 1)


class _NotYet(Exception):
    """Worth another try."""


class _Probe:
    def __init__(self, client: OpenSearch, url: str) -> None:
        self.url = url
        self._client = client

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """The answer; None where the user may not ask (403) or there is no such thing (404, as for much of OpenSearch
        Serverless). A plugin that is missing shows as 400, no handler.

        Raises:
            _NotYet: nothing answers, or it says that it is busy (429, 5xx).
            EngineError: the login is refused.
            TransportError: any other refusal.
        """
        try:
            return self._client.transport.perform_request(
                method, path, params={"request_timeout": _REQUEST_SECONDS}, body=body
            )
        except TransportError as fault:
            status = fault.status_code
            if status == 401:
                raise EngineError(
                    f"OpenSearch at {self.url} refuses the login", hint="check auth, username and password"
                ) from None
            if status in (403, 404):
                return None
            if not isinstance(status, int) or status == 429 or status >= 500:
                raise _NotYet(reason(fault)) from None
            raise
        except OpenSearchException as fault:
            raise _NotYet(one_line(str(fault), 300)) from None

    def refused(self, what: str, fault: TransportError) -> EngineError:
        """An error for a refusal that will not go away."""
        return EngineError(f"OpenSearch at {self.url} {what}: {reason(fault)}", hint="see its log")


def _check_listening(probe: _Probe) -> None:
    parts = urlsplit(probe.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=5).close()
    except OSError as fault:
        raise _NotYet(f"{parts.hostname}:{port}: {fault.strerror or fault}") from None


def _check_version(probe: _Probe) -> None:
    info = probe.send("GET", "/")
    if info is None:
        return
    version = info.get("version", {}) if isinstance(info, dict) else {}
    if version.get("distribution") != "opensearch":
        raise EngineError(f"{probe.url} is not OpenSearch", hint="check the url of the cluster")
    numbers = str(version.get("number", ""))
    if tuple(int(part) for part in numbers.split(".")[:2] if part.isdigit()) < LEAST_VERSION:
        raise EngineError(
            f"OpenSearch at {probe.url} is version {numbers}", hint="2.19 or newer is needed: upgrade the cluster"
        )


def _check_plugins(probe: _Probe) -> None:
    answer = probe.send("GET", "/_cat/plugins?format=json&h=component")  # where not offered, the later checks tell
    present = {str(row.get("component")) for row in answer or []}
    missing = [f"{name} ({what})" for name, what in _REQUIRED.items() if name not in present]
    if present and missing:
        raise EngineError(
            f"OpenSearch at {probe.url} lacks the plugin {', '.join(missing)}", hint="install it on every node"
        )


def _check_health(probe: _Probe) -> None:
    """ML Commons keeps models in system indices; while those are red it answers 503 to everything."""
    answer = probe.send("GET", "/_cluster/health?level=indices")
    indices = (answer or {}).get("indices", {})
    red = sorted(name for name, state in indices.items() if name.startswith(".plugins-") and state["status"] == "red")
    if red:
        raise _NotYet(f"system index {red[0]} is red")


def _check_index(probe: _Probe) -> None:
    name = f"neuralshelf-ready-{secrets.token_hex(6)}"
    vector = {"type": "knn_vector", "dimension": 2, "method": {"name": "hnsw", "engine": "lucene"}}
    body: dict[str, Any] = {
        "settings": {"index": {"knn": True}},  # Serverless takes no numbers of shards
        "mappings": {"properties": {"vector": vector}},
    }
    try:
        if probe.send("PUT", f"/{name}", body) is not None:
            probe.send("DELETE", f"/{name}")
    except TransportError as fault:
        raise probe.refused("can't create an index", fault) from None


def _check_pipeline(probe: _Probe) -> None:
    for path, what in (("/_plugins/_knn/stats", "k-NN"), ("/_plugins/_ml/stats", "ML Commons")):
        try:
            probe.send("GET", path)
        except TransportError as fault:
            raise probe.refused(f"does not answer for {what}", fault) from None
    name = f"neuralshelf-ready-{secrets.token_hex(6)}"
    body: dict[str, Any] = {"phase_results_processors": [{"normalization-processor": {}}]}
    try:
        if probe.send("PUT", f"/_search/pipeline/{name}", body) is not None:
            probe.send("DELETE", f"/_search/pipeline/{name}")
    except TransportError as fault:
        raise probe.refused("does not answer for neural search", fault) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """While we wait, a refused connection is no news: the client would log each with a traceback. Nor is it news that
    ML Commons looks into its own indexes, which it has when the engine has run before."""
    logger = logging.getLogger("opensearch")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OpenSearchWarning)
            yield
    finally:
        logger.setLevel(before)
