"""A real OpenSearch and a real model server, one of each a session.

`--engine=embedded` (default); `--engine=container` (OPENSEARCH_IMAGE names the image); `--engine=http://…`: an engine
that is up already and may be written to, for working on tests.
"""

import hashlib
import os
import secrets
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from opensearchpy import OpenSearch
from starlette.types import ASGIApp

from neuralshelf.client import connect
from neuralshelf.engine import Engine, open_engine
from neuralshelf.engine.container import ContainerEngine
from neuralshelf.errors import EngineError, MissingDependencyError
from neuralshelf.model_packages.encoder import Encoder, Sample
from neuralshelf.model_packages.server.app import create_app
from neuralshelf.model_packages.server.endpoints import standard_endpoints
from neuralshelf.model_packages.server.limits import Limits
from neuralshelf.model_packages.server.serving import Server, bound_socket
from neuralshelf.settings import ClusterConfig, Folders

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--engine", default="embedded", help="embedded, container, or the URL of an engine")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that bring their own engine have nothing to do with `--engine`."""
    if config.getoption("--engine", "embedded") != "container":
        return
    others = [i for i in items if HERE in i.path.parents and "engine" not in getattr(i, "fixturenames", ())]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]


def cluster_config(config: pytest.Config) -> ClusterConfig:
    """The cluster that `--engine` asks for."""
    engine = config.getoption("--engine", "embedded")
    if engine.startswith("http"):
        return ClusterConfig(provider="url", url=engine)
    return ClusterConfig.model_validate({"provider": engine})


@contextmanager
def temporary_folders() -> Iterator[Folders]:
    """A state folder of its own that the engine's user can enter, and this user's cache."""
    state = Path(tempfile.mkdtemp(prefix="neuralshelf-test-"))
    state.chmod(0o755)
    try:
        yield Folders(cache=Folders.default(PROJECT).cache, state=state)
    finally:
        shutil.rmtree(state, ignore_errors=True)


@contextmanager
def running(cluster: ClusterConfig, folders: Folders) -> Iterator[Engine]:
    """A started engine; its volume, if it has one, is removed afterwards."""
    engine = open_engine(cluster, folders)
    try:
        engine.start(lambda step, done, total: None)
        yield engine
    finally:
        engine.stop()
        if isinstance(engine, ContainerEngine):
            subprocess.run(["docker", "volume", "rm", "--force", engine.volume], capture_output=True, check=False)


def empty(client: OpenSearch, index: str) -> None:
    """Delete all documents, also those that were written since the last refresh or are just being written."""
    everything: dict[str, Any] = {"query": {"match_all": {}}}
    conflicts = 1
    while conflicts:
        client.indices.refresh(index=index)
        words = {"refresh": "true", "conflicts": "proceed"}
        conflicts = client.delete_by_query(index=index, body=everything, params=words)["version_conflicts"]


@pytest.fixture(scope="session")
def temporary() -> Callable[[], AbstractContextManager[Folders]]:
    """`with temporary() as folders`: for an engine of one's own."""
    return temporary_folders


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """OpenSearch with nothing in it."""
    cluster = cluster_config(request.config)
    with ExitStack() as stack:
        folders = stack.enter_context(temporary_folders())
        try:
            found = stack.enter_context(running(cluster, folders))
        except (EngineError, MissingDependencyError) as fault:
            required = "container" in os.environ.get("NEURALSHELF_REQUIRE", "").split(",")
            if cluster.provider == "container" and not required:
                pytest.skip(f"no container: {fault}")
            raise
        yield found


@pytest.fixture(scope="session")
def client(request: pytest.FixtureRequest, engine: Engine) -> Iterator[OpenSearch]:
    """A client of the engine."""
    found = connect(cluster_config(request.config), engine.url)
    yield found
    found.close()


@dataclass
class ToyEncoder:
    """A model of no sense but with the right shape: equal inputs, equal vectors; pictures count by mean colours.

    `samples` holds all that it was given, in the order of arrival; `calls` the sizes of the batches.
    """

    name: str = "toy"
    dimensions: tuple[int, ...] = (256, 384, 512, 1024)
    default_dimension: int = 384
    fingerprint: str = "0123456789abcdef"
    samples: list[Sample] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        """All texts that arrived."""
        return [sample.text for sample in self.samples if sample.text is not None]

    def encode(self, samples: Sequence[Sample], dimension: int) -> NDArray[np.float32]:
        self.samples += samples
        self.calls.append(len(samples))
        return np.stack([self._row(sample, dimension) for sample in samples])

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def _row(self, sample: Sample, dimension: int) -> NDArray[np.float32]:
        row = np.zeros(dimension)
        if sample.text is not None:
            seed = hashlib.sha256(sample.text.encode("utf-8", "surrogatepass")).digest()[:8]
            row += np.random.default_rng(int.from_bytes(seed)).standard_normal(dimension)
        if sample.image is not None:
            top, bottom = np.array_split(sample.image.reshape(-1, 3).astype(np.float64), 2)
            means = np.concatenate([top.mean(0), bottom.mean(0) if len(bottom) else np.zeros(3)])
            row += np.resize(1.0 + means, dimension)
        return np.asarray(row / np.linalg.norm(row), dtype=np.float32)


@dataclass(frozen=True)
class ServedModels:
    """A model server on a socket.

    Attributes:
        url: base URL as OpenSearch sees it.
        local_url: the same as this process sees it.
        multimodal, text: the encoders behind it; ToyEncoders unless others were given.
    """

    url: str
    local_url: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)
    multimodal: Any
    text: Any


ServeModels = Callable[..., ServedModels]
Wrap = Callable[[ASGIApp], ASGIApp]


@pytest.fixture(scope="session")
def serve_models(engine: Engine) -> Iterator[ServeModels]:
    """Start a model server: `serve_models(multimodal=…, text=…, limits=…, wrap=…)`; it lives to the end of the session.

    `wrap` puts another ASGI application around the server's.
    """
    started: list[Server] = []
    with ExitStack() as stack:

        def serve(
            multimodal: Encoder | None = None,
            text: Encoder | None = None,
            limits: Limits | None = None,
            wrap: Wrap = lambda app: app,
        ) -> ServedModels:
            served = _served(engine, multimodal or ToyEncoder(), text or ToyEncoder(), limits, started, wrap)
            return stack.enter_context(served)

        yield serve
        for server in started:  # all at once: each takes its seconds to end
            server.stop()


@pytest.fixture(scope="session")
def model_server(serve_models: ServeModels) -> ServedModels:
    """A model server with two toy encoders; share it, and look only at what your own texts and pictures did."""
    return serve_models()


@contextmanager
def _served(
    engine: Engine,
    multimodal: Encoder,
    text: Encoder,
    limits: Limits | None,
    started: list[Server],
    wrap: Wrap = lambda app: app,
) -> Iterator[ServedModels]:
    key, secret = "AKIA" + secrets.token_hex(8).upper(), secrets.token_urlsafe(30)
    limits = limits or Limits()
    app = wrap(create_app(standard_endpoints(multimodal, text), credentials={key: secret}, limits=limits))
    opened = bound_socket("127.0.0.1" if engine.host_address == "127.0.0.1" else "0.0.0.0", 0)
    ready = threading.Event()
    server = Server(app, opened, limits, lambda port: ready.set())
    started.append(server)
    thread = threading.Thread(target=server.run_until_stopped, daemon=True)
    thread.start()
    assert ready.wait(30), "the model server did not start"
    port = opened.getsockname()[1]
    try:
        yield ServedModels(
            url=f"http://{engine.host_address}:{port}",
            local_url=f"http://127.0.0.1:{port}",
            region="us-east-1",
            access_key=key,
            secret_key=secret,
            multimodal=multimodal,
            text=text,
        )
    finally:
        server.stop()
        thread.join(15)
        opened.close()
