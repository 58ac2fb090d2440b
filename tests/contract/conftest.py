"""A real server on loopback, with a small deterministic model behind the real contracts."""

import hashlib
import json
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.config import Config
from numpy.typing import NDArray

from neuralshelf.model_packages.encoder import Sample
from neuralshelf.model_packages.ranker.contract import Contract
from neuralshelf.model_packages.ranker.ranking import Ranker
from neuralshelf.model_packages.ranker.store import Interactions
from neuralshelf.model_packages.server.app import create_app
from neuralshelf.model_packages.server.endpoints import standard_endpoints
from neuralshelf.model_packages.server.limits import Limits
from neuralshelf.model_packages.server.serving import Server, bound_socket
from neuralshelf.model_packages.server.sigv4 import Credential

ACCESS_KEY = "AKIDEXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION = "us-east-1"


@dataclass
class ToyEncoder:
    """Vectors from a hash of the text and the means of the picture; faults and slowness on request.

    Text `NAN` gives a vector that is not finite, text `RAISE` makes the model raise.
    """

    name: str = "toy"
    dimensions: tuple[int, ...] = (256, 384, 512, 1024)
    default_dimension: int = 512
    fingerprint: str = "0123456789abcdef"
    seconds: float = 0.0
    gate: threading.Event | None = None
    calls: int = 0
    batches: list[int] = field(default_factory=list)

    def encode(self, samples: Sequence[Sample], dimension: int) -> NDArray[np.float32]:
        self.calls += 1
        if self.gate is not None:
            self.gate.wait(30)
        if self.seconds:
            time.sleep(self.seconds)
        self.batches.append(len(samples))
        return np.stack([self._row(sample, dimension) for sample in samples])

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def _row(self, sample: Sample, dimension: int) -> NDArray[np.float32]:
        if sample.text == "RAISE":
            raise RuntimeError("asked to")
        row = np.zeros(dimension)
        if sample.text is not None:
            seed = int.from_bytes(hashlib.sha256(sample.text.encode()).digest()[:8])
            row += np.random.default_rng(seed).standard_normal(dimension)
        if sample.image is not None:
            row += self._picture(sample.image, dimension)
        row /= np.linalg.norm(row)
        if sample.text == "NAN":
            row[3] = np.nan
        return row.astype(np.float32)

    @staticmethod
    def _picture(image: NDArray[np.uint8], dimension: int) -> NDArray[np.float64]:
        height, width, _ = image.shape
        halves = (
            image[: max(1, height // 2)],
            image[height // 2 :],
            image[:, : max(1, width // 2)],
            image[:, width // 2 :],
        )
        means = np.concatenate([half.reshape(-1, 3).mean(0) if half.size else np.zeros(3) for half in halves])
        return np.resize(1.0 + means, dimension)


@dataclass(frozen=True)
class Running:
    """A server that answers on loopback."""

    host: str
    port: int
    multimodal: ToyEncoder
    text: ToyEncoder

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def boto(self, service: str, **changes: Any) -> Any:
        """A real boto3 client on this server, without retries."""
        config = Config(retries={"total_max_attempts": 1}, read_timeout=30)
        options: dict[str, Any] = {
            "endpoint_url": self.url,
            "region_name": REGION,
            "aws_access_key_id": ACCESS_KEY,
            "aws_secret_access_key": SECRET_KEY,
            "config": config,
        }
        session: Any = boto3.Session()
        return session.client(service, **(options | changes))

    def status(self) -> dict[str, Any]:
        """What `GET /` shows."""
        head, _, body = self.raw(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").partition(b"\r\n\r\n")
        assert b" 200 " in head.splitlines()[0]
        shown: dict[str, Any] = json.loads(body)
        return shown

    def raw(self, sent: bytes, timeout: float = 20) -> bytes:
        """Bytes in, bytes out until the server closes."""
        with socket.create_connection((self.host, self.port), timeout=timeout) as connection:
            connection.sendall(sent)
            received = bytearray()
            while chunk := connection.recv(65536):
                received += chunk
        return bytes(received)


Serve = Callable[..., Running]


@pytest.fixture(scope="session")
def credentials() -> Mapping[str, Credential | str]:
    return {
        ACCESS_KEY: SECRET_KEY,
        "ASIATEMPORARY": Credential("temporary-secret", session_token="token/with+signs=="),
    }


def _run(server: Server) -> threading.Thread:
    thread = threading.Thread(target=server.run_until_stopped, name="server", daemon=True)
    thread.start()
    return thread


@pytest.fixture(scope="session")
def _serving(credentials: Mapping[str, Credential | str]) -> Iterator[Serve]:
    started: list[tuple[Server, threading.Thread, socket.socket]] = []

    def serve(
        *, signed: bool = True, limits: Limits | None = None, multimodal: ToyEncoder | None = None, **options: Any
    ) -> Running:
        multimodal = multimodal or ToyEncoder()
        text = ToyEncoder(name="toy-text", dimensions=(384,), default_dimension=384)
        bounds = limits or Limits(shutdown=5)
        container = {} if signed else {"container": "neuralshelf-clip"}
        app = create_app(
            standard_endpoints(multimodal, text),
            credentials=credentials if signed else None,
            region=REGION,
            limits=bounds,
            **(container | options),
        )
        ready = threading.Event()
        opened = bound_socket("127.0.0.1", 0)
        server = Server(app, opened, bounds, lambda _port: ready.set())
        started.append((server, _run(server), opened))
        assert ready.wait(20), "the server did not start"
        return Running("127.0.0.1", opened.getsockname()[1], multimodal, text)

    yield serve
    for server, _, _ in started:  # all at once: one that a client is still connected to takes its seconds
        server.stop()
    for _, thread, opened in started:
        thread.join(30)
        opened.close()
        if thread.is_alive():  # how a server ends is tested in test_process.py
            traceback.print_stack(sys._current_frames().get(thread.ident or 0))


@pytest.fixture
def serve(_serving: Serve) -> Serve:
    """Start a server of one's own: `serve(signed=..., limits=..., multimodal=...)`."""
    return _serving


@pytest.fixture(scope="session")
def server(_serving: Serve) -> Running:
    """The shared server: signatures checked, default limits."""
    return _serving()


@pytest.fixture(scope="session")
def open_server(_serving: Serve) -> Running:
    """The shared server in container mode: nothing signed."""
    return _serving(signed=False)


@pytest.fixture(scope="session")
def toy() -> type[ToyEncoder]:
    """The model class, for servers with a model of their own: `serve(multimodal=toy(seconds=0.1))`."""
    return ToyEncoder


@pytest.fixture
def store(tmp_path: Path) -> Interactions:
    """What the ranker of `running` knows."""
    return Interactions(tmp_path / "interactions.db")


@pytest.fixture
def running(serve: Any, store: Interactions) -> Any:
    """A server with a ranker."""
    return serve(ranker=Contract(Ranker(store)))
