"""A deployment that works until a test breaks it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from opensearchpy import OpenSearch
from pydantic import SecretStr

from neuralshelf.connectors.runtime import Runtime
from neuralshelf.deployment import Config, Deployment
from neuralshelf.model_packages.server.sigv4 import Credential
from neuralshelf.provision.doctor import Diagnosis, diagnose
from neuralshelf.provision.provisioner import Provisioner
from neuralshelf.settings import ClusterConfig, Environment
from tests.engine.provision.deployment import FULL
from tests.engine.provision.gate import Gate, forward, served
from tests.engine.provision.snapshot import changes, snapshot
from tests.engine.provision.sweep import sweep

KEY, SECRET, TOKEN = "AKIADOCTOR0000000000", "a-secret-of-the-doctor", "a-token"
ML = "/_plugins/_ml"
RIGHT: Mapping[str, Credential] = {KEY: Credential(SECRET, TOKEN)}


@dataclass
class Clinic:
    """Whatever a test breaks it mends."""

    client: OpenSearch
    deployment: Deployment
    runtime: Runtime
    gate: Gate
    cluster: ClusterConfig

    def diagnose(self, **changes: Any) -> Diagnosis:
        """By default of the deployment as it was applied."""
        found = replace(self, **changes)
        return diagnose(found.cluster, found.client, found.deployment, found.runtime)

    def codes(self, **changes: Any) -> list[str]:
        """What doctor names."""
        return [finding.code for finding in self.diagnose(**changes).findings]

    def apply(self) -> None:
        """Make the cluster as configured."""
        provisioner = Provisioner(self.client, self.deployment, self.runtime)
        provisioner.apply(provisioner.plan())

    @property
    def index(self) -> str:
        """Behind the alias."""
        return self.deployment.config.index.physical_name

    @property
    def pipeline(self) -> str:
        """Beginning of the names of both pipelines."""
        return f"{self.deployment.generation}-{self.deployment.config.index.name}"

    def model(self, logical: str, role: str) -> str:
        """Id of a model."""
        query = {"query": {"term": {"name.keyword": f"{self.deployment.generation}-{logical}-{role}"}}}
        hits = self.ask("POST", f"{ML}/models/_search", query)["hits"]["hits"]
        return str(hits[0]["_id"])

    @contextmanager
    def setting(self, key: str, value: Any, kind: str = "persistent") -> Iterator[None]:
        """Inside the `with` a cluster setting is another."""
        before = self.client.cluster.get_settings(flat_settings=True)[kind].get(key)
        self.client.cluster.put_settings(body={kind: {key: value}})
        try:
            yield
        finally:
            self.client.cluster.put_settings(body={kind: {key: before}})

    @contextmanager
    def index_setting(self, key: str, value: Any, mended: Any = None) -> Iterator[None]:
        """Inside the `with` a setting of the index is another."""
        self.client.indices.put_settings(index=self.index, body={key: value})
        try:
            yield
        finally:
            self.client.indices.put_settings(index=self.index, body={key: mended})

    @contextmanager
    def red(self, index: str) -> Iterator[None]:
        """Inside the `with` the shard of an index is allocated nowhere."""
        enable = "cluster.routing.allocation.enable"
        node = next(iter(self.client.nodes.info()["nodes"].values()))["name"]
        cancel = {"cancel": {"index": index, "shard": 0, "node": node, "allow_primary": True}}
        try:
            with self.setting(enable, "none", "transient"):
                self.client.cluster.reroute(body={"commands": [cancel]})
                yield
        finally:
            self.client.cluster.reroute(retry_failed=True)
            self.client.cluster.health(index=index, wait_for_status="yellow", timeout=30)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request to the cluster."""
        return self.client.transport.perform_request(method, path, body=body)


@contextmanager
def open_clinic(
    client: OpenSearch, cluster: ClusterConfig, name: str, shape: Mapping[str, Any] = FULL
) -> Iterator[Clinic]:
    """A deployment, not applied yet, whose models answer through a gate. It is taken away in the end."""
    before = snapshot(client)
    config = {**shape, "project": name, "index": {"name": name, **shape["index"]}}
    impatient = {**shape["connectors"]["text"], "search": {"read_timeout": 2, "max_retry_times": 0}}
    config["connectors"] = {**shape["connectors"], "text": impatient}
    config["search"] = {"template": f"{name}-search", **shape["search"]}
    with ExitStack() as stack:
        gate = Gate(forward(stack.enter_context(served(RIGHT))))
        stack.callback(gate.close)
        deployment = Deployment(Config.parse(config, "shop.yaml"), Environment(name="test", cluster=cluster))
        runtime = Runtime("us-east-1").at(gate.url, KEY, SecretStr(SECRET))
        try:
            yield Clinic(client, deployment, replace(runtime, session_token=SecretStr(TOKEN)), gate, cluster)
        finally:
            sweep(client, name, before)
        assert changes(before, snapshot(client)) == {}


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Return once it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
