"""Carry out a plan: one request per change, ids passed on, replaced connectors removed once nothing uses them."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opensearchpy import ConflictError, NotFoundError, OpenSearch, TransportError

from neuralshelf.client import reason
from neuralshelf.errors import ProvisionError
from neuralshelf.provision.marker import Marker
from neuralshelf.provision.observe import ML
from neuralshelf.provision.plan import Action, Change
from neuralshelf.resource import Kind, Resource, resolve

DEPLOY_TIMEOUT_SECONDS = 120.0

Json = Any


def apply(
    client: OpenSearch, changes: Sequence[Change], *, prefix: str, tell: Callable[[Change], None] = lambda _: None
) -> dict[str, str]:
    """Make the cluster hold what the plan wants.

    Args:
        prefix: the deployment's name, written into every marker.
        tell: called after each finished change that wrote something.

    Returns:
        address -> id of every resource of the plan.

    Raises:
        ProvisionError: the cluster refused a change; the message names the resource. What was done stays and is found
            by the next plan.
    """
    ids: dict[str, str] = {}
    replaced: list[Change] = []
    for change in changes:
        resource = change.resource
        if change.action is Action.KEEP:
            assert change.live is not None
            ids[resource.address] = change.live.id
        else:
            try:
                marker = Marker(prefix, resource.address, resource.fingerprint)
                ids[resource.address] = _WRITERS[resource.kind](client, change, ids, marker)
            except TransportError as fault:
                raise _refused(resource, fault) from None
            tell(change)
        if resource.kind is Kind.CONNECTOR and change.live is not None:
            replaced.append(change)
    for change in replaced:
        _remove_unused(client, change, keep=ids[change.resource.address])
    return ids


def _cluster_settings(client: OpenSearch, change: Change, ids: Mapping[str, str], marker: Marker) -> str:
    client.cluster.put_settings(body=resolve(change.resource.body, ids))
    return change.resource.name


def _connector(client: OpenSearch, change: Change, ids: Mapping[str, str], marker: Marker) -> str:
    """Always a new connector: the one in use keeps answering until its models point here."""
    body = _described(resolve(change.resource.body, ids), marker)
    for path, secret in change.resource.secrets.items():
        _put_at(body, path.split("."), secret)
    return str(_ml(client, "POST", "connectors/_create", body)["connector_id"])


def _model_group(client: OpenSearch, change: Change, ids: Mapping[str, str], marker: Marker) -> str:
    body = _described(resolve(change.resource.body, ids), marker)
    if change.live is None:
        return str(_ml(client, "POST", "model_groups/_register", body)["model_group_id"])
    _ml(client, "PUT", f"model_groups/{change.live.id}", {"description": body["description"]})
    return change.live.id


def _model(client: OpenSearch, change: Change, ids: Mapping[str, str], marker: Marker) -> str:
    body = _described(resolve(change.resource.body, ids), marker)
    if change.live is None:
        answer = _ml(client, "POST", "models/_register?deploy=true", body)
        model = str(answer.get("model_id") or _registered(client, change.resource, str(answer["task_id"])))
    else:
        model = change.live.id
        mutable = {key: body[key] for key in ("description", "connector_id") if key in body}
        _ml(client, "PUT", f"models/{model}", mutable)
    _await_deployed(client, change.resource, model)
    return model


def _registered(client: OpenSearch, resource: Resource, task: str) -> str:
    """The model id of a registration task (older versions answer with the task only)."""
    deadline = time.monotonic() + DEPLOY_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        state = _ml(client, "GET", f"tasks/{task}")
        if state.get("model_id"):
            return str(state["model_id"])
        if state.get("state") == "FAILED":
            raise ProvisionError(
                f"{resource.address}: registering failed: {state.get('error')}", hint="mend the cause, apply again"
            )
        time.sleep(0.2)
    raise ProvisionError(
        f"{resource.address}: not registered within {DEPLOY_TIMEOUT_SECONDS:.0f} s", hint="apply again"
    )


def _await_deployed(client: OpenSearch, resource: Resource, model: str) -> None:
    """A deployment that someone else has begun is waited for; one that nobody began is asked for."""
    begun = time.monotonic()
    ask_after = begun + 2.0  # `deploy=true` shows as REGISTERED for a moment, and asking again then is a conflict
    state = None
    while time.monotonic() - begun < DEPLOY_TIMEOUT_SECONDS:
        state = _ml(client, "GET", f"models/{model}").get("model_state")
        if state == "DEPLOYED":
            return
        if state != "DEPLOYING" and time.monotonic() > ask_after:
            with contextlib.suppress(ConflictError):
                _ml(client, "POST", f"models/{model}/_deploy")
            ask_after = time.monotonic() + 10.0
        time.sleep(0.1)
    raise ProvisionError(
        f"{resource.address}: not deployed within {DEPLOY_TIMEOUT_SECONDS:.0f} s (state {state})",
        hint="look at the cluster's log, then apply again",
    )


def _ingest_pipeline(client: OpenSearch, change: Change, ids: Mapping[str, str], marker: Marker) -> str:
    client.ingest.put_pipeline(id=change.resource.name, body=_described(resolve(change.resource.body, ids), marker))
    return change.resource.name


def _search_pipeline(client: OpenSearch, change: Change, ids: Mapping[str, str], marker: Marker) -> str:
    body = _described(resolve(change.resource.body, ids), marker)
    client.transport.perform_request("PUT", f"/_search/pipeline/{change.resource.name}", body=body)
    return change.resource.name


def _index(client: OpenSearch, change: Change, ids: Mapping[str, str], marker: Marker) -> str:
    body = resolve(change.resource.body, ids)
    meta = body["mappings"].get("_meta", {}) | {"neuralshelf": str(marker)}
    mappings = body["mappings"] | {"_meta": meta}
    name = change.resource.name
    if change.live is None:
        client.indices.create(index=name, body={"settings": body["settings"], "mappings": mappings})
    else:
        # The mapping goes first: it is what the engine refuses when vectors don't fit, and then nothing has changed.
        client.indices.put_mapping(index=name, body=mappings)
        dynamic = {key: value for key, value in body["settings"].items() if key in _DYNAMIC_SETTINGS}
        client.indices.put_settings(index=name, body=dynamic)
    _move_aliases(client, name, body["aliases"])
    return name


def _move_aliases(client: OpenSearch, index: str, aliases: Mapping[str, Json]) -> None:
    """Let each alias name this index alone, in one step: an alias on two indexes takes no writes."""
    for alias, options in aliases.items():
        holders = client.indices.get_alias(name=alias, ignore=404)
        others = [holder for holder, found in holders.items() if isinstance(found, dict) and holder != index]
        actions: list[Json] = [{"remove": {"index": other, "alias": alias}} for other in others]
        actions.append({"add": {"index": index, "alias": alias, **options}})
        client.indices.update_aliases(body={"actions": actions})


_DYNAMIC_SETTINGS = ("index.default_pipeline", "index.search.default_pipeline", "index.number_of_replicas")


def _search_template(client: OpenSearch, change: Change, ids: Mapping[str, str], marker: Marker) -> str:
    script = resolve(change.resource.body, ids)["script"]
    marked = script | {"source": "{{! " + str(marker) + " }}" + script["source"]}
    client.put_script(id=change.resource.name, body={"script": marked})
    return change.resource.name


def _remove_unused(client: OpenSearch, change: Change, keep: str) -> None:
    assert change.live is not None
    for old in {change.live.id, *change.live.stale} - {keep}:
        try:
            _ml(client, "DELETE", f"connectors/{old}")
        except NotFoundError:
            pass
        except ConflictError as fault:
            # ML Commons compares parts of ids, so it also names models of other connectors: ask for this very id
            query = {"size": 1, "query": {"term": {"connector_id.keyword": old}}}
            if _ml(client, "POST", "models/_search", query)["hits"]["hits"]:
                raise _refused(change.resource, fault) from None


def _described(body: Mapping[str, Json], marker: Marker) -> dict[str, Json]:
    text = f"{body.get('description', '')} {marker}".strip()
    return {**body, "description": text}


def _put_at(body: dict[str, Json], path: list[str], value: str) -> None:
    for key in path[:-1]:
        body = body.setdefault(key, {})
    body[path[-1]] = value


def _ml(client: OpenSearch, method: str, path: str, body: Json = None) -> Json:
    return client.transport.perform_request(method, f"{ML}/{path}", body=body)


def _refused(resource: Resource, fault: TransportError) -> ProvisionError:
    hint = "mend the configuration, then apply again"
    if resource.kind is Kind.INDEX:
        hint = (
            "an index keeps its fields and vector sizes for life: give index.version the next number and ingest again"
        )
    return ProvisionError(
        f"{resource.address}: refused by the cluster ({fault.status_code}): {reason(fault)}", hint=hint
    )


_WRITERS: Mapping[Kind, Callable[[OpenSearch, Change, Mapping[str, str], Marker], str]] = {
    Kind.SETTINGS: _cluster_settings,
    Kind.CONNECTOR: _connector,
    Kind.MODEL_GROUP: _model_group,
    Kind.MODEL: _model,
    Kind.INGEST_PIPELINE: _ingest_pipeline,
    Kind.SEARCH_PIPELINE: _search_pipeline,
    Kind.INDEX: _index,
    Kind.SEARCH_TEMPLATE: _search_template,
}
