"""The three kinds of connectors on a real engine, with the barest pipelines and indices that make it use them."""

import json
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from opensearchpy import OpenSearch
from pydantic import SecretStr

from neuralshelf.connectors.resources import cluster_settings, connector_resources, model_address, model_group
from neuralshelf.connectors.runtime import Runtime
from neuralshelf.connectors.spec import ConnectorSpec, Role
from neuralshelf.frozen import Frozen
from neuralshelf.provision.apply import apply
from neuralshelf.provision.observe import observe
from neuralshelf.provision.plan import Plan, plan
from neuralshelf.resource import Resource

KINDS: Mapping[str, Mapping[str, Any]] = {
    "text": {"kind": "sagemaker-text", "endpoint": "neuralshelf-minilm", "dimension": 384},
    "picture": {"kind": "sagemaker-clip", "endpoint": "neuralshelf-clip", "dimension": 384},
    "titan": {"kind": "bedrock-titan-multimodal", "dimension": 256},
}


class Specs(Frozen):
    """The `connectors:` part of a configuration."""

    connectors: dict[str, ConnectorSpec]


@dataclass(frozen=True)
class Wire:
    """Provisioned connectors, and an index `PREFIX-LOGICAL` for each that embeds the fields `text` and `image`."""

    client: OpenSearch
    server: Any
    prefix: str
    runtime: Runtime
    specs: Mapping[str, ConnectorSpec]

    def resources(self) -> list[Resource]:
        """What the engine has to hold."""
        wanted = [cluster_settings(self.runtime), model_group(self.prefix)]
        for logical, spec in self.specs.items():
            wanted += connector_resources(logical, spec, runtime=self.runtime, prefix=self.prefix, group=wanted[1].name)
        return wanted

    def plan(self) -> Plan:
        """What is left to do."""
        observed = observe(self.client, self.resources(), prefix=self.prefix)
        return plan(self.resources(), observed, prefix=self.prefix)

    def apply(self) -> dict[str, str]:
        """Address -> id."""
        return apply(self.client, self.plan())

    def model(self, logical: str, role: Role) -> str:
        """Id of a model."""
        found = observe(self.client, self.resources(), prefix=self.prefix)
        return found.live[model_address(self.prefix, logical, role)].id

    def index(self, logical: str) -> str:
        """Name of the index of a connector."""
        return f"{self.prefix}-{logical}"

    def make_index(self, logical: str) -> None:
        """An index that embeds by the connector, and nothing else."""
        spec, model = self.specs[logical], self.model(logical, "ingest")
        if spec.kind == "sagemaker-text":
            fields = {"model_id": model, "field_map": {"text": "vector"}, "batch_size": spec.batch_size}
            processor: dict[str, Any] = {"text_embedding": fields}
        else:
            fields = {"model_id": model, "embedding": "vector", "field_map": {"text": "text", "image": "image"}}
            processor = {"text_image_embedding": fields}
        name = self.index(logical)
        self.client.ingest.put_pipeline(id=name, body={"processors": [processor]})
        method = {"name": "hnsw", "engine": "lucene"}
        vector = {"type": "knn_vector", "dimension": spec.dimension, "space_type": "cosinesimil", "method": method}
        unread = {"type": "object", "enabled": False}
        properties = {"vector": vector, "text": unread, "image": unread}
        settings = {"index.knn": True, "default_pipeline": name, "number_of_replicas": 0, "refresh_interval": "-1"}
        body = {"settings": settings, "mappings": {"dynamic": "strict", "properties": properties}}
        self.client.indices.create(index=name, body=body)

    def bulk(self, logical: str, documents: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, Any]]:
        """Index documents in one bulk; id -> error of each that failed."""
        lines: list[Mapping[str, Any]] = []
        for identity, document in documents.items():
            lines += [{"index": {"_id": identity}}, document]
        answer = self.client.bulk(body=lines, index=self.index(logical))
        items = [item["index"] for item in answer["items"]]
        return {item["_id"]: item["error"] for item in items if "error" in item}

    def vectors(self, logical: str, identities: Iterable[str]) -> dict[str, list[float]]:
        """id -> vector as it was kept."""
        answer = self.client.mget(index=self.index(logical), body={"ids": list(identities)})
        return {doc["_id"]: doc["_source"]["vector"] for doc in answer["docs"]}

    def ask(self, logical: str, questions: Iterable[Mapping[str, str]], k: int = 1) -> list[dict[str, Any]]:
        """Answers to neural queries (query_text, query_image or both each) in one `_msearch`."""
        model = self.model(logical, "search")
        lines: list[Mapping[str, Any]] = []
        for question in questions:
            neural = {"vector": {**question, "model_id": model, "k": k}}
            lines += [{}, {"size": k, "_source": False, "query": {"neural": neural}}]
        return list(self.client.msearch(body=lines, index=self.index(logical))["responses"])

    def requests(self, during: Callable[[], object]) -> int:
        """Calls that reached the model server meanwhile."""
        before = self._counted()
        during()
        return self._counted() - before

    def _counted(self) -> int:
        with urllib.request.urlopen(self.server.local_url + "/", timeout=10) as answer:
            return int(json.load(answer)["counters"]["requests"])


MakeWire = Callable[..., Wire]


@pytest.fixture(scope="session")
def make_wire(client: OpenSearch, serve_models: Callable[..., Any]) -> MakeWire:
    """Connectors with a model server of their own, not yet applied.

    `make_wire(prefix, kinds, secret_key=…, multimodal=…)`; by default with the right key and a toy model.
    """

    def made(
        prefix: str, kinds: Mapping[str, Mapping[str, Any]], secret_key: str | None = None, multimodal: Any = None
    ) -> Wire:
        server = serve_models(multimodal=multimodal)
        secret = SecretStr(secret_key or server.secret_key)
        runtime = Runtime(server.region).at(server.url, server.access_key, secret)
        specs = Specs.parse({"connectors": kinds}, "neuralshelf.yaml").connectors
        return Wire(client, server, prefix, runtime, specs)

    return made


@pytest.fixture(scope="session")
def wire(make_wire: MakeWire) -> Iterator[Wire]:
    """All three kinds, applied, each with its index."""
    made = make_wire("wire", KINDS)
    made.apply()
    for logical in KINDS:
        made.make_index(logical)
    yield made
    for logical in KINDS:
        made.client.indices.delete(index=made.index(logical))
        made.client.ingest.delete_pipeline(id=made.index(logical))
