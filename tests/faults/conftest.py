"""A deployment whose models are faulty on request, in front of a real engine."""

import base64
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from opensearchpy import OpenSearch
from PIL import Image
from starlette.types import ASGIApp

from neuralshelf.connectors.spec import TITAN_DIMENSIONS
from neuralshelf.engine import Engine
from tests.engine.fixtures import ServedModels, ServeModels, empty
from tests.engine.provision.conftest import project_in_a_folder, settings_put_away
from tests.engine.provision.deployment import Project
from tests.engine.provision.wire import wire_to
from tests.faults.faults import FAULTS
from tests.faults.faulty import FaultyServer

READ_TIMEOUT = 1
CONNECTOR_RETRIES = 2
BATCH = 4


def _hasty() -> dict[str, Any]:
    ingest = {"max_retry_times": CONNECTOR_RETRIES, "retry_timeout": 10, "retry_backoff": 10}
    return {"ingest": {"read_timeout": READ_TIMEOUT, **ingest}, "search": {"read_timeout": READ_TIMEOUT}}


CONFIG: Mapping[str, Any] = {
    "connectors": {
        "text": {
            "kind": "sagemaker-text",
            "endpoint": "neuralshelf-minilm",
            "dimension": 384,
            "batch_size": BATCH,
            **_hasty(),
        },
        "picture": {"kind": "sagemaker-clip", "endpoint": "neuralshelf-clip", "dimension": 512, **_hasty()},
        "titan": {"kind": "bedrock-titan-multimodal", "dimension": TITAN_DIMENSIONS[0], **_hasty()},
    },
    "index": {
        "fields": {"title": "text", "price": "float", "image_path": "keyword"},
        "vectors": {
            "text_vector": {"connector": "text", "text": ["title"]},
            "image_vector": {"connector": "picture", "image": "image"},
            "photo_vector": {"connector": "titan", "image": "photo"},
        },
    },
    "search": {
        "keyword": ["title"],
        "weights": {"keyword": 0.4, "text_vector": 0.2, "image_vector": 0.2, "photo_vector": 0.2},
    },
}
"""Impatient connectors of all three kinds; which of them a document meets is decided by the fields that it has."""

FIELDS = {"text": "title", "picture": "image", "titan": "photo"}
"""Connector -> the field that it embeds."""


def picture(number: int) -> str:
    """A tiny PNG as base64, another one for each number."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (number % 256, number // 256 % 256, 90)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


@dataclass(frozen=True)
class Shop:
    """An applied deployment and what its models are made to do."""

    project: Project
    client: OpenSearch
    models: FaultyServer

    @property
    def index(self) -> str:
        """The alias."""
        return self.project.name

    def documents(self, logical: str, count: int, name: str = "d") -> dict[str, dict[str, Any]]:
        """Documents that only the connector `logical` embeds."""
        values = (picture(n) if logical != "text" else f"thing {name} number {n}" for n in range(count))
        return {f"{name}{n}": {FIELDS[logical]: value} for n, value in enumerate(values)}

    def kept(self) -> dict[str, dict[str, Any]]:
        """Id -> document as it is kept, at most 10,000."""
        self.client.indices.refresh(index=self.index)
        hits = self.client.search(index=self.index, body={"size": 10_000, "query": {"match_all": {}}})["hits"]["hits"]
        return {hit["_id"]: hit["_source"] for hit in hits}

    def empty(self) -> None:
        """No documents, no faults."""
        self.models.heal()
        empty(self.client, self.index)


Faulty = tuple[ServedModels, FaultyServer]


@pytest.fixture(scope="session")
def faulty(serve_models: ServeModels) -> Faulty:
    """A model server and the faults before it."""
    made: list[FaultyServer] = []

    def wrap(app: ASGIApp) -> ASGIApp:
        made.append(FaultyServer(app, FAULTS))
        return made[0]

    return serve_models(wrap=wrap), made[0]


@pytest.fixture(scope="session")
def applied(engine: Engine, client: OpenSearch, faulty: Faulty) -> Iterator[Shop]:
    """The deployment, one for all tests here."""
    server, models = faulty
    models.heal()
    with (
        settings_put_away(client),
        wire_to(engine.url) as wire,
        project_in_a_folder(client, wire, server, CONFIG) as project,
    ):
        project.environment["cluster"]["url"] = engine.url
        project.write()
        with project.provisioner() as made:
            made.apply(made.plan(), show=lambda changed: None)
        yield Shop(project, client, models)
        models.heal()


@pytest.fixture
def shop(applied: Shop) -> Iterator[Shop]:
    """The deployment, empty and well."""
    applied.empty()
    yield applied
    applied.models.heal()
