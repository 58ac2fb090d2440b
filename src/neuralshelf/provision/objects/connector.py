"""Connectors. One in use can't be changed, so every change makes a new one, and the models are pointed at it.

When ML Commons is asked to delete one, it looks for models by a `match` query, so `Xc3…-V` counts as used by a model
whose connector is `Yd4…-v` (read in its DeleteConnectorTransportAction of 2.19, 3.6 and 3.8, and measured). The cluster
makes the ids, and the middle of them is the node's: where that has a hyphen, ids of the same minute often share a part.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress

from opensearchpy import ConflictError, NotFoundError, OpenSearch

from neuralshelf.client import reason
from neuralshelf.errors import ProvisionError
from neuralshelf.provision.live import Live
from neuralshelf.provision.objects.base import Json, Scope, Writing, unmarked
from neuralshelf.provision.objects.ml import ML, MOST, search_all
from neuralshelf.resource import Kind, Resource, resolve

SHORTEST_PART = 4
ATTEMPTS = 5
_ADDED = ("created_time", "last_updated_time", "owner", "access", "credential", "tenant_id", "backend_roles")


class Connectors:
    """Connectors of ML Commons. The cluster never shows their credentials."""

    def read(self, client: OpenSearch, scope: Scope) -> Iterable[Live]:
        for identity, source in search_all(client, "connectors", scope.prefix, scope.names(Kind.CONNECTOR)):
            description, marker = unmarked(source.get("description"))
            name = str(source.get("name"))
            if scope.concerns(Kind.CONNECTOR, name, marker):
                body = {key: value for key, value in source.items() if key not in _ADDED}
                body |= {"description": description, "actions": [_action(a) for a in source.get("actions") or []]}
                tuning = body.get("client_config")
                if isinstance(tuning, Mapping):  # the cluster writes out this default
                    body["client_config"] = {
                        k: v for k, v in tuning.items() if (k, v) != ("skip_ssl_verification", False)
                    }
                yield Live(Kind.CONNECTOR, name, identity, marker, body, int(source.get("created_time") or 0))

    def wanted(self, resource: Resource, ids: Mapping[str, str]) -> Json:
        return {key: value for key, value in resolve(resource.body, ids).items() if key != "credential"}

    def write(self, writing: Writing, resource: Resource, live: Live | None) -> str:
        """A new connector; the one in use keeps answering until its models point here."""
        body = writing.body(resource)
        for path, secret in resource.secrets.items():
            _put_at(body, path.split("."), secret)
        others = _identities(writing.client)
        made = _create(writing, body)
        for _ in range(ATTEMPTS):
            if distinct(made, others):
                break
            give_back(writing, made)
            made = _create(writing, body)
        writing.unused.append(made)
        return made

    def delete(self, writing: Writing, live: Live) -> None:
        try:
            writing.send("DELETE", f"{ML}/connectors/{live.id}")
        except NotFoundError:
            pass
        except ConflictError as fault:
            if _has_models(writing.client, live.id):
                raise ProvisionError(
                    f"{live.address}: still in use: {reason(fault)}", hint="point those models elsewhere, apply again"
                ) from None
            writing.left.append(live.id)


def mistaken(client: OpenSearch, identity: str) -> bool:
    """Whether the cluster refuses to delete a connector without models, since it takes it for that of a model."""
    query = {"size": 1, "query": {"match": {"connector_id": identity}}}
    return _finds(client, query) and not _has_models(client, identity)


def distinct(identity: str, others: Collection[str], shortest: int = SHORTEST_PART) -> bool:
    """Whether the cluster tells an id from the others; from those to come, too, when all its parts are long."""
    known = {part for other in others for part in _parts(other)}
    return all(len(part) >= shortest and part not in known for part in _parts(identity))


def delete_left(writing: Writing) -> None:
    """Try once more what was left; models may have been pointed elsewhere since."""
    left, writing.left = writing.left, []
    for identity in left:
        give_back(writing, identity)


def _parts(identity: str) -> list[str]:
    """As the cluster's standard analyser takes an id apart."""
    return [part for part in identity.lower().split("-") if part]


def _create(writing: Writing, body: Json) -> str:
    return str(writing.send("POST", f"{ML}/connectors/_create", body)["connector_id"])


def give_back(writing: Writing, identity: str) -> None:
    """Delete a connector that no model of ours has."""
    try:
        with suppress(NotFoundError):
            writing.send("DELETE", f"{ML}/connectors/{identity}")
    except ConflictError:
        writing.left.append(identity)


def _has_models(client: OpenSearch, identity: str) -> bool:
    return _finds(client, {"size": 1, "query": {"term": {"connector_id.keyword": identity}}})


def _finds(client: OpenSearch, query: Json) -> bool:
    try:
        return bool(client.transport.perform_request("POST", f"{ML}/models/_search", body=query)["hits"]["hits"])
    except NotFoundError:  # no model was ever made
        return False


def _identities(client: OpenSearch) -> list[str]:
    """Of all connectors, those of others included."""
    query = {"size": MOST, "_source": ["name"], "query": {"match_all": {}}}
    try:
        hits = client.transport.perform_request("POST", f"{ML}/connectors/_search", body=query)["hits"]["hits"]
    except NotFoundError:  # the first one
        return []
    return [str(hit["_id"]) for hit in hits]


def _action(action: Mapping[str, Json]) -> dict[str, Json]:
    return {**action, "action_type": str(action.get("action_type")).lower()}


def _put_at(body: dict[str, Json], path: Sequence[str], value: str) -> None:
    for key in path[:-1]:
        body = body.setdefault(key, {})
    body[path[-1]] = value
