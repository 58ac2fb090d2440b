"""A cluster that is already there, by URL: self-managed or Amazon OpenSearch Service."""

import ipaddress
import socket
from urllib.parse import urlsplit

from neuralshelf.client import connect
from neuralshelf.engine.base import EngineStatus, Progress
from neuralshelf.engine.ready import await_ready
from neuralshelf.engine.status import observe
from neuralshelf.settings import ClusterConfig

TIMEOUT_SECONDS = 20.0  # it should be up already


class RemoteEngine:
    """The provider `url`: nothing is started or stopped, only checked."""

    provider = "url"

    def __init__(self, cluster: ClusterConfig) -> None:
        assert cluster.url is not None
        self._cluster = cluster
        self.url = cluster.url

    @property
    def host_address(self) -> str:
        """The address of this machine on the way to the cluster; loopback when that is where the cluster is."""
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
                way.connect((host, parts.port or 443))  # of a datagram socket: chooses the way, sends nothing
                address = str(way.getsockname()[0])
        except OSError:
            return "127.0.0.1"
        return "127.0.0.1" if ipaddress.ip_address(address).is_loopback else address

    def start(self, progress: Progress) -> None:
        """Check that the cluster is usable.

        Raises:
            EngineError: see `ready.await_ready`.
            ConfigError, MissingDependencyError: see `client.connect`.
        """
        await_ready(connect(self._cluster, self.url), self.url, progress, timeout=TIMEOUT_SECONDS)

    def check(self) -> None:
        """A cluster of somebody else's is not watched."""

    def status(self) -> EngineStatus:
        """How it is now; never raises."""
        return observe(self._cluster, self.provider, self.url)

    def stop(self) -> None:
        """It is not ours to stop."""
