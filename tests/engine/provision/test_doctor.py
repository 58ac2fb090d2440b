"""Doctor on a real engine and a real model server: each seeded fault is named, a healthy deployment has none."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from opensearchpy import OpenSearch

from neuralshelf.engine import Engine
from neuralshelf.model_packages.encoder import Sample
from neuralshelf.model_packages.server.endpoints import CLIP_ENDPOINT, TEXT_ENDPOINT
from neuralshelf.model_packages.server.limits import Limits
from neuralshelf.model_packages.server.sigv4 import Credential
from neuralshelf.provision.lock import locked
from neuralshelf.settings import ClusterConfig
from tests.engine.conftest import ToyEncoder
from tests.engine.provision.clinic import KEY, ML, RIGHT, SECRET, TOKEN, Clinic, eventually, open_clinic
from tests.engine.provision.gate import after, answer, forward, served


@dataclass
class _Other(ToyEncoder):
    """Another model with vectors of the same length."""

    def encode(self, samples: Sequence[Sample], dimension: int) -> NDArray[np.float32]:
        return np.roll(super().encode(samples, dimension), 7, axis=1)


@pytest.fixture(scope="module")
def clinic(engine: Engine, client: OpenSearch) -> Iterator[Clinic]:
    with open_clinic(client, ClusterConfig(provider="url", url=engine.url), "doctor") as made:
        assert made.codes() == ["not-applied"]
        made.apply()
        yield made


def test_a_healthy_deployment_has_no_findings(clinic: Clinic) -> None:
    begun = time.monotonic()
    found = clinic.diagnose()
    assert found.findings == ()
    assert found.healthy
    assert found.unchecked == ()
    assert len(found.checks) == 13
    assert time.monotonic() - begun < 5


Seed = Callable[[Clinic], Any]


def _served(credentials: Mapping[str, Credential] = RIGHT, *, endpoint: str = "", **options: Any) -> Seed:
    """Another model server answers, for all endpoints or for one."""

    @contextmanager
    def seeded(clinic: Clinic) -> Iterator[None]:
        with served(credentials, **options) as port, clinic.gate.behaving(forward(port), endpoint):
            yield

    return seeded


def _answered(status: int, body: bytes, *, endpoint: str = TEXT_ENDPOINT, **headers: str) -> Seed:
    """An endpoint answers the same to everybody."""
    return lambda clinic: clinic.gate.behaving(answer(status, body, **headers), endpoint)


def _late(seconds: float) -> Seed:
    """The endpoint for texts takes its time."""
    return lambda clinic: clinic.gate.behaving(after(seconds, clinic.gate.usual), TEXT_ENDPOINT)


@contextmanager
def _undeployed(clinic: Clinic) -> Iterator[None]:
    model = clinic.model("text", "search")
    clinic.ask("POST", f"{ML}/models/{model}/_undeploy")
    yield
    clinic.ask("POST", f"{ML}/models/{model}/_deploy")
    eventually(lambda: clinic.codes() == [])


@contextmanager
def _disabled(clinic: Clinic) -> Iterator[None]:
    path = f"{ML}/models/{clinic.model('picture', 'search')}"
    clinic.ask("PUT", path, {"is_enabled": False})
    yield
    clinic.ask("PUT", path, {"is_enabled": True})


@contextmanager
def _pipeline_gone(clinic: Clinic, kind: str) -> Iterator[None]:
    clinic.ask("DELETE", f"/{kind}/pipeline/{clinic.pipeline}-{kind.strip('_')}")
    yield
    clinic.apply()


@contextmanager
def _search_pipeline(clinic: Clinic, **changes: Any) -> Iterator[None]:
    """Another body of the search pipeline: keys changed, those of None left out."""
    path = f"/_search/pipeline/{clinic.pipeline}-search"
    body = next(iter(clinic.ask("GET", path).values()))
    changed = {key: value for key, value in {**body, **changes}.items() if value is not None}
    clinic.ask("PUT", path, changed)
    yield
    clinic.ask("PUT", path, body)


@contextmanager
def _aliases(clinic: Clinic, add: str | None = None, *, remove: bool = False) -> Iterator[None]:
    """The alias on one more index, or on none."""
    alias = clinic.deployment.config.index.name
    ours = {"index": clinic.index, "alias": alias}
    if add is not None:
        clinic.client.indices.create(index=add, body={"settings": {"number_of_replicas": 0}, "aliases": {alias: {}}})
    if remove:
        clinic.client.indices.update_aliases(body={"actions": [{"remove": ours}]})
    yield
    if add is not None:
        clinic.client.indices.delete(index=add)
    clinic.client.indices.update_aliases(body={"actions": [{"add": ours}]})


@contextmanager
def _taken(clinic: Clinic) -> Iterator[None]:
    """Somebody's document made an index where the alias should be."""
    alias = clinic.deployment.config.index.name
    ours = {"index": clinic.index, "alias": alias}
    clinic.client.indices.update_aliases(body={"actions": [{"remove": ours}]})
    clinic.client.indices.create(index=alias, body={"settings": {"number_of_replicas": 0}})
    yield
    clinic.client.indices.delete(index=alias)
    clinic.client.indices.update_aliases(body={"actions": [{"add": ours}]})


@contextmanager
def _locked(clinic: Clinic) -> Iterator[None]:
    with locked(clinic.client, clinic.deployment.prefix, "migrate"):
        yield


_PRE = "plugins.ml_commons."
_BLOCK = "index.blocks.read_only_allow_delete"
_DENIED = b'{"Message":"User: u is not authorized to perform: sagemaker:InvokeEndpoint on resource: r"}'
_HOUR, _MINUTE = timedelta(hours=1), timedelta(minutes=1)

SEEDS: Mapping[str, tuple[str, Seed, str]] = {
    # models and their endpoints
    "endpoint closed": ("endpoint-down", lambda c: c.gate.closed(), "start the endpoint"),
    "other secret": ("wrong-secret", _served({KEY: Credential("other", TOKEN)}), "runtime.secret_key"),
    "other access key": ("credentials-unknown", _served({"AKIAOTHER": Credential(SECRET)}), "runtime.access_key"),
    "expired token": (
        "credentials-expired",
        _served({KEY: Credential(SECRET, TOKEN, datetime.now(UTC) - _MINUTE)}),
        "rotate --watch",
    ),
    "slow clock": ("clock-skew", _served(clock=lambda: datetime.now(UTC) + _HOUR), "NTP"),
    "fast clock": ("clock-skew", _served(clock=lambda: datetime.now(UTC) - _HOUR), "NTP"),
    "throttled": ("endpoint-throttled", _served(limits=Limits(max_buffered=1), endpoint=CLIP_ENDPOINT), "quota"),
    "denied": ("access-denied", _answered(403, _DENIED, x_amzn_ErrorType="AccessDeniedException"), "InvokeEndpoint"),
    "no endpoint": ("endpoint-unknown", _answered(400, b'{"Message":"Endpoint x of account 1 not found."}'), "region"),
    "not there": ("endpoint-unknown", _answered(404, b"<html>Not Found</html>"), "region"),
    "failing": ("endpoint-failing", _answered(500, b'{"Message":"out of memory"}'), "log of the endpoint"),
    "slow": ("endpoint-slow", _late(1.5), "read_timeout"),
    "hanging": ("endpoint-slow", _late(3), "read_timeout"),
    "web page": ("answer-not-a-vector", _answered(200, b"<html>Welcome</html>"), "kind of model"),
    "cut answer": ("answer-not-a-vector", _answered(200, b"[[0.1,"), "kind of model"),
    "nothing": ("answer-not-a-vector", _answered(200, b""), "kind of model"),
    "cut picture": (
        "answer-not-a-vector",
        _answered(200, b'{"vector":[1]}', endpoint=CLIP_ENDPOINT),
        "kind of model",
    ),
    "other length": ("dimension-mismatch", _answered(200, b"[[1,2,3]]"), "dimension of the connector"),
    "zeros": ("answer-not-a-vector", _answered(200, str([[0] * 384]).encode()), "kind of model"),
    "other model": ("vector-space-mismatch", _served(text=_Other()), "neuralshelf migrate"),
    # the cluster
    "private addresses": (
        "private-address-refused",
        lambda c: c.setting(f"{_PRE}connector.private_ip_enabled", False),
        "set it",
    ),
    "trust": (
        "endpoint-not-trusted",
        lambda c: c.setting(f"{_PRE}trusted_connector_endpoints_regex", ["^https://example\\.com/.*$"]),
        "keep the AWS patterns",
    ),
    "roles": (
        "no-node-for-models",
        lambda c: c.setting(f"{_PRE}task_dispatcher.eligible_node_role.remote_model", ["ml"]),
        "[data, ml]",
    ),
    "remote models off": (
        "remote-models-disabled",
        lambda c: c.setting(f"{_PRE}remote_inference.enabled", False),
        "set it to true",
    ),
    "cluster blocked": ("cluster-read-only", lambda c: c.setting("cluster.blocks.create_index", True), "disk space"),
    "red system index": ("system-index-red", lambda c: c.red(".plugins-ml-model"), "allocation/explain"),
    "breaker": ("memory-breaker-open", lambda c: c.setting("indices.breaker.total.limit", "1%"), "heap"),
    "undeployed": ("model-not-deployed", _undeployed, "_deploy"),
    "disabled": ("model-disabled", _disabled, '{"is_enabled": true}'),
    # the index
    "red index": ("index-red", lambda c: c.red(c.index), "allocation/explain"),
    "flood stage": ("index-read-only", lambda c: c.index_setting(_BLOCK, True), "disk space"),
    "ingest pipeline deleted": ("pipeline-missing", lambda c: _pipeline_gone(c, "_ingest"), "neuralshelf apply"),
    "search pipeline deleted": ("pipeline-missing", lambda c: _pipeline_gone(c, "_search"), "neuralshelf apply"),
    "no ingest pipeline": (
        "ingest-without-pipeline",
        lambda c: c.index_setting("index.default_pipeline", "_none", f"{c.pipeline}-ingest"),
        "ingest again",
    ),
    "no search pipeline": (
        "search-without-normalisation",
        lambda c: c.index_setting("index.search.default_pipeline", "_none", f"{c.pipeline}-search"),
        "neuralshelf apply",
    ),
    "no normalisation": (
        "search-without-normalisation",
        lambda c: _search_pipeline(c, phase_results_processors=None),
        "neuralshelf apply",
    ),
    "unknown model": (
        "pipeline-model-missing",
        lambda c: _search_pipeline(c, request_processors=[{"neural_query_enricher": {"default_model_id": "gone"}}]),
        "neuralshelf apply",
    ),
    "no alias": ("alias-missing", lambda c: _aliases(c, remove=True), "neuralshelf apply"),
    "two indexes": ("alias-on-many", lambda c: _aliases(c, add="doctor-other"), "POST _aliases"),
    "index for alias": ("alias-taken-by-index", _taken, "_reindex"),
    # the deployment
    "locked": ("locked", _locked, "neuralshelf unlock"),
    "edited": ("unapplied-changes", lambda c: _search_pipeline(c, description="mine"), "neuralshelf plan"),
}


@pytest.mark.parametrize("case", SEEDS)
def test_a_seeded_fault_is_named_alone_and_with_its_remedy(clinic: Clinic, case: str) -> None:
    code, seed, remedy = SEEDS[case]
    begun = time.monotonic()
    with seed(clinic):
        found = clinic.diagnose()
    assert [finding.code for finding in found.findings] == [code], str(found.as_dict())[:1500]
    assert remedy in found.findings[0].remedy
    assert SECRET not in str(found.as_dict())
    print(case, round(time.monotonic() - begun, 1), found.findings[0])


def test_after_all_that_the_deployment_is_healthy(clinic: Clinic) -> None:
    assert clinic.codes() == []
