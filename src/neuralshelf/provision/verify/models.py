"""Every model through every worker node: deployed there, and answering in the space that the index keeps."""

from collections.abc import Iterator, Mapping
from typing import Any

from opensearchpy import AuthorizationException, NotFoundError, OpenSearch

from neuralshelf.connectors.probe import TEXT, embed, picture, rank
from neuralshelf.connectors.ranking import ranking_name
from neuralshelf.connectors.spec import SageMakerText
from neuralshelf.errors import ProvisionError
from neuralshelf.provision.objects.ml import ML
from neuralshelf.provision.spaces import SAME, Space, agreement
from neuralshelf.provision.verify.check import Check
from neuralshelf.provision.verify.subject import Model, Subject
from neuralshelf.provision.verify.wiring import APPLY, MIGRATE
from neuralshelf.resource import Kind

Json = Any

LEAST_ROUNDS = 3
"""Questions a worker, when others ask the same model meanwhile and the counters can't tell whose were answered."""
MOST_ROUNDS = 10


def node_names(client: OpenSearch) -> dict[str, str]:
    """Node id -> name."""
    nodes = client.transport.perform_request("GET", "/_nodes", params={"filter_path": "nodes.*.name"})
    return {identity: str(node["name"]) for identity, node in nodes.get("nodes", {}).items()}


def check_deployed(subject: Subject, model: Model, names: Mapping[str, str]) -> tuple[Check, tuple[str, ...]]:
    """Whether it is deployed on all worker nodes planned for it, as those nodes say; and the nodes that have it."""
    name = "model-deployed"
    if model.id is None:
        stranger = model.address in subject.live
        found = "is there, but this deployment did not make it" if stranger else "does not exist"
        return Check(name, model.address, False, found, APPLY), ()
    try:
        body = _get(subject.client, f"models/{model.id}")
    except NotFoundError:
        return Check(name, model.address, False, "does not exist", APPLY), ()
    if body.get("is_enabled") is False:
        return Check(name, model.address, False, "is disabled", APPLY), ()
    planned = tuple(body.get("planning_worker_nodes", ()))
    nodes = _get(subject.client, f"profile/models/{model.id}").get("nodes", {})
    having = {n for n, held in nodes.items() if _state(held, model.id) == "DEPLOYED"}
    working = tuple(node for node in planned if node in having)
    state = body.get("model_state")
    remedy = f"POST {ML}/models/{model.id}/_undeploy, then {APPLY}"
    fault = None
    if not planned or not working:
        fault, remedy = f"is {state}, deployed on no node", APPLY
    elif len(working) < len(planned):
        fault = f"is missing on {_list(set(planned) - having, names)} of {len(planned)} worker nodes"
    elif state != "DEPLOYED":
        fault = f"is {state}"
    elif not body.get("deploy_to_all_nodes", True) or "deploy_to_all_nodes" not in body:
        fault = f"has a plan of its own: deployed on {_list(planned, names)} only"
    if fault:
        return Check(name, model.address, False, fault, remedy), working
    return Check(name, model.address, True, f"on all worker nodes: {_list(planned, names)}"), working


def check_answers(subject: Subject, model: Model, workers: tuple[str, ...], names: Mapping[str, str]) -> Check:
    """The known inputs through every worker node, each answer held against the index."""
    name = "model-answers"
    asked, wrong, worst, told = 0, 0, 1.0, ""
    try:
        for answer in _through_all(subject.client, model, workers):
            cosine, field = min(
                ((agreement(answer, space), field) for field, space in _kept(subject, model).items()),
                default=(1.0, ""),
            )
            asked += 1
            wrong += cosine < SAME
            if cosine < worst:
                worst, told = cosine, field
    except ProvisionError as fault:
        return Check(name, model.address, False, fault.message.removeprefix(f"{model.address}: "), fault.hint)
    if wrong:
        some = "" if wrong == asked else f" in {wrong} of {asked} answers"
        found = f"gives other vectors than {subject.index.physical_name} keeps for {told}{some} (cosine {worst:.2f})"
        remedy = f"another model answers at its endpoint, or it was pointed to another: {APPLY}, or {MIGRATE}"
        if some:
            remedy = f"a worker node has an old connector: POST {ML}/models/{model.id}/_undeploy, then {APPLY}"
        return Check(name, model.address, False, found, remedy)
    through = f"{asked} answers through {_list(workers, names)}"
    if not _kept(subject, model):
        return Check(name, model.address, True, f"{through}; no vector field to compare with")
    return Check(name, model.address, True, f"cosine {worst:.5f} or more, {through}")


def check_ranker(subject: Subject) -> Iterator[Check]:
    """Whether the ranker answers: a search that it fails comes in the order it has, and says nothing."""
    if subject.deployment.config.ranking is None:
        return
    address = f"{Kind.MODEL}/{ranking_name(subject.deployment.prefix)}"
    live = subject.live.get(address)
    if live is None or not subject.owns(live):
        yield Check("ranker-answers", address, False, "does not exist", APPLY)
        return
    try:
        rank(subject.client, live.id, name=address)
    except ProvisionError as fault:
        yield Check("ranker-answers", address, False, fault.message.removeprefix(f"{address}: "), fault.hint)
    else:
        yield Check("ranker-answers", address, True, "it ranks")


def _kept(subject: Subject, model: Model) -> dict[str, Space]:
    return {field: subject.spaces[field] for field in model.fields if field in subject.spaces}


def _through_all(client: OpenSearch, model: Model, workers: tuple[str, ...]) -> Iterator[Space]:
    """Answers until every worker node has given one for each known input.

    A client can't choose the worker: each node hands questions to all of them in turn, and counts those it answered.

    Raises:
        ProvisionError: no answer, no vector of the configured size, or a worker that never answers.
    """
    assert model.id is not None
    inputs = [{"text": TEXT}]
    if not isinstance(model.spec, SageMakerText):
        inputs.append({"image": picture()})
    for given in inputs:
        before = _answered(client, model.id)
        asked = 0
        silent = set(workers)
        others = before is None
        while silent or (others and asked < LEAST_ROUNDS * len(workers)):
            if asked >= MOST_ROUNDS * len(workers):
                raise ProvisionError(
                    f"{model.address}: {len(silent)} worker nodes answered none of {asked} questions",
                    hint="neuralshelf doctor",
                )
            for _ in workers:
                vector = embed(client, model.id, model.spec, name=model.address, **given)
                yield Space(vector, None) if "text" in given else Space(None, vector)
                asked += 1
            after = _answered(client, model.id)
            if before is None or after is None:
                silent = set()
            else:
                silent = {node for node in workers if after.get(node, 0) <= before.get(node, 0)}
                others = sum(after.values()) - sum(before.values()) > asked


def _answered(client: OpenSearch, model: str) -> dict[str, int] | None:
    """Node id -> questions to this model that it has answered; None where that may not be asked."""
    try:
        nodes = _get(client, "stats", {"target_stat_levels": ["MODEL"], "actions": ["predict"]})["nodes"]
    except AuthorizationException:
        return None
    counts = {node: found.get("models", {}).get(model, {}).get("predict", {}) for node, found in nodes.items()}
    return {node: int(predicted.get("ml_action_request_count", 0)) for node, predicted in counts.items()}


def _state(node: Json, model: str) -> object:
    return node.get("models", {}).get(model, {}).get("model_state")


def _list(nodes: object, names: Mapping[str, str]) -> str:
    return ", ".join(sorted(names.get(node, node) for node in nodes))  # type: ignore[attr-defined]


def _get(client: OpenSearch, path: str, body: Json = None) -> Json:
    return client.transport.perform_request("GET", f"{ML}/{path}", body=body)
