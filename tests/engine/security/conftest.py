"""OpenSearch 2.19.1 with TLS and logins, one a session, and the fixtures of other folders once more on top of it.

Where its files or a Java runtime that it runs on can't be had, all tests here are skipped with the reason, unless
NEURALSHELF_REQUIRE names `security`.
"""

from collections.abc import Iterator

import pytest
from opensearchpy import OpenSearch

from neuralshelf.engine.user import RunAs
from neuralshelf.errors import EngineError, MissingDependencyError
from tests.engine.connectors.conftest import make_wire, wire
from tests.engine.fixtures import model_server, serve_models, temporary_folders
from tests.engine.pipelines.conftest import catalogue, empty_shop, full_shop, joint_shop, open_shop

from .home import find_java_17, reachable, secured_home
from .node import SecuredNode

# Defined here again, they are made again, on this engine.
__all__ = [
    "catalogue",
    "empty_shop",
    "full_shop",
    "joint_shop",
    "make_wire",
    "model_server",
    "open_shop",
    "serve_models",
    "wire",
]


@pytest.fixture(scope="session")
def engine() -> Iterator[SecuredNode]:
    """One node with nothing in it but an administrator."""
    run_as = RunAs.default()
    with temporary_folders() as folders:
        try:
            java = find_java_17(run_as)
            home = secured_home(reachable(folders.cache, run_as), lambda *_: None)
        except (EngineError, MissingDependencyError) as fault:
            pytest.skip(f"no OpenSearch 2.19.1: {fault}")
        node = SecuredNode(home, java, folders, run_as)
        try:
            node.start()
            yield node
        finally:
            node.stop()


@pytest.fixture(scope="session")
def client(engine: SecuredNode) -> Iterator[OpenSearch]:
    """Logged in as the administrator."""
    found = engine.client(engine.admin)
    yield found
    found.close()


@pytest.fixture(scope="session")
def combination() -> str:
    """2.19 takes no ranks with weights."""
    return "arithmetic_mean"
