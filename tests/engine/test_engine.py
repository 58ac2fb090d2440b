"""The engine that all other tests of this folder stand on."""

import urllib.request
from typing import Any

import pytest
from opensearchpy import NotFoundError, OpenSearch

from neuralshelf.engine import Engine


def test_is_the_one_that_was_asked_for(engine: Engine, request: pytest.FixtureRequest) -> None:
    assert engine.provider == request.config.getoption("--engine", "embedded")


def test_tells_version_health_and_plugins(engine: Engine) -> None:
    status = engine.status()
    assert status.version == "3.6.0"
    assert status.health == "green"
    assert status.nodes == 1
    assert {"opensearch-knn", "opensearch-ml", "opensearch-neural-search"} <= set(status.plugins)
    assert (status.pid is not None) == (engine.provider == "embedded")


def test_leaves_no_probe_behind(client: OpenSearch, engine: Engine) -> None:
    assert not client.indices.get(index="neuralshelf-ready-*")
    with pytest.raises(NotFoundError):
        client.transport.perform_request("GET", "/_search/pipeline/neuralshelf-ready-*")


def test_reaches_the_model_server(client: OpenSearch, model_server: Any) -> None:
    with urllib.request.urlopen(model_server.local_url + "/ping", timeout=10) as answer:
        assert answer.status == 200
    assert model_server.url.startswith("http://")
