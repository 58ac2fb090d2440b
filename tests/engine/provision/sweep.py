"""Take away all objects of a project by the beginning of their names, without asking who owns them."""

import contextlib
import time
import warnings
from collections.abc import Mapping
from typing import Any

from opensearchpy import OpenSearch, TransportError

from tests.engine.provision.snapshot import listed, snapshot

ML = "/_plugins/_ml"


def sweep(client: OpenSearch, name: str, before: Mapping[str, Any]) -> None:
    """Delete all objects whose name begins with `name`; put the settings of the snapshot `before` back."""
    found = snapshot(client)
    for key, body in found.items():
        kind, _, identity = key.partition("/")
        called = body.get("name", identity) if isinstance(body, dict) else identity
        if kind == "index" and called.startswith(name):
            client.indices.put_settings(index=identity, body={"index.blocks.read_only": None})
            client.indices.delete(index=identity)
        elif kind == "script" and called.startswith(name):
            client.delete_script(id=identity)
        elif kind == "ingest-pipeline" and called.startswith(name):
            client.ingest.delete_pipeline(id=identity)
        elif kind == "search-pipeline" and called.startswith(name):
            client.transport.perform_request("DELETE", f"/_search/pipeline/{identity}")
    for kind in ("models", "connectors", "model_groups"):
        for identity, body in listed(client, kind).items():
            if str(body.get("name", "")).startswith(name):
                _delete(client, f"{ML}/{kind}/{identity}", undeploy=kind == "models")
    _settings(client, before, found)


def _delete(client: OpenSearch, path: str, *, undeploy: bool) -> None:
    deadline = time.monotonic() + 120
    while True:
        if undeploy:
            with contextlib.suppress(TransportError):
                client.transport.perform_request("POST", f"{path}/_undeploy")
        try:
            client.transport.perform_request("DELETE", path)
            return
        except TransportError as fault:
            if fault.status_code == 404:
                return
            if fault.status_code == 409 and "/connectors/" in path and not _used(client, path):
                _delete_document(client, path)
                return
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def _used(client: OpenSearch, path: str) -> bool:
    """Whether a model has this very connector: ML Commons also keeps `…a-V` for a model of `…b-V`."""
    query = {"size": 1, "query": {"term": {"connector_id.keyword": path.rpartition("/")[2]}}}
    return bool(client.transport.perform_request("POST", f"{ML}/models/_search", body=query)["hits"]["hits"])


def _delete_document(client: OpenSearch, path: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that system indexes will be closed
        client.delete(index=".plugins-ml-connector", id=path.rpartition("/")[2], refresh="true", ignore=404)


def _settings(client: OpenSearch, before: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    for scope in ("persistent", "transient"):
        now = {key: value for key, value in found.items() if key.startswith(f"{scope}/")}
        then = {key: value for key, value in before.items() if key.startswith(f"{scope}/")}
        changed = {key: then.get(key) for key in now.keys() | then.keys() if now.get(key) != then.get(key)}
        if changed:
            values = {key.partition("/")[2]: value for key, value in changed.items()}
            client.cluster.put_settings(body={scope: values})
