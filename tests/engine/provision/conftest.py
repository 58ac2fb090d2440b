"""Deployments worked on through the command line, against the real engine."""

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from neuralshelf.engine import Engine
from neuralshelf.provision.objects.settings import METADATA
from tests.engine.conftest import ServedModels
from tests.engine.provision.deployment import FULL, Project
from tests.engine.provision.snapshot import changes, snapshot
from tests.engine.provision.sweep import sweep
from tests.engine.provision.wire import Wire, wire_to

MakeProject = Callable[..., Project]

_numbers = itertools.count(1)


@contextmanager
def settings_put_away(client: OpenSearch) -> Iterator[None]:
    """Settings of other tests' deployments are put away meanwhile: a setting that another one needs stays."""
    found = client.cluster.get_settings(flat_settings=True)["persistent"]
    away = {key: value for key, value in found.items() if key.startswith((METADATA, "plugins.ml_commons."))}
    if away:
        client.cluster.put_settings(body={"persistent": dict.fromkeys(away)})
    yield
    if away:
        client.cluster.put_settings(body={"persistent": away})


@pytest.fixture(scope="module", autouse=True)
def _alone(request: pytest.FixtureRequest) -> Iterator[None]:
    if "client" not in request.fixturenames:
        yield
        return
    with settings_put_away(request.getfixturevalue("client")):
        yield


@pytest.fixture
def wire(engine: Engine) -> Iterator[Wire]:
    """A logging proxy before the engine."""
    with wire_to(engine.url) as made:
        yield made


@contextmanager
def project_in_a_folder(
    client: OpenSearch, wire: Wire, server: ServedModels, config: Mapping[str, Any]
) -> Iterator[Project]:
    """A project with a name of its own; whatever it leaves in the cluster is swept away."""
    folder = Path(tempfile.mkdtemp(prefix="neuralshelf-project-"))
    project = Project.make(folder, f"shop{next(_numbers)}x", client, wire, server, config)
    before = snapshot(client)
    try:
        yield project
    finally:
        sweep(client, project.name, before)
        shutil.rmtree(folder, ignore_errors=True)
    assert changes(before, snapshot(client)) == {}


@pytest.fixture
def make_project(client: OpenSearch, wire: Wire, model_server: ServedModels) -> Iterator[MakeProject]:
    """`make_project(config=FULL, server=…)`: a deployment that is not applied yet; toy models answer for it."""
    with ExitStack() as stack:

        def made(config: Mapping[str, Any] = FULL, server: ServedModels | None = None) -> Project:
            return stack.enter_context(project_in_a_folder(client, wire, server or model_server, config))

        yield made


@pytest.fixture
def project(make_project: MakeProject) -> Project:
    """The full deployment, not applied yet. In process: `project.client`, `.deployment()`, `.runtime()`."""
    return make_project()
