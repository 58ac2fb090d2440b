"""ClusterConfig to an opensearch-py client: no login, basic, or SigV4; and why a cluster refused something."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from opensearchpy import OpenSearch, TransportError

from neuralshelf.aws import lasting_credentials
from neuralshelf.errors import ConfigError, one_line
from neuralshelf.settings import ClusterConfig
from neuralshelf.transport import Plain, Signed

TIMEOUT_SECONDS = 60


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
        "connection_class": Plain,
    }
    if address.startswith("https://"):
        options |= {"verify_certs": True, "ca_certs": cluster.ca_certs}
    if cluster.auth == "basic":
        assert cluster.username is not None
        assert cluster.password is not None
        options["http_auth"] = (cluster.username, cluster.password.read().get_secret_value())
    elif cluster.auth == "sigv4":
        options |= {"http_auth": _signer(cluster), "connection_class": Signed}
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
