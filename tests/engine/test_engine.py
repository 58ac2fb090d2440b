"""The engine that all other tests of this folder stand on."""

import os
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import NotFoundError, OpenSearch

from neuralshelf.engine import Engine, open_engine
from neuralshelf.engine.jvm_options import OPTIONS_VARIABLE
from neuralshelf.settings import ClusterConfig, Folders


def test_is_the_one_that_was_asked_for(engine: Engine, request: pytest.FixtureRequest) -> None:
    assert engine.provider == request.config.getoption("--engine", "embedded")


def test_tells_version_health_and_plugins(engine: Engine) -> None:
    status = engine.status()
    assert status.version == "3.6.0"
    assert status.health == "green"
    assert status.nodes == 1
    assert {"opensearch-knn", "opensearch-ml", "opensearch-neural-search"} <= set(status.plugins)
    assert (status.pid is not None) == (engine.provider == "embedded")


def test_its_jvm_has_the_heap_and_the_options_of_the_environment(client: OpenSearch, engine: Engine) -> None:
    if engine.provider == "url":
        pytest.skip("somebody else started it")
    (node,) = client.nodes.info(metric="jvm")["nodes"].values()
    options = node["jvm"]["input_arguments"]
    assert {"-Xmx1g", *os.environ[OPTIONS_VARIABLE].split()} <= set(options)


def test_leaves_no_probe_behind(client: OpenSearch, engine: Engine) -> None:
    assert not client.indices.get(index="neuralshelf-ready-*")
    with pytest.raises(NotFoundError):
        client.transport.perform_request("GET", "/_search/pipeline/neuralshelf-ready-*")


def test_serves_by_its_url_as_somebody_elses_cluster_and_outlives_that(engine: Engine, tmp_path: Path) -> None:
    remote = open_engine(ClusterConfig(provider="url", url=engine.url), Folders(tmp_path, tmp_path))
    remote.start(lambda step, done, total: None)
    assert remote.status() == replace(engine.status(), provider="url", pid=None)
    remote.stop()
    engine.check()
    assert engine.status().health == "green"


def test_reaches_the_model_server(client: OpenSearch, model_server: Any) -> None:
    with urllib.request.urlopen(model_server.local_url + "/ping", timeout=10) as answer:
        assert answer.status == 200
    assert model_server.url.startswith("http://")
