"""How requests reach a cluster: discreet in the log, clear about errors, safe to interrupt."""

import queue
import re
from typing import Any

import urllib3
from opensearchpy import Connection, RequestsHttpConnection, Urllib3HttpConnection
from opensearchpy import ConnectionError as NoConnection
from requests.adapters import HTTPAdapter

_BAD_GATEWAY = 502
_POOL = re.compile(r"HTTPS?Connection(?:Pool)?\(host='([^']*)', port=(\d+)\):? ?")  # urllib3's


class _Discreet(Connection):
    """Keeps request bodies that may hold credentials out of opensearch-py's log, which writes all when asked to.

    And raises an error that came with HTTP 200: OpenSearch 3.6.0 answers so when a model's answer was cut off. And says
    where nobody answered in words for people.
    """

    def perform_request(self, *args: Any, **more: Any) -> Any:
        try:
            status, headers, content = super().perform_request(*args, **more)
        except NoConnection as fault:
            words = _POOL.sub(r"\1:\2: ", str(fault.error))
            raise type(fault)(fault.args[0], words, *fault.args[2:]) from fault.__cause__
        if status < 300 and content.startswith('{"error":'):  # others are raised already, or asked to be ignored
            self._raise_error(_BAD_GATEWAY, content, headers.get("content-type"))
        return status, headers, content

    def log_request_success(self, method: str, full_url: str, path: str, body: Any, *rest: Any, **more: Any) -> None:
        super().log_request_success(method, full_url, path, None if _private(path) else body, *rest, **more)

    def log_request_fail(self, method: str, full_url: str, path: str, body: Any, *rest: Any, **more: Any) -> None:
        super().log_request_fail(method, full_url, path, None if _private(path) else body, *rest, **more)


def _private(path: str) -> bool:
    return "/_ml/connectors" in path or "/_ml/models" in path


class _Idle(queue.LifoQueue[Any]):
    """The idle connections of a pool that never waits for one, without a mutex.

    `queue.LifoQueue` has one, and an interrupt that comes just when it is taken leaves it taken: then the request that
    would release a deployment's lock waits for ever. A list's `append` and `pop` are single steps.
    """

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if len(self.queue) >= self.maxsize:
            raise queue.Full
        self.queue.append(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        try:
            return self.queue.pop()
        except IndexError:
            raise queue.Empty from None


class _HttpPool(urllib3.HTTPConnectionPool):
    QueueCls = _Idle


class _HttpsPool(urllib3.HTTPSConnectionPool):
    QueueCls = _Idle


class Plain(_Discreet, Urllib3HttpConnection):
    """Without a signature."""

    def _create_urllib3_pool(self) -> None:
        super()._create_urllib3_pool()
        locked = self.pool.pool
        self.pool.pool = _Idle(locked.maxsize)
        self.pool.pool.queue = locked.queue  # urllib3 closes what is in it at the end


class Signed(_Discreet, RequestsHttpConnection):
    """For SigV4, which opensearch-py has for requests."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        for adapter in self.session.adapters.values():
            assert isinstance(adapter, HTTPAdapter)
            adapter.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
