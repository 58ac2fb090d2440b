"""ClusterConfig to an opensearch-py client: no login, basic, or SigV4; and why a cluster refused something."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from opensearchpy import Connection, OpenSearch, RequestsHttpConnection, TransportError, Urllib3HttpConnection
from opensearchpy import ConnectionError as NoConnection

from neuralshelf.aws import lasting_credentials
from neuralshelf.errors import ConfigError, one_line
from neuralshelf.settings import ClusterConfig

TIMEOUT_SECONDS = 60
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


class _Urllib3(_Discreet, Urllib3HttpConnection):
    pass


class _Requests(_Discreet, RequestsHttpConnection):
    pass


def _private(path: str) -> bool:
    return "/_ml/connectors" in path or "/_ml/models" in path


def connect(cluster: ClusterConfig, url: str | None = None, *, pool: int = 10) -> OpenSearch:
    """A client for `url` (default: the configured one). Nothing is sent yet.

    Args:
        pool: connections kept open; one a thread that will use the client at once.

    Raises:
        ConfigError: no address, or a referenced secret is not there.
        MissingDependencyError: SigV4 is asked for without the extra `aws`.
    """
    address = url or cluster.url
    if address is None:
        raise ConfigError("the cluster has no address yet", hint="start it with: neuralshelf up")
    options: dict[str, Any] = {
        "hosts": [address],
        "timeout": TIMEOUT_SECONDS,
        "max_retries": 0,
        "retry_on_timeout": False,
        "http_compress": False,
        "pool_maxsize": pool,
        "connection_class": _Urllib3,
    }
    if address.startswith("https://"):
        options |= {"verify_certs": True, "ca_certs": cluster.ca_certs}
    if cluster.auth == "basic":
        assert cluster.username is not None
        assert cluster.password is not None
        options["http_auth"] = (cluster.username, cluster.password.read().get_secret_value())
    elif cluster.auth == "sigv4":
        options |= {"http_auth": _signer(cluster), "connection_class": _Requests}
    return OpenSearch(**options)


def _signer(cluster: ClusterConfig) -> Any:
    credentials = lasting_credentials(None, "auth sigv4", cluster.region)
    from opensearchpy import RequestsAWSV4SignerAuth

    return RequestsAWSV4SignerAuth(credentials, cluster.region, cluster.service)


def reason(fault: TransportError, hidden: Iterable[str] = ()) -> str:
    """Why the cluster refused, in one line: the outermost and the innermost cause, of a model's answer its message.

    The rest of an answer is left out, since it repeats the request, which may hold pictures or credentials.

    Args:
        hidden: secrets that were in the request.
    """
    found = causes(fault)
    text = ": ".join(dict.fromkeys(said(cause) for cause in (found[0], found[-1])))
    for secret in hidden:
        text = text.replace(secret, "***")
    return one_line(text, 300)


def innermost(fault: TransportError) -> str:
    """The innermost cause as the cluster words it, a model's whole answer included."""
    return causes(fault)[-1]


def causes(fault: TransportError) -> list[str]:
    """Reasons from the outermost to the innermost; never empty."""
    error = fault.info.get("error", fault.error) if isinstance(fault.info, Mapping) else fault.error
    found = []
    while isinstance(error, Mapping):
        found.append(str(error.get("reason") or error.get("type")))
        error = error.get("caused_by")
    return found or [str(error)]


def said(text: str) -> str:
    """The message inside the answer of a remote service; any other text as it is."""
    try:
        answer = json.loads(text.removeprefix("Error from remote service: "))
    except ValueError:
        return text
    keys = ("OriginalMessage", "Message", "message")
    found = [str(answer[key]) for key in keys if isinstance(answer, Mapping) and answer.get(key)]
    return found[0] if found else text
