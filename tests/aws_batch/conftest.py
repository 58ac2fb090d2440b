"""A shop with its models on a pretended SageMaker: books by moto, containers and OpenSearch real."""

import asyncio
import copy
import json
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from numpy.typing import NDArray
from opensearchpy import OpenSearch
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from neuralshelf import cli
from neuralshelf.deploy.batch import job as batch_job
from neuralshelf.engine import Engine
from neuralshelf.model_packages.encoder import Encoder, Sample
from neuralshelf.model_packages.server.app import create_app
from neuralshelf.model_packages.server.endpoints import CLIP_ENDPOINT, TEXT_ENDPOINT, standard_endpoints
from neuralshelf.model_packages.server.limits import Limits
from neuralshelf.model_packages.server.serving import Server, bound_socket
from tests.aws_batch.transform import REGION, TransformService
from tests.engine.fixtures import ServedModels, ServeModels, ToyEncoder, empty
from tests.engine.ingestion.catalogues import picture, written
from tests.engine.provision.conftest import project_in_a_folder, settings_put_away
from tests.engine.provision.deployment import ENVIRONMENT, FULL, Project
from tests.engine.provision.wire import wire_to
from tests.unit.picture_sources import pretended_aws

BUCKET = "shop-models"
MODELS = {CLIP_ENDPOINT: "clip-model", TEXT_ENDPOINT: "minilm-model"}
"""Endpoint -> the SageMaker model behind it."""

Row = dict[str, Any]


@contextmanager
def container(endpoint: str, multimodal: Encoder, text: Encoder) -> Iterator[tuple[str, int]]:
    """One model's container: /ping and /invocations."""
    app = create_app(standard_endpoints(multimodal, text), credentials=None, container=endpoint)
    opened = bound_socket("127.0.0.1", 0)
    ready = threading.Event()
    server = Server(app, opened, Limits(), lambda port: ready.set())
    thread = threading.Thread(target=server.run_until_stopped, daemon=True)
    thread.start()
    assert ready.wait(30), "the container did not start"
    try:
        yield "127.0.0.1", opened.getsockname()[1]
    finally:
        server.stop()
        thread.join(15)
        opened.close()


@dataclass
class BatchShop:
    """An applied deployment, a catalogue, and the account that its models are in.

    Attributes:
        rows: of the catalogue; `write` puts them on disk.
        err: what the last run said on stderr.
    """

    project: Project
    service: TransformService
    s3: Any
    rows: list[Row]
    capture: pytest.CaptureFixture[str]
    err: str = field(default="", init=False)

    @property
    def catalogue(self) -> Path:
        """Where the rows are."""
        return self.project.folder / "shop.jsonl"

    def write(self) -> None:
        """Put the rows on disk."""
        written(self.catalogue, self.rows)

    def batch(self, *words: str, code: int | None = 0) -> str:
        """Run the verb in this process, where moto is; what it printed."""
        self.capture.readouterr()
        where = ["--config", str(self.project.file), "-e", ENVIRONMENT, "--full-speed"]
        found = cli.main(["batch", str(self.catalogue), *where, *words])
        told = self.capture.readouterr()
        self.err = told.err
        assert code is None or found == code, f"{found}\n{told.out}\n{told.err}"
        return told.out

    def batch_json(self, *words: str, code: int = 0) -> Any:
        """What it printed with --json."""
        return json.loads(self.batch(*words, "--json", code=code))

    def keys(self, bucket: str = BUCKET) -> list[str]:
        """What is in the bucket."""
        return [item["Key"] for item in self.s3.list_objects_v2(Bucket=bucket).get("Contents", ())]


def fill(folder: Path, count: int) -> list[Row]:
    """Rows, every second one with a picture."""
    (folder / "images").mkdir(exist_ok=True)
    rows: list[Row] = []
    for number in range(count):
        row: Row = {"id": f"p{number}", "title": f"teapot number {number}", "brand": "Acme"}
        if number % 2:
            row["image"] = f"images/{number}.jpg"
            (folder / row["image"]).write_bytes(picture(number))
        rows.append(row)
    return rows


@dataclass(frozen=True)
class Place:
    """An applied deployment and the containers of its models, for one test after the other."""

    project: Project
    containers: Mapping[str, tuple[str, int]]


@contextmanager
def place(client: OpenSearch, engine: Engine, served: ServedModels, config: Mapping[str, Any]) -> Iterator[Place]:
    """Applied; the containers have the encoders that answer online, too."""
    with ExitStack() as stack:
        wire = stack.enter_context(wire_to(engine.url))
        project = stack.enter_context(project_in_a_folder(client, wire, served, config))
        hosted = {"package": "clip", "model": f"s3://{BUCKET}/clip/model.tar.gz"}
        project.environment["hosting"] = {"bucket": BUCKET, "endpoints": {CLIP_ENDPOINT: hosted}}
        project.write()
        with project.provisioner() as provisioner:
            provisioner.apply(provisioner.plan())
        models = MODELS.items()
        made = {m: stack.enter_context(container(e, served.multimodal, served.text)) for e, m in models}
        yield Place(project, made)


@pytest.fixture(scope="module")
def toys(client: OpenSearch, engine: Engine, serve_models: ServeModels) -> Iterator[Place]:
    """Toy models behind both endpoints, choosy about texts; the cluster may start jobs."""
    config = copy.deepcopy(dict(FULL))
    for connector in config["connectors"].values():
        connector["batch"] = True
    served = serve_models(ToyEncoder(default_dimension=512), Choosy(), wrap=CreateJobs)
    with settings_put_away(client), place(client, engine, served, config) as made:
        yield made


class CreateJobs:
    """SageMaker's CreateTransformJob before the model server: what the cluster sends goes into moto's books."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/CreateTransformJob":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        signature = request.headers["authorization"]
        assert signature.startswith("AWS4-HMAC-SHA256 Credential=AKIA")
        assert "/sagemaker/aws4_request" in signature
        body = await request.json()
        made = await asyncio.to_thread(
            lambda: boto3.client("sagemaker", region_name=REGION).create_transform_job(**body)
        )
        await JSONResponse({"TransformJobArn": made["TransformJobArn"]})(scope, receive, send)


@dataclass
class Choosy(ToyEncoder):
    """Fails at a text with the word `poison`, as a model may."""

    def encode(self, samples: Sequence[Sample], dimension: int) -> NDArray[np.float32]:
        if any("poison" in (sample.text or "") for sample in samples):
            raise RuntimeError("poisoned")
        return super().encode(samples, dimension)


Open = Callable[[Place, list[Row]], BatchShop]


@pytest.fixture
def open_shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Open]:
    """`open_shop(place, rows)`: an empty account and an empty index."""
    with ExitStack() as stack:

        def made(where: Place, rows: list[Row]) -> BatchShop:
            project = where.project
            for index in (project.name, f"{project.prefix}-deadletters"):
                empty(project.client, index)
            shutil.rmtree(project.folder / "state", ignore_errors=True)
            stack.enter_context(pretended_aws(tmp_path))
            for name, value in project.environ.items():
                monkeypatch.setenv(name, value)
            monkeypatch.setenv("NEURALSHELF_STATE", str(project.folder / "state"))
            monkeypatch.setattr(batch_job, "POLL_SECONDS", 0.05)
            deploy_models()
            s3 = boto3.client("s3", region_name=REGION)
            s3.create_bucket(Bucket=BUCKET)
            service = stack.enter_context(TransformService(where.containers).running())
            shop = BatchShop(project, service, s3, rows, capsys)
            shop.write()
            return shop

        yield made


@pytest.fixture
def make_shop(toys: Place, open_shop: Open) -> Callable[[int], BatchShop]:
    """`make_shop(count)`: that many rows, every second one with a picture."""
    return lambda count: open_shop(toys, fill(toys.project.folder, count))


MakeShop = Callable[[int], BatchShop]


def deploy_models() -> None:
    """The endpoints as `deploy` leaves them, in moto's books."""
    sagemaker = boto3.client("sagemaker", region_name=REGION)
    for endpoint, model in MODELS.items():
        sagemaker.create_model(
            ModelName=model,
            PrimaryContainer={"Image": "image", "ModelDataUrl": f"s3://{BUCKET}/{model}/model.tar.gz"},
            ExecutionRoleArn="arn:aws:iam::123456789012:role/endpoints",
        )
        variant: Any = {"VariantName": "AllTraffic", "ModelName": model, "InitialInstanceCount": 1}
        variant["InstanceType"] = "ml.m5.large"
        sagemaker.create_endpoint_config(EndpointConfigName=f"{endpoint}-config", ProductionVariants=[variant])
        sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=f"{endpoint}-config")
