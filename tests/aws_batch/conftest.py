"""A shop with its models on a pretended SageMaker: books by moto, containers and OpenSearch real."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from neuralshelf import cli
from neuralshelf.deploy import batch_job
from neuralshelf.model_packages.encoder import Encoder
from neuralshelf.model_packages.server.app import create_app
from neuralshelf.model_packages.server.endpoints import CLIP_ENDPOINT, TEXT_ENDPOINT, standard_endpoints
from neuralshelf.model_packages.server.limits import Limits
from neuralshelf.model_packages.server.serving import Server, bound_socket
from tests.aws_batch.transform import REGION, TransformService
from tests.engine.fixtures import ServedModels
from tests.engine.ingestion.catalogues import picture, written
from tests.engine.provision.conftest import MakeProject, _alone, make_project, project, wire
from tests.engine.provision.deployment import ENVIRONMENT, FULL, Project
from tests.unit.picture_sources import pretended_aws

__all__ = ["_alone", "make_project", "project", "wire"]

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
    """

    project: Project
    service: TransformService
    s3: Any
    rows: list[Row]
    capture: pytest.CaptureFixture[str]

    @property
    def catalogue(self) -> Path:
        """Where the rows are."""
        return self.project.folder / "shop.jsonl"

    def write(self) -> None:
        """Put the rows on disk."""
        written(self.catalogue, self.rows)

    def batch(self, *words: str, code: int | None = 0) -> str:
        """Run the verb in this process, where moto is; what it printed. `err` has what it said."""
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


MakeBatchShop = Callable[..., BatchShop]


def fill(folder: Path, count: int) -> list[Row]:
    """Rows, every second one with a picture."""
    (folder / "images").mkdir()
    rows: list[Row] = []
    for number in range(count):
        row: Row = {"id": f"p{number}", "title": f"teapot number {number}", "brand": "Acme"}
        if number % 2:
            row["image"] = f"images/{number}.jpg"
            (folder / row["image"]).write_bytes(picture(number))
        rows.append(row)
    return rows


@pytest.fixture
def make_batch_shop(
    make_project: MakeProject,
    model_server: ServedModels,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[MakeBatchShop]:
    """`make_batch_shop(count, config=FULL, server=…)`; the containers have the encoders that answer online, too."""
    with ExitStack() as stack:

        def made(count: int, config: Mapping[str, Any] = FULL, server: ServedModels | None = None) -> BatchShop:
            served = server or model_server
            made_project = make_project(config, served)
            hosted = {"package": "clip", "model": "s3://shop-models/clip/model.tar.gz"}
            made_project.environment["hosting"] = {"bucket": BUCKET, "endpoints": {CLIP_ENDPOINT: hosted}}
            made_project.write()
            with made_project.provisioner() as provisioner:
                provisioner.apply(provisioner.plan())
            stack.enter_context(pretended_aws(tmp_path))
            for name, value in made_project.environ.items():
                monkeypatch.setenv(name, value)
            monkeypatch.setenv("NEURALSHELF_STATE", str(made_project.folder / "state"))
            monkeypatch.setattr(batch_job, "POLL_SECONDS", 0.05)
            containers = {
                model: stack.enter_context(container(endpoint, served.multimodal, served.text))
                for endpoint, model in MODELS.items()
            }
            deploy_models()
            s3 = boto3.client("s3", region_name=REGION)
            s3.create_bucket(Bucket=BUCKET)
            service = stack.enter_context(TransformService(containers).running())
            shop = BatchShop(made_project, service, s3, fill(made_project.folder, count), capsys)
            shop.write()
            return shop

        yield made


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
