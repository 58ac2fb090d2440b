"""ClusterConfig to an opensearch-py client: no login, basic, or SigV4; our own retries only, secrets never shown."""

from typing import Any

from opensearchpy import OpenSearch, RequestsHttpConnection, Urllib3HttpConnection

from neuralshelf.errors import ConfigError, MissingDependencyError
from neuralshelf.settings import ClusterConfig

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
        "connection_class": Urllib3HttpConnection,
    }
    if address.startswith("https://"):
        options |= {"verify_certs": True, "ca_certs": cluster.ca_certs}
    if cluster.auth == "basic":
        assert cluster.username is not None
        assert cluster.password is not None
        options["http_auth"] = (cluster.username, cluster.password.read().get_secret_value())
    elif cluster.auth == "sigv4":
        options |= {"http_auth": _signer(cluster), "connection_class": RequestsHttpConnection}
    return OpenSearch(**options)


def _signer(cluster: ClusterConfig) -> Any:
    try:
        import boto3
        from opensearchpy import RequestsAWSV4SignerAuth
    except ImportError:
        raise MissingDependencyError("auth sigv4 needs boto3", hint="pip install 'neuralshelf[aws]'") from None
    credentials = boto3.Session(region_name=cluster.region).get_credentials()
    if credentials is None:
        raise ConfigError("auth sigv4 found no AWS credentials", hint="set AWS_PROFILE, or log in with the AWS CLI")
    return RequestsAWSV4SignerAuth(credentials, cluster.region, cluster.service)
