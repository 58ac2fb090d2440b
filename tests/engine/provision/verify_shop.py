"""A filled shop of two models with vectors of one length, and hands that change it and take the change back."""

import base64
import io
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from opensearchpy import OpenSearch
from PIL import Image
from pydantic import SecretStr

from neuralshelf.connectors.resources import connector_resources
from neuralshelf.connectors.runtime import Runtime
from neuralshelf.engine import Engine
from neuralshelf.provision.verify import Verification, verify
from tests.engine.conftest import ServedModels, ServeModels
from tests.engine.provision.conftest import project_in_a_folder
from tests.engine.provision.deployment import FULL, Project
from tests.engine.provision.encoders import Weighted
from tests.engine.provision.wire import wire_to

CONNECTORS = {
    "text": {"kind": "sagemaker-text", "endpoint": "neuralshelf-minilm", "dimension": 384},
    "picture": {"kind": "sagemaker-clip", "endpoint": "neuralshelf-clip", "dimension": 384},
}
"""Both models give vectors of the same length, so that no engine tells one from the other."""

DOCUMENTS = 30


@contextmanager
def two_models(
    client: OpenSearch, engine: Engine, serve_models: ServeModels
) -> Iterator[tuple[Project, Weighted, Weighted, ServedModels]]:
    """An applied deployment of CONNECTORS, the models of its texts and pictures, and a server with other weights."""
    text, picture = Weighted(), Weighted(seed=5)
    server = serve_models(multimodal=picture, text=text)
    elsewhere = serve_models(multimodal=Weighted(seed=7), text=Weighted(seed=8))
    config = {**FULL, "connectors": CONNECTORS}
    with wire_to(engine.url) as wire, project_in_a_folder(client, wire, server, config) as project:
        project.apply()
        yield project, text, picture, elsewhere


@dataclass(frozen=True)
class Shop:
    """A deployment with documents, and what seeds mismatches into it. Whatever is seeded is taken back."""

    project: Project
    text: Weighted
    picture: Weighted
    elsewhere: ServedModels

    @property
    def client(self) -> OpenSearch:
        return self.project.client

    @property
    def index(self) -> str:
        return f"{self.project.name}-1"

    @property
    def generation(self) -> str:
        return f"{self.project.prefix}-v1"

    def verify(self) -> Verification:
        return verify(self.client, self.project.deployment(), self.project.runtime())

    def ml(self, method: str, path: str, body: Any = None) -> Any:
        return self.client.transport.perform_request(method, f"/_plugins/_ml/{path}", body=body)

    def model(self, logical: str, role: str) -> Any:
        """The live model: id and source."""
        query = {"query": {"term": {"name.keyword": f"{self.generation}-{logical}-{role}"}}}
        (hit,) = self.ml("POST", "models/_search", query)["hits"]["hits"]
        return {**hit["_source"], "id": hit["_id"]}

    @contextmanager
    def edited(self, path: str, change: Callable[[Any], None]) -> Iterator[None]:
        """An object that is read and written under one path, changed by hand."""
        before = next(iter(self.client.transport.perform_request("GET", path).values()))
        after = json.loads(json.dumps(before))
        change(after)
        self.client.transport.perform_request("PUT", path, body=after)
        try:
            yield
        finally:
            self.client.transport.perform_request("PUT", path, body=before)

    def ingest_pipeline(self, change: Callable[[Any], None]) -> AbstractContextManager[None]:
        return self.edited(f"/_ingest/pipeline/{self.generation}-{self.project.name}-ingest", change)

    def search_pipeline(self, change: Callable[[Any], None]) -> AbstractContextManager[None]:
        return self.edited(f"/_search/pipeline/{self.generation}-{self.project.name}-search", change)

    @contextmanager
    def settings(self, **changes: Any) -> Iterator[None]:
        """Settings of the index."""
        named = {key.replace("__", "."): value for key, value in changes.items()}
        found = self.client.indices.get_settings(index=self.index, flat_settings=True)[self.index]["settings"]
        before = {key: found.get(key) for key in named}
        self.client.indices.put_settings(index=self.index, body=named)
        try:
            yield
        finally:
            self.client.indices.put_settings(index=self.index, body=before)

    @contextmanager
    def meta(self, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
        """What the mapping keeps under _meta."""
        before = self.client.indices.get_mapping(index=self.index)[self.index]["mappings"]["_meta"]
        after = json.loads(json.dumps(before))
        change(after)
        self.client.indices.put_mapping(index=self.index, body={"_meta": after})
        try:
            yield
        finally:
            self.client.indices.put_mapping(index=self.index, body={"_meta": before})

    @contextmanager
    def pointed(self, logical: str, role: str, **fields: Any) -> Iterator[None]:
        """A model on another connector: by default to a server whose models have other weights."""
        runtime = Runtime("us-east-1").at(
            self.elsewhere.url, self.elsewhere.access_key, SecretStr(self.elsewhere.secret_key)
        )
        spec = self.project.deployment().config.connectors[logical].model_copy(update=fields)
        made = connector_resources(logical, spec, runtime=runtime, prefix=f"by-hand-{role}", group="unused")[0]
        keys = {path.split(".")[1]: value for path, value in made.secrets.items()}
        connector = self.ml("POST", "connectors/_create", {**made.body, "credential": keys})["connector_id"]
        model = self.model(logical, role)
        self.ml("PUT", f"models/{model['id']}", {"connector_id": connector})
        try:
            yield
        finally:
            self.ml("PUT", f"models/{model['id']}", {"connector_id": model["connector_id"]})
            self.ml("DELETE", f"connectors/{connector}")

    @contextmanager
    def aliases(self, *actions: Any) -> Iterator[None]:
        """The alias moved by hand; an index `NAME-by-hand` stands by."""
        other = f"{self.project.name}-by-hand"
        self.client.indices.create(index=other)
        self.client.indices.update_aliases(body={"actions": list(actions)})
        try:
            yield
        finally:
            self.client.indices.delete(index=other)
            back = {"add": {"index": self.index, "alias": self.project.name}}
            self.client.indices.update_aliases(
                body={"actions": [{"remove": {"index": self.index, "alias": "*", "must_exist": False}}, back]}
            )

    @contextmanager
    def document(self, lines: list[Any], **params: Any) -> Iterator[None]:
        """Documents that came in by another way than the index's pipeline."""
        answer = self.client.bulk(body=lines, index=self.index, params={"refresh": "true", **params})
        assert not answer["errors"], answer
        try:
            yield
        finally:
            fill(self)

    @contextmanager
    def weights(self, encoder: Weighted, seed: int) -> Iterator[None]:
        """Another model behind the same endpoint."""
        before, encoder.seed = encoder.seed, seed
        try:
            yield
        finally:
            encoder.seed = before


def _picture(number: int) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (8 * number, 255 - 8 * number, 40)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def fill(shop: Shop) -> None:
    """Make the documents what they were in the beginning."""
    lines: list[Any] = []
    for number in range(DOCUMENTS):
        document = {"title": f"teapot number {number}", "brand": "Amber"}
        pictured = {"image": _picture(number)} if number % 3 == 0 else {}
        lines += [{"index": {"_id": f"p{number}"}}, document | pictured]
    answer = shop.client.bulk(body=lines, index=shop.index, params={"refresh": "true"})
    assert not answer["errors"], answer
