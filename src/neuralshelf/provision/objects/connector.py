"""Connectors. One in use can't be changed, so every change makes a new one, and the models are pointed at it."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from opensearchpy import ConflictError, NotFoundError, OpenSearch

from neuralshelf.client import reason
from neuralshelf.errors import ProvisionError
from neuralshelf.provision.live import Live
from neuralshelf.provision.objects.base import Json, Scope, Writing, unmarked
from neuralshelf.provision.objects.ml import ML, search_all
from neuralshelf.resource import Kind, Resource, resolve

SHORTEST_PART = 4
ATTEMPTS = 10
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
        made = _create(writing, body)
        for _ in range(ATTEMPTS):
            if _distinct(made):
                break
            with suppress(NotFoundError, ConflictError):  # the next plan finds it
                writing.send("DELETE", f"{ML}/connectors/{made}")
            made = _create(writing, body)
        writing.unused.append(made)
        return made

    def delete(self, writing: Writing, live: Live) -> None:
        try:
            writing.send("DELETE", f"{ML}/connectors/{live.id}")
        except NotFoundError:
            pass
        except ConflictError as fault:
            # ML Commons also names models of other connectors (`_distinct`): ask for this very id. What it keeps for
            # them stays unused until a later plan
            query = {"size": 1, "query": {"term": {"connector_id.keyword": live.id}}}
            users = writing.client.transport.perform_request("POST", f"{ML}/models/_search", body=query)
            if users["hits"]["hits"]:
                raise ProvisionError(
                    f"{live.address}: still in use: {reason(fault)}", hint="point those models elsewhere, apply again"
                ) from None


def _create(writing: Writing, body: Json) -> str:
    return str(writing.send("POST", f"{ML}/connectors/_create", body)["connector_id"])


def _distinct(identity: str) -> bool:
    """Whether ML Commons will tell this id from others when it is to be deleted.

    It looks for models by a `match` query, so `Xc3…-V` counts as used by a model whose connector is `Yd4…-V` (read in
    its DeleteConnectorTransportAction of 2.19, 3.6 and 3.8; ids are made by the cluster). Long parts don't meet.
    """
    return all(len(part) >= SHORTEST_PART for part in identity.split("-") if part)


def _action(action: Mapping[str, Json]) -> dict[str, Json]:
    return {**action, "action_type": str(action.get("action_type")).lower()}


def _put_at(body: dict[str, Json], path: Sequence[str], value: str) -> None:
    for key in path[:-1]:
        body = body.setdefault(key, {})
    body[path[-1]] = value
