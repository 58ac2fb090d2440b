"""verify on three nodes: a client can't choose the worker, so it asks until every one of them has answered."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from opensearchpy import OpenSearch

from neuralshelf.client import connect
from neuralshelf.model_packages.encoder import Sample
from neuralshelf.provision.verify import Verification, verify
from neuralshelf.settings import ClusterConfig
from tests.engine.fixtures import _served
from tests.engine.provision.conftest import project_in_a_folder
from tests.engine.provision.deployment import FULL, Project
from tests.engine.provision.encoders import Weighted
from tests.engine.provision.nodes import NAMES, Node, three_nodes
from tests.engine.provision.wire import wire_to

pytestmark = [
    pytest.mark.extended,
    # what a node that has been started again says once, when it is asked for the statistics of ML Commons
    pytest.mark.filterwarnings("ignore:this request accesses system indices"),
]

EVERYWHERE = ", ".join(NAMES)


@dataclass
class OneOfThree(Weighted):
    """Gives another model's vector to every third question, as a worker does that still has an old connector."""

    old: bool = False
    asked: int = 0

    def encode(self, samples: Sequence[Sample], dimension: int) -> NDArray[np.float32]:
        self.asked += 1
        self.seed = 9 if self.old and self.asked % 3 == 0 else 0
        return super().encode(samples, dimension)


@dataclass(frozen=True)
class Cluster:
    """Three nodes with one deployment on them."""

    nodes: Sequence[Node]
    clients: Sequence[OpenSearch]
    project: Project
    text: OneOfThree

    def verify(self, node: int = 0) -> Verification:
        return verify(self.clients[node], self.project.deployment(), self.project.runtime())

    def ml(self, method: str, path: str, body: Any = None) -> Any:
        return self.clients[0].transport.perform_request(method, f"/_plugins/_ml/{path}", body=body)

    def models(self) -> dict[str, str]:
        """Name -> id."""
        hits = self.ml("POST", "models/_search", {"query": {"match_all": {}}})["hits"]["hits"]
        return {hit["_source"]["name"]: hit["_id"] for hit in hits}

    def answered(self) -> dict[str, dict[str, int]]:
        """Model id -> node name -> questions it has answered."""
        names = {i: n["name"] for i, n in self.clients[0].nodes.info()["nodes"].items()}
        counts: dict[str, dict[str, int]] = {}
        for node, found in self.ml("GET", "stats", {"target_stat_levels": ["MODEL"]})["nodes"].items():
            for model, actions in found.get("models", {}).items():
                counts.setdefault(model, {})[names[node]] = actions.get("predict", {}).get("ml_action_request_count", 0)
        return counts


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    text = OneOfThree()
    with three_nodes() as nodes, _served(nodes[0], Weighted(), text, None, []) as server:
        clients = [connect(ClusterConfig(provider="url", url=node.url)) for node in nodes]
        with wire_to(nodes[0].url) as wire, project_in_a_folder(clients[0], wire, server, FULL) as project:
            project.environment["store"] = {"replicas": 1}
            project.write()
            project.run("apply")
            clients[0].index(index=project.name, body={"title": "red teapot"}, params={"refresh": "true"})
            yield Cluster(nodes, clients, project, text)
        for client in clients:
            client.close()


def named(found: Verification, name: str) -> list[str]:
    """What the failed checks of that name found."""
    return [check.found for check in found.failures if check.name == name]


@pytest.mark.parametrize("node", range(3))
def test_every_worker_node_is_asked_whichever_node_the_client_talks_to(cluster: Cluster, node: int) -> None:
    before = cluster.answered()
    found = cluster.verify(node)
    after = cluster.answered()
    assert found.failures == ()
    models = cluster.models()
    assert len(models) == 4
    for name, model in models.items():
        for worker in NAMES:
            more = after[model][worker] - before.get(model, {}).get(worker, 0)
            assert more >= 1, f"{worker} was not asked for {name}"
    for check in found.checks:
        if check.name in ("model-deployed", "model-answers"):
            assert EVERYWHERE in check.found


def test_a_single_worker_with_an_old_connector_is_seen(cluster: Cluster) -> None:
    cluster.text.old = True
    try:
        told = named(cluster.verify(), "model-answers")
    finally:
        cluster.text.old, cluster.text.seed = False, 0
    assert len(told) == 2
    assert all("in 1 of 3 answers" in found for found in told), told
    assert cluster.verify().ok


def test_a_model_that_is_undeployed_on_one_node_is_seen(cluster: Cluster) -> None:
    custom = "plugins.ml_commons.allow_custom_deployment_plan"
    name, model = next((n, i) for n, i in cluster.models().items() if n.endswith("text-search"))
    third = next(i for i, n in cluster.clients[0].nodes.info()["nodes"].items() if n["name"] == "n3")
    cluster.clients[0].cluster.put_settings(body={"persistent": {custom: True}})
    try:
        cluster.ml("POST", f"models/{model}/_undeploy", {"node_ids": [third]})
        found = cluster.verify()
    finally:
        cluster.clients[0].cluster.put_settings(body={"persistent": {custom: None}})
    (check,) = [check for check in found.failures if check.name == "model-deployed"]
    assert check.of == f"model/{name}"
    assert "n1, n2" in check.found
    assert "n3" not in check.found
    # what it says has to be done
    cluster.ml("POST", f"models/{model}/_undeploy")
    cluster.project.run("apply")
    assert cluster.verify().failures == ()


def test_a_node_that_comes_back_is_a_worker_again(cluster: Cluster) -> None:
    """While it is away the other two are verified, or its place is named; once it is back, all three answer."""
    cluster.nodes[2].stop()
    away = cluster.verify()
    for told in named(away, "model-deployed"):
        assert "is missing on" in told or "DEPLOYED" in told
    assert EVERYWHERE not in str([check.found for check in away.checks])
    cluster.nodes[2].start(lambda *_: None)
    deadline = time.monotonic() + 90
    while not (found := cluster.verify()).ok and time.monotonic() < deadline:
        time.sleep(2)
    assert found.failures == ()
    assert all(EVERYWHERE in check.found for check in found.checks if check.name == "model-answers")
