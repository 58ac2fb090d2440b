"""The ways a body takes to a model: the handler's functions, the container, an endpoint of the local server."""

import importlib.util
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import orjson
from botocore.config import Config
from botocore.exceptions import ClientError
from starlette.testclient import TestClient

from neuralshelf.model_packages.server.app import create_app
from neuralshelf.model_packages.server.dialects import Container
from neuralshelf.model_packages.server.endpoints import Endpoint
from neuralshelf.model_packages.server.limits import Limits
from neuralshelf.model_packages.server.refusals import Refusal
from neuralshelf.model_packages.server.serving import Server, bound_socket

PACKAGES = Path(__file__).resolve().parents[2] / "model_packages"
NAME = "an-endpoint"
JSON = "application/json"
KEY, SECRET, REGION = "AKIDEXAMPLE", "not-a-real-secret", "us-east-1"

Said = tuple[int, str, str]
"""Status, code and message of a refusal."""


def handler(package: str) -> ModuleType:
    """`code/inference.py` of a package, as the container imports it."""
    path = PACKAGES / package / "code" / "inference.py"
    spec = importlib.util.spec_from_file_location(f"inference_of_{package}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class Functions:
    """The four functions, one after the other, as the container's toolkit calls them."""

    module: Any
    model: Endpoint

    def answer(self, body: str | bytes, media: str | None = JSON) -> Any:
        """The answer, parsed."""
        asked = self.module.input_fn(body, media)
        return orjson.loads(self.module.output_fn(self.module.predict_fn(asked, self.model), JSON))

    def refusal(self, body: str | bytes, media: str | None = JSON) -> Said:
        """What the client is told; fails when there is an answer."""
        try:
            self.answer(body, media)
        except Refusal as fault:
            said = Container().say(fault)
            return said.status, said.code, fault.message
        raise AssertionError("was answered")


class Served:
    """The same model as a container that is not signed, and as a signed endpoint on a socket."""

    def __init__(self, container: TestClient, runtime: Any) -> None:
        self._container = container
        self._runtime = runtime

    def container(self, body: bytes, media: str = JSON) -> Any:
        answer = self._container.post("/invocations", content=body, headers={"content-type": media})
        assert answer.status_code == 200, answer.text
        return orjson.loads(answer.content)

    def container_refusal(self, body: bytes, media: str = JSON) -> Said:
        answer = self._container.post("/invocations", content=body, headers={"content-type": media})
        said = orjson.loads(answer.content)
        assert answer.headers["x-amzn-errortype"] == said["code"]
        return answer.status_code, said["code"], said["message"]

    def endpoint(self, body: bytes) -> Any:
        answer = self._runtime.invoke_endpoint(EndpointName=NAME, ContentType=JSON, Body=body)
        return orjson.loads(answer["Body"].read())

    def endpoint_refusal(self, body: bytes) -> tuple[int, str]:
        """Status and message of the container behind the endpoint, or the endpoint's own."""
        try:
            self.endpoint(body)
        except ClientError as fault:
            said: Any = fault.response
            status = said.get("OriginalStatusCode") or said["ResponseMetadata"]["HTTPStatusCode"]
            return status, said.get("OriginalMessage") or said["Error"]["Message"]
        raise AssertionError("was answered")


@contextmanager
def served(model: Endpoint) -> Iterator[Served]:
    """Both, until the end of the block."""
    limits = Limits(shutdown=5)
    ready = threading.Event()
    opened = bound_socket("127.0.0.1", 0)
    signed = create_app({NAME: model}, credentials={KEY: SECRET}, region=REGION, limits=limits)
    server = Server(signed, opened, limits, lambda _port: ready.set())
    thread = threading.Thread(target=server.run_until_stopped, name="server", daemon=True)
    thread.start()
    assert ready.wait(20), "the server did not start"
    session: Any = boto3.Session()
    runtime = session.client(
        "sagemaker-runtime",
        endpoint_url=f"http://127.0.0.1:{opened.getsockname()[1]}",
        region_name=REGION,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=60),
    )
    try:
        with TestClient(create_app({NAME: model}, credentials=None, limits=limits, container=NAME)) as container:
            yield Served(container, runtime)
    finally:
        runtime.close()
        server.stop()
        thread.join(30)
        opened.close()
