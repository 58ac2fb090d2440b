"""Try a connector before anything depends on it: a throw-away model on it has to answer in the right space."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opensearchpy import NotFoundError, OpenSearch, TransportError

from neuralshelf.client import reason
from neuralshelf.connectors.probe import rank
from neuralshelf.connectors.spec import ConnectorSpec
from neuralshelf.errors import ProvisionError
from neuralshelf.provision.marker import Marker
from neuralshelf.provision.objects.ml import ML
from neuralshelf.provision.spaces import SAME, Space, agreement, measure
from neuralshelf.resource import Kind
from neuralshelf.templates import render

DEPLOY_SECONDS = 60.0
REMOVE_SECONDS = 20.0


def candidate_address(name: str) -> str:
    """Address of the throw-away model for the model called `name`; a plan that finds one deletes it."""
    return f"{Kind.MODEL}/{name}-candidate"


def admit_candidate(
    client: OpenSearch,
    connector_id: str,
    spec: ConnectorSpec,
    *,
    name: str,
    group_id: str,
    prefix: str,
    expected: Mapping[str, Space],
) -> None:
    """Return when a model on this connector answers the known inputs as every one of `expected`. About 0.3 s.

    The throw-away model is called `NAME-candidate`, bears our marker, and is deleted whatever happens; if even that
    fails, the next plan finds it.

    Args:
        name: of the model that is to be pointed at the connector.
        group_id: the deployment's model group.
        prefix: the deployment, for the marker.
        expected: where vectors of this model are already (`index products-1, text_vector`) -> their space.

    Raises:
        ProvisionError: it does not answer, or it answers in another space; names cause and next step.
    """
    with _candidate(client, connector_id, name, group_id, prefix) as model:
        found = measure(client, model, spec, name=f"{Kind.MODEL}/{name}")
    for where, space in expected.items():
        cosine = agreement(found, space)
        if cosine < SAME:
            told = f"cosine {cosine:.2f}" if found.dimension == space.dimension else _lengths(found, space)
            raise ProvisionError(
                f"{Kind.MODEL}/{name}: the new endpoint gives other vectors than those in {where} ({told})",
                hint="raise index.version and run neuralshelf migrate",
            )


def admit_ranker(client: OpenSearch, connector_id: str, *, name: str, group_id: str, prefix: str) -> None:
    """Return when a model on this connector ranks, or would if its campaign were there, which may be made later.

    Raises:
        ProvisionError: it does not answer; names cause and next step.
    """
    try:
        with _candidate(client, connector_id, name, group_id, prefix) as model:
            rank(client, model, name=f"{Kind.MODEL}/{name}")
    except ProvisionError as fault:
        if "(404)" not in fault.message:
            raise


@contextmanager
def _candidate(client: OpenSearch, connector: str, name: str, group: str, prefix: str) -> Iterator[str]:
    address = candidate_address(name)
    body = render(
        "connectors/model.json.j2",
        name=f"{name}-candidate",
        logical=name,
        role="a trial",
        group=group,
        connector=connector,
    )
    marker = Marker(prefix, address, "0" * 16)
    body["description"] += f" {marker}"
    try:
        model = str(_ml(client, "POST", "models/_register", body)["model_id"])
        try:
            _deploy(client, address, model)
            yield model
        finally:
            _remove(client, model)
    except TransportError as fault:
        raise ProvisionError(
            f"{address}: refused by the cluster ({fault.status_code}): {reason(fault)}", hint="apply again"
        ) from None


def _deploy(client: OpenSearch, address: str, model: str) -> None:
    """Wait for it: undeploying a model that a first question is deploying leaves it deployed."""
    _ml(client, "POST", f"models/{model}/_deploy")
    deadline = time.monotonic() + DEPLOY_SECONDS
    while (state := _ml(client, "GET", f"models/{model}").get("model_state")) != "DEPLOYED":
        if state == "DEPLOY_FAILED" or time.monotonic() > deadline:
            raise ProvisionError(f"{address}: not deployed (state {state})", hint="look at the cluster's log")
        time.sleep(0.05)


def _remove(client: OpenSearch, model: str) -> None:
    """Undeploy and delete; silent when the cluster has gone, since the next plan finds what is left."""
    deadline = time.monotonic() + REMOVE_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(TransportError):
            _ml(client, "POST", f"models/{model}/_undeploy")
        try:
            _ml(client, "DELETE", f"models/{model}")
            return
        except NotFoundError:
            return
        except TransportError as fault:
            if not isinstance(fault.status_code, int):
                return
        time.sleep(0.2)


def _lengths(found: Space, expected: Space) -> str:
    return f"{found.dimension} numbers instead of {expected.dimension}"


def _ml(client: OpenSearch, method: str, path: str, body: Any = None) -> Any:
    return client.transport.perform_request(method, f"{ML}/{path}", body=body)
