"""A deployment whose model server can issue keys and take them away at once."""

from collections.abc import Iterator

import pytest

from neuralshelf.engine import Engine
from tests.engine.provision.conftest import MakeProject
from tests.engine.provision.deployment import SMALL, Project
from tests.engine.provision.keys import Key, KeyServer, key_server
from tests.engine.provision.rotation.rotating import applied


@pytest.fixture
def server(engine: Engine) -> Iterator[KeyServer]:
    with key_server(engine.host_address) as made:
        yield made


@pytest.fixture
def key(server: KeyServer) -> Key:
    return server.keys.issue()


@pytest.fixture
def shop(make_project: MakeProject, server: KeyServer, key: Key) -> Project:
    """The smallest deployment, applied with `key`."""
    return applied(make_project(SMALL, server.served(key)), server.runtime(key))
