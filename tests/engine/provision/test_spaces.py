"""Spaces of real answers, and connectors tried on a real engine before models depend on them."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch
from pydantic import SecretStr

from neuralshelf.connectors.resources import cluster_settings, connector_resources, model_group
from neuralshelf.connectors.runtime import Runtime
from neuralshelf.connectors.spec import ConnectorSpec, SageMakerClip, SageMakerText
from neuralshelf.errors import ProvisionError
from neuralshelf.provision.candidate import admit_candidate, candidate_address
from neuralshelf.provision.marker import Marker
from neuralshelf.provision.spaces import SAME, Space, agreement, encode, measure, read_spaces
from neuralshelf.resource import Kind
from tests.engine.provision.encoders import Weighted

PREFIX = "spaces-test"
CLIP = SageMakerClip(kind="sagemaker-clip", endpoint="neuralshelf-clip", dimension=512)
TEXT = SageMakerText(kind="sagemaker-text", endpoint="neuralshelf-minilm", dimension=384)


class Bench:
    """Connectors made singly; all that was made goes at the end."""

    def __init__(self, client: OpenSearch, serve: Callable[..., Any]) -> None:
        self.client = client
        self.encoder = Weighted()
        self._server = serve(multimodal=self.encoder, text=self.encoder)
        self._numbers = itertools.count()
        self.connectors: list[str] = []
        client.cluster.put_settings(body=dict(cluster_settings(self._runtime()).body))
        self.group = str(self.ml("POST", "model_groups/_register", model_group(PREFIX).body)["model_group_id"])

    def _runtime(self, url: str | None = None, secret: str | None = None) -> Runtime:
        server = self._server
        return Runtime(server.region).at(url or server.url, server.access_key, SecretStr(secret or server.secret_key))

    def ml(self, method: str, path: str, body: Any = None) -> Any:
        return self.client.transport.perform_request(method, f"/_plugins/_ml/{path}", body=body)

    def connector(self, spec: ConnectorSpec = CLIP, url: str | None = None, secret: str | None = None) -> str:
        runtime = self._runtime(url, secret)
        made = connector_resources(f"c{next(self._numbers)}", spec, runtime=runtime, prefix=PREFIX, group="unused")
        keys = {path.split(".")[1]: value for path, value in made[0].secrets.items()}
        answer = self.ml("POST", "connectors/_create", {**made[0].body, "credential": keys})
        self.connectors.append(str(answer["connector_id"]))
        return self.connectors[-1]

    def admit(self, connector: str, expected: Mapping[str, Space] | None = None) -> None:
        admit_candidate(
            self.client,
            connector,
            CLIP,
            name="shop-picture",
            group_id=self.group,
            prefix=PREFIX,
            expected={f"index {name}": space for name, space in (expected or {}).items()},
        )

    def models(self) -> list[Any]:
        answer = self.ml("POST", "models/_search", {"query": {"term": {"model_group_id": self.group}}})
        return [hit["_source"] for hit in answer["hits"]["hits"]]

    def space(self, spec: ConnectorSpec = CLIP) -> Space:
        """Asked of a model of its own, which is deleted again."""
        body = {"name": "asked", "function_name": "remote", "model_group_id": self.group}
        model = self.ml("POST", "models/_register?deploy=true", {**body, "connector_id": self.connector(spec)})
        identity = str(model["model_id"])
        while self.ml("GET", f"models/{identity}")["model_state"] != "DEPLOYED":
            time.sleep(0.05)
        try:
            return measure(self.client, identity, spec, name="asked")
        finally:
            self.ml("POST", f"models/{identity}/_undeploy")
            self.ml("DELETE", f"models/{identity}")


@pytest.fixture(scope="module")
def bench(client: OpenSearch, serve_models: Callable[..., Any]) -> Iterator[Bench]:
    made = Bench(client, serve_models)
    yield made
    for connector in made.connectors:
        made.ml("DELETE", f"connectors/{connector}")
    made.ml("DELETE", f"model_groups/{made.group}")
    client.cluster.put_settings(body={"persistent": {"plugins.ml_commons.*": None}})


@pytest.fixture(autouse=True)
def _same_weights_and_no_model_left(bench: Bench) -> Iterator[None]:
    yield
    bench.encoder.seed = 0
    assert bench.models() == []


def test_a_model_gives_the_same_space_twice_and_keeps_it_through_a_mapping(bench: Bench) -> None:
    first, second = bench.space(), bench.space()
    assert agreement(first, second) > 0.999999
    index = "spaces-test-1"
    meta = {"_meta": {"spaces": encode({"image_vector": first})}}
    bench.client.indices.create(index=index, body={"mappings": meta, "aliases": {"spaces-test": {}}})
    try:
        for name in (index, "spaces-test"):
            kept = read_spaces(bench.client, name)
            assert agreement(kept["image_vector"], second) > 0.999999
    finally:
        bench.client.indices.delete(index=index)


def test_an_index_that_is_not_there_and_one_without_spaces_have_none(bench: Bench) -> None:
    assert read_spaces(bench.client, "nowhere-1") == {}
    bench.client.indices.create(index="spaces-none-1")
    try:
        assert read_spaces(bench.client, "spaces-none-1") == {}
    finally:
        bench.client.indices.delete(index="spaces-none-1")


def test_a_model_of_texts_has_no_picture(bench: Bench) -> None:
    found = bench.space(TEXT)
    assert found.image is None
    assert found.dimension == 384


def test_a_connector_to_the_same_model_is_admitted_and_leaves_nothing(bench: Bench) -> None:
    bench.admit(bench.connector(), {"products-1": bench.space()})


def test_without_vectors_anywhere_an_answer_is_enough(bench: Bench) -> None:
    bench.encoder.seed = 3
    bench.admit(bench.connector())


def test_other_weights_of_the_same_dimension_are_refused_and_leave_nothing(bench: Bench) -> None:
    before = bench.space()
    bench.encoder.seed = 1
    after = bench.space()
    assert agreement(before, after) < 0.5 < SAME
    with pytest.raises(
        ProvisionError, match=r"other vectors than those in index products-1 \(cosine -?0\.\d\d\)"
    ) as told:
        bench.admit(bench.connector(), {"products-2": after, "products-1": before})
    assert "index.version" in told.value.hint
    assert "neuralshelf migrate" in told.value.hint


def test_a_model_that_agrees_on_texts_only_is_refused(bench: Bench) -> None:
    right = bench.space()
    bench.encoder.seed = 1
    wrong = Space(right.text, bench.space().image)
    bench.encoder.seed = 0
    with pytest.raises(ProvisionError, match="other vectors"):
        bench.admit(bench.connector(), {"products-1": wrong})


def test_other_lengths_are_refused_in_words(bench: Bench) -> None:
    short = Space(np.eye(256, dtype=np.float32)[0], None)
    with pytest.raises(ProvisionError, match=r"products-1 \(512 numbers instead of 256\)"):
        bench.admit(bench.connector(), {"products-1": short})


def test_a_wrong_key_is_named_and_leaves_nothing(bench: Bench) -> None:
    with pytest.raises(ProvisionError, match=r"model/shop-picture.*signature") as told:
        bench.admit(bench.connector(secret="wrong-" * 6))
    assert "credentials" in told.value.hint


def test_an_endpoint_that_is_away_is_named_and_leaves_nothing(bench: Bench) -> None:
    with pytest.raises(ProvisionError, match="does not answer"):
        bench.admit(bench.connector(url="http://127.0.0.1:9"))


def test_an_interrupted_trial_bears_our_marker(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def interrupted(*_: Any, **__: Any) -> Space:
        seen.extend(bench.models())
        raise KeyboardInterrupt

    monkeypatch.setattr("neuralshelf.provision.candidate.measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bench.admit(bench.connector())
    (model,) = seen
    marker = Marker.find(model["description"])
    assert marker is not None
    assert marker.prefix == PREFIX
    assert marker.address == candidate_address("shop-picture") == f"{Kind.MODEL}/{model['name']}"
