"""Requests that a role may send, and those that it may not."""

import json
from collections.abc import Mapping
from typing import Any

from neuralshelf.provision.roles import PURPOSES

INDEX = "goods"
LETTERS = "rolled-test-deadletters"
API = "/_plugins/_security/api"
ML = "/_plugins/_ml"
PROVISION, INGEST, SEARCH, MIGRATE = PURPOSES

Operation = tuple[str, str, Any, frozenset[str]]


def op(method: str, path: str, body: Any = None, *allowed: str) -> Operation:
    """A request, and which of the roles may send it."""
    return method, path, body, frozenset(allowed)


DOC = {"title": "smuggled"}
ALL: Mapping[str, Any] = {"query": {"match_all": {}}}
ALIAS = {"actions": [{"add": {"index": f"{INDEX}-1", "alias": "others"}}]}
CONNECTOR = {
    "name": "rolled-x",
    "description": "x",
    "version": "1",
    "protocol": "http",
    "parameters": {},
    "credential": {"key": "x"},
    "actions": [{"action_type": "predict", "method": "POST", "url": "http://127.0.0.1:1/", "request_body": "{}"}],
}
OPERATIONS: Mapping[str, Operation] = {
    # of the provisioner
    "create a connector": op("POST", f"{ML}/connectors/_create", CONNECTOR, PROVISION),
    "search connectors": op("POST", f"{ML}/connectors/_search", ALL, PROVISION),
    "delete a connector": op("DELETE", f"{ML}/connectors/none", None, PROVISION),
    "register a model group": op("POST", f"{ML}/model_groups/_register", {"name": "rolled-x"}, PROVISION),
    "search model groups": op("POST", f"{ML}/model_groups/_search", ALL, PROVISION),
    "change a model group": op("PUT", f"{ML}/model_groups/none", {"name": "rolled-x"}, PROVISION),
    "delete a model group": op("DELETE", f"{ML}/model_groups/none", None, PROVISION),
    "register a model": op(
        "POST",
        f"{ML}/models/_register",
        {"name": "rolled-x", "function_name": "remote", "connector_id": "none"},
        PROVISION,
    ),
    "read a model": op("GET", f"{ML}/models/none", None, PROVISION),
    "change a model": op("PUT", f"{ML}/models/none", {"name": "rolled-x"}, PROVISION),
    "deploy a model": op("POST", f"{ML}/models/none/_deploy", None, PROVISION),
    "undeploy a model": op("POST", f"{ML}/models/none/_undeploy", None, PROVISION),
    "delete a model": op("DELETE", f"{ML}/models/none", None, PROVISION),
    "search models": op("POST", f"{ML}/models/_search", ALL, PROVISION, INGEST),
    "read an ingest pipeline": op("GET", "/_ingest/pipeline/rolled-x", None, PROVISION),
    "put an ingest pipeline": op("PUT", "/_ingest/pipeline/rolled-x", {"processors": []}, PROVISION),
    "delete an ingest pipeline": op("DELETE", "/_ingest/pipeline/rolled-x", None, PROVISION),
    "try an ingest pipeline": op(
        "POST", "/_ingest/pipeline/_simulate", {"pipeline": {"processors": []}, "docs": [{"_source": {}}]}, PROVISION
    ),
    "read a search pipeline": op("GET", "/_search/pipeline/rolled-x", None, PROVISION),
    "put a search pipeline": op("PUT", "/_search/pipeline/rolled-x", {"request_processors": []}, PROVISION),
    "delete a search pipeline": op("DELETE", "/_search/pipeline/rolled-x", None, PROVISION),
    "put a search template": op(
        "PUT", "/_scripts/rolled-x", {"script": {"lang": "mustache", "source": "{}"}}, PROVISION
    ),
    "delete a search template": op("DELETE", "/_scripts/rolled-x", None, PROVISION),
    "change cluster settings": op("PUT", "/_cluster/settings", {"persistent": {"cluster.metadata.x": "y"}}, PROVISION),
    "read cluster settings": op("GET", "/_cluster/settings", None, PROVISION),
    "read the cluster's state": op("GET", "/_cluster/state/metadata", None, PROVISION),
    "read the cluster's health": op("GET", "/_cluster/health", None, PROVISION),
    "create an index of the deployment": op("PUT", f"/{INDEX}-9", None, PROVISION),
    "delete an index of the deployment": op("DELETE", f"/{INDEX}-9", None, PROVISION),
    "change a mapping": op("PUT", f"/{INDEX}-1/_mapping", {"properties": {"smuggled": {"type": "keyword"}}}, PROVISION),
    "change settings of an index": op("PUT", f"/{INDEX}-1/_settings", {"index.default_pipeline": "_none"}, PROVISION),
    "move an alias": op("POST", "/_aliases", ALIAS, PROVISION),
    "take the lock": op("PUT", "/rolled-test-lock", None, PROVISION),
    "break the lock": op("DELETE", "/rolled-test-lock", None, PROVISION),
    # of the one who ingests
    "index a document": op("PUT", f"/{INDEX}/_doc/x", DOC, INGEST),
    "create a document": op("PUT", f"/{INDEX}/_create/x", DOC, INGEST),
    "update a document": op("POST", f"/{INDEX}/_update/p0", {"doc": DOC}, INGEST),
    "delete a document": op("DELETE", f"/{INDEX}/_doc/p0", None, INGEST),
    "index in bulk": op("POST", f"/{INDEX}/_bulk", f'{{"index": {{"_id": "x"}}}}\n{json.dumps(DOC)}\n', INGEST),
    "refresh": op("POST", f"/{INDEX}/_refresh", None, INGEST, PROVISION),
    "read dead letters": op("POST", f"/{LETTERS}/_search", ALL, INGEST),
    "write a dead letter": op("POST", f"/{LETTERS}/_bulk", '{"index": {"_id": "x"}}\n{}\n', INGEST),
    "delete the index of dead letters": op("DELETE", f"/{LETTERS}", None, PROVISION),
    # of the one who searches
    "search by a template": op(
        "POST", f"/{INDEX}/_search/template", {"id": "rolled-search", "params": {"text": "x"}}, SEARCH
    ),
    "see what a template makes": op("POST", "/_render/template", {"id": "rolled-search", "params": {}}, SEARCH),
    # of a migration, besides
    "read a search template": op("GET", "/_scripts/rolled-search", None, MIGRATE),
    "list tasks": op("GET", "/_tasks", None, MIGRATE),
    "read several documents": op("POST", f"/{INDEX}/_mget", {"ids": ["p0"]}, INGEST, MIGRATE),
    "read an index's statistics": op("GET", f"/{INDEX}-1/_stats", None, INGEST, MIGRATE),
    # of none of them
    "search another index": op("POST", "/others-1/_search", ALL),
    "search everything": op("POST", "/_search", ALL),
    "read models from behind": op("POST", "/.plugins-ml-model/_search", ALL),
    "write to another index": op("PUT", "/others-1/_doc/x", DOC),
    "create another index": op("PUT", "/others-2"),
    "delete another index": op("DELETE", "/others-1"),
    "take another deployment's lock": op("PUT", "/other-test-lock"),
    "delete everything": op("DELETE", "/_all"),
    "put an index template": op("PUT", "/_index_template/x", {"index_patterns": ["x"]}),
    "cancel tasks": op("POST", "/_tasks/_cancel"),
    "close an index": op("POST", f"/{INDEX}-1/_close"),
    "put a role": op("PUT", f"{API}/roles/x", {"cluster_permissions": ["*"]}),
    "list users": op("GET", f"{API}/internalusers"),
    "register a repository": op("PUT", "/_snapshot/x", {"type": "fs", "settings": {"location": "x"}}),
}
REFUSED = [
    (name, purpose) for name, (*_, allowed) in OPERATIONS.items() for purpose in PURPOSES if purpose not in allowed
]
