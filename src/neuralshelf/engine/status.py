"""How a cluster is, for people to read."""

from typing import Any

from opensearchpy.exceptions import OpenSearchException, TransportError

from neuralshelf.client import connect
from neuralshelf.engine.base import EngineStatus
from neuralshelf.errors import NeuralshelfError
from neuralshelf.settings import ClusterConfig


def observe(cluster: ClusterConfig, provider: str, url: str, *, pid: int | None = None) -> EngineStatus:
    """Ask the cluster at `url`; what it does not tell stays empty. Never raises."""
    if not url:
        return EngineStatus(provider, url, None, "unreachable", 0, ())
    try:
        client = connect(cluster, url)
    except NeuralshelfError:
        return EngineStatus(provider, url, None, "unreachable", 0, (), pid)

    def ask(path: str) -> Any:
        try:
            return client.transport.perform_request("GET", path, params={"request_timeout": 10})
        except TransportError as fault:
            if not isinstance(fault.status_code, int):
                raise
            return None

    try:
        info = ask("/") or {}
        health = ask("/_cluster/health") or {}
        plugins = ask("/_cat/plugins?format=json&h=component") or []
    except OpenSearchException:
        return EngineStatus(provider, url, None, "unreachable", 0, (), pid)
    finally:
        client.close()
    return EngineStatus(
        provider=provider,
        url=url,
        version=info.get("version", {}).get("number"),
        health=health.get("status", "unknown"),
        nodes=int(health.get("number_of_nodes", 0)),
        plugins=tuple(sorted({str(row.get("component")) for row in plugins})),
        pid=pid,
    )
