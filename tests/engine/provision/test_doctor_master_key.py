"""The key that ML Commons encrypts credentials with, lost: on an engine of its own, since that has to start again."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing

import pytest
from opensearchpy.exceptions import OpenSearchWarning

from neuralshelf.client import connect
from neuralshelf.engine.embedded import EmbeddedEngine
from neuralshelf.provision.rotate import rotate
from neuralshelf.settings import ClusterConfig, Folders
from tests.engine.provision.clinic import Clinic, eventually, open_clinic
from tests.engine.provision.deployment import SMALL

KEYS = ".plugins-ml-config"

pytestmark = pytest.mark.extended


@pytest.fixture
def own_engine(temporary: Callable[[], AbstractContextManager[Folders]]) -> Iterator[EmbeddedEngine]:
    with temporary() as folders:
        engine = EmbeddedEngine(ClusterConfig(java_heap="512m"), folders)
        try:
            engine.start(lambda *_: None)
            yield engine
        finally:
            engine.stop()


def cause(clinic: Clinic) -> str:
    """Of the one finding, which is the lost key."""
    (found,) = clinic.diagnose().findings
    assert found.code == "master-key-lost"
    assert "neuralshelf rotate --force" in found.remedy
    return found.cause


def test_a_lost_master_key_is_named_before_and_after_it_does_harm_and_the_remedy_mends_it(
    own_engine: EmbeddedEngine,
) -> None:
    cluster = ClusterConfig(provider="url", url=own_engine.url)
    with closing(connect(cluster)) as client, open_clinic(client, cluster, "keyless", SMALL) as clinic:
        clinic.apply()
        assert clinic.codes() == []

        with pytest.warns(OpenSearchWarning, match="system indices"):
            client.indices.delete(index=KEYS)
        assert f"{KEYS} is not there" in cause(clinic)  # models still answer: the node remembers the key

        own_engine.stop()
        own_engine.start(lambda *_: None)
        assert own_engine.url == cluster.url
        eventually(lambda: "Tag mismatch" in cause(clinic))  # the node has made itself another key

        rotate(client, clinic.deployment, clinic.runtime, force=True)
        assert clinic.codes() == []
