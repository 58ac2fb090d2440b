"""Remote models and their deployment. A model keeps its id for life: it is pointed at another connector in place."""

import contextlib
import time
from collections.abc import Iterable, Mapping

from opensearchpy import ConflictError, NotFoundError, OpenSearch, RequestError

from neuralshelf.errors import ProvisionError
from neuralshelf.provision.live import Live
from neuralshelf.provision.objects.base import Json, Scope, Writing, unmarked
from neuralshelf.provision.objects.connector import give_back
from neuralshelf.provision.objects.ml import ML, search_all
from neuralshelf.resource import Kind, Resource, resolve

DEPLOY_SECONDS = 120.0
DEPLOYED, DEPLOYING, FAILED = "DEPLOYED", "DEPLOYING", "DEPLOY_FAILED"
_SETTABLE = ("name", "description", "connector_id")
_SHOWN = ("name", "model_group_id", "connector_id", "rate_limiter", "interface", "guardrails", "deploy_setting")


class Models:
    """Models of ML Commons, function `remote`."""

    def read(self, client: OpenSearch, scope: Scope) -> Iterable[Live]:
        for identity, source in search_all(client, "models", scope.prefix, scope.names(Kind.MODEL)):
            description, marker = unmarked(source.get("description"))
            name = str(source.get("name"))
            if scope.concerns(Kind.MODEL, name, marker):
                body = {key: source[key] for key in _SHOWN if key in source}
                state = source.get("model_state")
                if state == DEPLOYING:  # what is searched is older by a moment than what `_await_deployed` has seen
                    with contextlib.suppress(NotFoundError):
                        state = _state(client, identity)
                body |= {
                    "description": description,
                    "function_name": str(source.get("algorithm", "")).lower(),
                    "model_state": state,
                    "is_enabled": source.get("is_enabled", True),
                }
                yield Live(Kind.MODEL, name, identity, marker, body, int(source.get("created_time") or 0))

    def wanted(self, resource: Resource, ids: Mapping[str, str]) -> Json:
        return {**resolve(resource.body, ids), "model_state": DEPLOYED, "is_enabled": True}

    def write(self, writing: Writing, resource: Resource, live: Live | None) -> str:
        body = writing.body(resource)
        if live is None or not mendable(self.wanted(resource, writing.ids), live):
            answer = writing.send("POST", f"{ML}/models/_register", body, deploy="true")
            model = str(answer.get("model_id") or _registered(writing.client, resource, str(answer["task_id"])))
        else:
            model = live.id
            _admit(writing, resource, body, live)
            if live.body["model_state"] == DEPLOYING:  # it takes no change until that is over, well or not
                _await_settled(writing.client, model)
            changes = _changes(resource, body, live)
            if changes:
                writing.send("PUT", f"{ML}/models/{model}", changes)
        if body["connector_id"] in writing.unused:
            writing.unused.remove(body["connector_id"])
        _await_deployed(writing, resource, model)
        return model

    def delete(self, writing: Writing, live: Live) -> None:
        with contextlib.suppress(NotFoundError):
            writing.send("POST", f"{ML}/models/{live.id}/_undeploy")
            deadline = time.monotonic() + 10.0
            while True:
                try:
                    writing.send("DELETE", f"{ML}/models/{live.id}")
                    return
                except (RequestError, ConflictError):  # some node has not undeployed it yet
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.2)


def _admit(writing: Writing, resource: Resource, body: Json, live: Live) -> None:
    """Let the guard try the connector that the model is to be pointed at; what it refuses is not left behind."""
    if writing.guard is None or body["connector_id"] == live.body.get("connector_id"):
        return
    try:
        writing.guard.admit(resource, body["connector_id"], writing.ids)
    except ProvisionError:
        for made in writing.unused:
            give_back(writing, made)  # what can't be deleted stays for the next plan: the cause matters here
        raise


def mendable(wanted: Json, live: Live) -> bool:
    """Whether PUT and deploy get it right; another group, or limits that somebody added, can't be taken off again."""
    fixed = {*wanted, *live.body} - {*_SETTABLE, "model_state", "is_enabled"}
    return all(wanted.get(key) == live.body.get(key) for key in fixed)


def _changes(resource: Resource, body: Mapping[str, Json], live: Live) -> dict[str, Json]:
    """What to send so that the model is as wanted; the description goes along when the marker is not the right one."""
    changes = {key: body[key] for key in _SETTABLE if key != "description" and body[key] != live.body.get(key)}
    if live.fingerprint != resource.fingerprint or live.body["description"] != resource.body["description"]:
        changes["description"] = body["description"]
    if live.body["is_enabled"] is not True:
        changes["is_enabled"] = True
    return changes


def _registered(client: OpenSearch, resource: Resource, task: str) -> str:
    """The model id of a registration task (older versions answer with the task only)."""
    deadline = time.monotonic() + DEPLOY_SECONDS
    while time.monotonic() < deadline:
        state = client.transport.perform_request("GET", f"{ML}/tasks/{task}")
        if state.get("model_id"):
            return str(state["model_id"])
        if state.get("state") == "FAILED":
            raise ProvisionError(
                f"{resource.address}: registering failed: {state.get('error')}", hint="mend the cause, apply again"
            )
        time.sleep(0.2)
    raise ProvisionError(f"{resource.address}: not registered within {DEPLOY_SECONDS:.0f} s", hint="apply again")


def _state(client: OpenSearch, model: str) -> Json:
    return client.transport.perform_request("GET", f"{ML}/models/{model}").get("model_state")


def _await_settled(client: OpenSearch, model: str) -> None:
    deadline = time.monotonic() + DEPLOY_SECONDS
    while _state(client, model) == DEPLOYING:
        if time.monotonic() > deadline:
            return
        time.sleep(0.1)


def _await_deployed(writing: Writing, resource: Resource, model: str) -> None:
    """A deployment that someone else has begun is waited for; one that nobody began is asked for."""
    begun = time.monotonic()
    ask_after = begun + 2.0  # `deploy=true` shows as REGISTERED for a moment, and asking again then is a conflict
    state = None
    while time.monotonic() - begun < DEPLOY_SECONDS:
        state = _state(writing.client, model)
        if state == DEPLOYED:
            return
        if state != DEPLOYING and time.monotonic() > ask_after:
            # A node takes every new attempt for a duplicate of one that failed, until the model is undeployed.
            verb, patience = ("_undeploy", 0.5) if state == FAILED else ("_deploy", 10.0)
            with contextlib.suppress(ConflictError):
                writing.send("POST", f"{ML}/models/{model}/{verb}")
            ask_after = time.monotonic() + patience
        time.sleep(0.1)
    raise ProvisionError(
        f"{resource.address}: not deployed within {DEPLOY_SECONDS:.0f} s (state {state})",
        hint="neuralshelf doctor, then apply again",
    )
