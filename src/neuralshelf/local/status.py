"""What is up, in which version, how healthy, holding how much."""

import json
import urllib.request
from typing import Any

from opensearchpy import NotFoundError, OpenSearch, OpenSearchException

from neuralshelf import __version__
from neuralshelf.client import connect
from neuralshelf.deployment import Deployment
from neuralshelf.local.stack import Stack

FORMAT_VERSION = 1


def status(stack: Stack, deployment: Deployment) -> dict[str, Any]:
    """One document; a part that does not answer has `"health": "unreachable"`.

    `up` tells whether the stack of this machine is; a cluster that has an address is asked without one.
    """
    found: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "neuralshelf": __version__,
        "project": deployment.config.project,
        "environment": deployment.environment.name,
        "up": False,
    }
    running = stack.state.running()
    cluster, models = deployment.environment.cluster, deployment.environment.runtime
    engine_url = running.engine_url if running else cluster.url
    if engine_url is None:
        return found
    client = connect(cluster, engine_url)
    server_url = running.server_url if running else models.url
    return found | {
        "up": running is not None,
        "engine": {"url": engine_url, **_engine(client)},
        "server": {"url": server_url, **_server(server_url)},
        "page": {"url": running.page_url if running else None},
        "index": {"name": deployment.config.index.name, **_index(client, deployment.config.index.name)},
        "state": str(stack.folders.state),
        "cache": str(stack.folders.cache),
    }


def _engine(client: OpenSearch) -> dict[str, Any]:
    try:
        info = client.info(request_timeout=5)
        health = client.cluster.health(request_timeout=5)
    except OpenSearchException:
        return {"version": None, "health": "unreachable", "nodes": 0}
    return {"version": info["version"]["number"], "health": health["status"], "nodes": health["number_of_nodes"]}


def _server(url: str | None) -> dict[str, Any]:
    if url is None:
        return {"health": "aws"}
    try:
        with urllib.request.urlopen(f"{url}/", timeout=5) as answer:  # noqa: S310 - our own loopback address
            return {"health": "green", **json.load(answer)}
    except (OSError, ValueError):
        return {"health": "unreachable"}


def _index(client: OpenSearch, name: str) -> dict[str, Any]:
    try:
        return {"documents": client.count(index=name, request_timeout=5)["count"]}
    except NotFoundError:
        return {"documents": None}
    except OpenSearchException:
        return {"documents": None, "health": "unreachable"}
