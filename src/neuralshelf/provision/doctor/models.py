"""The deployment's models as they are in the cluster, and what each answers to a known text."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opensearchpy import ConnectionError as ClusterUnreachable
from opensearchpy import ConnectionTimeout, TransportError

from neuralshelf.connectors.probe import TEXT
from neuralshelf.connectors.spec import Role
from neuralshelf.deployment import Deployment
from neuralshelf.provision.doctor.answers import Meaning, meaning, vector
from neuralshelf.provision.doctor.asking import PREDICT_SECONDS, Asker, Away, Json, denied_actions
from neuralshelf.provision.doctor.cluster import connector_urls, origin
from neuralshelf.provision.doctor.findings import Finding, finding
from neuralshelf.provision.marker import Marker
from neuralshelf.resource import Kind

_ML = "/_plugins/_ml"
_AT_ONCE = 4
_NO_VECTOR = Meaning("answer-not-a-vector", "endpoint", "no numbers, or none but zeros")


@dataclass(frozen=True)
class LiveModel:
    """A model of ours.

    Attributes:
        url: where its connector calls; "" when the connector is not there.
        patience: seconds after which its connector gives up.
    """

    id: str
    name: str
    logical: str
    role: Role
    state: str
    enabled: bool
    workers: tuple[int, int]
    url: str
    patience: int

    @property
    def address(self) -> str:
        """As in a plan."""
        return f"{Kind.MODEL}/{self.name}"


@dataclass(frozen=True, eq=False)
class Answer:
    """What a model gave for the known text: its vector, shape (dimension,), or what is the matter."""

    model: LiveModel
    vector: NDArray[np.float32] | None
    meaning: Meaning | None
    seconds: float


def read_models(ask: Asker, deployment: Deployment) -> list[LiveModel]:
    """Of all generations, by name.

    Raises:
        Away, Unanswered.
    """
    named = {"size": 200, "query": {"prefix": {"name.keyword": f"{deployment.prefix}-v"}}}
    connectors = {hit["_id"]: hit["_source"] for hit in ask.search(f"{_ML}/connectors/_search", named)}
    found = []
    for hit in ask.search(f"{_ML}/models/_search", named):
        model = _model(hit["_id"], hit["_source"], connectors, deployment.prefix)
        if model is not None:
            found.append(model)
    return sorted(found, key=lambda model: model.name)


def _model(identity: str, body: Json, connectors: Mapping[str, Json], prefix: str) -> LiveModel | None:
    marker = Marker.find(body.get("description"))
    parts = re.fullmatch(rf"{re.escape(prefix)}-v\d+-(.+)-(ingest|search)", str(body.get("name")))
    if marker is None or marker.prefix != prefix or parts is None:
        return None
    connector = connectors.get(str(body.get("connector_id")), {})
    return LiveModel(
        id=identity,
        name=str(body["name"]),
        logical=parts[1],
        role="ingest" if parts[2] == "ingest" else "search",
        state=str(body.get("model_state")),
        enabled=body.get("is_enabled") is not False,
        workers=(int(body.get("current_worker_node_count") or 0), int(body.get("planning_worker_node_count") or 0)),
        url=next(iter(connector_urls(Kind.CONNECTOR, connector)), ""),
        patience=int(connector.get("client_config", {}).get("read_timeout", 0)) or PREDICT_SECONDS,
    )


def check_states(models: Sequence[LiveModel]) -> Iterator[Finding]:
    """What the cluster's books say about them."""
    disabled = [model for model in models if not model.enabled]
    if disabled:
        yield finding("model-disabled", disabled[0].address, names=_names(disabled))
    for state in sorted({model.state for model in models}):
        resting = [model for model in models if model.enabled and model.state == state == "UNDEPLOYED"]
        if resting:
            yield finding("model-not-deployed", resting[0].address, names=_names(resting), state=state)
    partly = [model for model in models if model.enabled and model.state == "PARTIALLY_DEPLOYED"]
    if partly:
        current, planned = partly[0].workers
        names = _names(partly)
        yield finding("model-partially-deployed", partly[0].address, names=names, current=current, planned=planned)


def ask_models(ask: Asker, models: Sequence[LiveModel]) -> list[Answer]:
    """All at once, so that endpoints that hang take the time of one. An undeployed model is left alone: asking it
    would deploy it."""
    able = [model for model in models if model.enabled and model.state != "UNDEPLOYED"]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [answer for answer in pool.map(lambda model: _ask(ask, model), able) if answer is not None]


def _ask(ask: Asker, model: LiveModel) -> Answer | None:
    """None when this login may not ask. A first answer may be slow because a model wakes up: a second one counts."""
    for attempt in (1, 2):
        begun = time.monotonic()
        try:
            answer: Mapping[str, Any] = ask.predict(model.id, [TEXT])
        except TransportError as fault:
            if isinstance(fault, ClusterUnreachable) and not isinstance(fault, ConnectionTimeout):
                raise Away(fault) from None
            seconds = time.monotonic() - begun
            found = meaning(fault)
            if found is None:
                ask.denied |= dict.fromkeys(denied_actions(fault))
                return None
            # a model that was pointed elsewhere a moment ago still calls the old connector once
            if attempt == 1 and seconds < 1 and not isinstance(fault, ConnectionTimeout):
                time.sleep(0.5)
                continue
            return Answer(model, None, found, seconds)
        seconds = time.monotonic() - begun
        if seconds > model.patience / 2 and attempt == 1:
            continue
        embedded = vector(answer)
        return Answer(model, embedded, _NO_VECTOR if embedded is None else None, seconds)
    return None


def check_answers(answers: Sequence[Answer]) -> Iterator[Finding]:
    """One finding for each cause: a fault of a server, or of the credentials, concerns all models that call it."""
    grouped: dict[tuple[str, str], list[Answer]] = {}
    for answer in answers:
        told = answer.meaning
        if told is None and answer.seconds > answer.model.patience / 2:
            told = Meaning("endpoint-slow", "endpoint", "")
        if told is not None:
            places = {"cluster": "cluster", "server": origin(answer.model.url), "model": answer.model.address}
            grouped.setdefault((told.code, places.get(told.scope, answer.model.url)), []).append(answer)
    for (code, place), concerned in grouped.items():
        yield _answered(code, place, concerned)


def _answered(code: str, place: str, concerned: Sequence[Answer]) -> Finding:
    slowest = max(concerned, key=lambda answer: answer.seconds / answer.model.patience)
    logical = ", ".join(sorted({answer.model.logical for answer in concerned}))
    silent = slowest.vector is None and slowest.seconds >= PREDICT_SECONDS - 0.5
    return finding(
        code,
        "cluster" if place == "cluster" else f"{place} (connector {logical})",
        url=place,
        names=_names([answer.model for answer in concerned]),
        said=concerned[0].meaning.said if concerned[0].meaning else "",
        seconds=f"more than {PREDICT_SECONDS} s" if silent else f"{slowest.seconds:.1f} s",
        role=slowest.model.role,
        patience=slowest.model.patience,
    )


def _names(models: Sequence[LiveModel]) -> str:
    return ", ".join(sorted({model.name for model in models}))
