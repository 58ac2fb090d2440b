"""verify on a real engine: a healthy deployment passes every check, and each seeded mismatch is named by one."""

import base64
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch
from PIL import Image
from pydantic import SecretStr

from neuralshelf.client import connect
from neuralshelf.connectors.resources import connector_resources
from neuralshelf.connectors.runtime import Runtime
from neuralshelf.engine import Engine
from neuralshelf.provision.spaces import encode, read_spaces
from neuralshelf.provision.verify import Verification, verify
from tests.engine.conftest import ServedModels
from tests.engine.provision.conftest import project_in_a_folder
from tests.engine.provision.deployment import FULL, Project
from tests.engine.provision.encoders import Weighted
from tests.engine.provision.wire import wire_to

CONNECTORS = {
    "text": {"kind": "sagemaker-text", "endpoint": "neuralshelf-minilm", "dimension": 384},
    "picture": {"kind": "sagemaker-clip", "endpoint": "neuralshelf-clip", "dimension": 384},
}
"""Both models give vectors of the same length, so that no engine tells one from the other."""

DOCUMENTS = 30


@dataclass(frozen=True)
class Shop:
    """A deployment with documents, and what seeds mismatches into it. Whatever is seeded is taken back."""

    project: Project
    text: Weighted
    picture: Weighted
    elsewhere: ServedModels

    @property
    def client(self) -> OpenSearch:
        return self.project.client

    @property
    def index(self) -> str:
        return f"{self.project.name}-1"

    @property
    def generation(self) -> str:
        return f"{self.project.prefix}-v1"

    def verify(self) -> Verification:
        return verify(self.client, self.project.deployment(), self.project.runtime())

    def ml(self, method: str, path: str, body: Any = None) -> Any:
        return self.client.transport.perform_request(method, f"/_plugins/_ml/{path}", body=body)

    def model(self, logical: str, role: str) -> Any:
        """The live model: id and source."""
        query = {"query": {"term": {"name.keyword": f"{self.generation}-{logical}-{role}"}}}
        (hit,) = self.ml("POST", "models/_search", query)["hits"]["hits"]
        return {**hit["_source"], "id": hit["_id"]}

    @contextmanager
    def edited(self, path: str, change: Callable[[Any], None]) -> Iterator[None]:
        """An object that is read and written under one path, changed by hand."""
        before = next(iter(self.client.transport.perform_request("GET", path).values()))
        after = json.loads(json.dumps(before))
        change(after)
        self.client.transport.perform_request("PUT", path, body=after)
        try:
            yield
        finally:
            self.client.transport.perform_request("PUT", path, body=before)

    def ingest_pipeline(self, change: Callable[[Any], None]) -> AbstractContextManager[None]:
        return self.edited(f"/_ingest/pipeline/{self.generation}-{self.project.name}-ingest", change)

    def search_pipeline(self, change: Callable[[Any], None]) -> AbstractContextManager[None]:
        return self.edited(f"/_search/pipeline/{self.generation}-{self.project.name}-search", change)

    @contextmanager
    def settings(self, **changes: Any) -> Iterator[None]:
        """Settings of the index."""
        named = {key.replace("__", "."): value for key, value in changes.items()}
        found = self.client.indices.get_settings(index=self.index, flat_settings=True)[self.index]["settings"]
        before = {key: found.get(key) for key in named}
        self.client.indices.put_settings(index=self.index, body=named)
        try:
            yield
        finally:
            self.client.indices.put_settings(index=self.index, body=before)

    @contextmanager
    def meta(self, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
        """What the mapping keeps under _meta."""
        before = self.client.indices.get_mapping(index=self.index)[self.index]["mappings"]["_meta"]
        after = json.loads(json.dumps(before))
        change(after)
        self.client.indices.put_mapping(index=self.index, body={"_meta": after})
        try:
            yield
        finally:
            self.client.indices.put_mapping(index=self.index, body={"_meta": before})

    @contextmanager
    def pointed(self, logical: str, role: str, **fields: Any) -> Iterator[None]:
        """A model on another connector: by default to a server whose models have other weights."""
        runtime = Runtime("us-east-1").at(
            self.elsewhere.url, self.elsewhere.access_key, SecretStr(self.elsewhere.secret_key)
        )
        spec = self.project.deployment().config.connectors[logical].model_copy(update=fields)
        made = connector_resources(logical, spec, runtime=runtime, prefix=f"by-hand-{role}", group="unused")[0]
        keys = {path.split(".")[1]: value for path, value in made.secrets.items()}
        connector = self.ml("POST", "connectors/_create", {**made.body, "credential": keys})["connector_id"]
        model = self.model(logical, role)
        self.ml("PUT", f"models/{model['id']}", {"connector_id": connector})
        try:
            yield
        finally:
            self.ml("PUT", f"models/{model['id']}", {"connector_id": model["connector_id"]})
            self.ml("DELETE", f"connectors/{connector}")

    @contextmanager
    def aliases(self, *actions: Any) -> Iterator[None]:
        """The alias moved by hand; an index `NAME-by-hand` stands by."""
        other = f"{self.project.name}-by-hand"
        self.client.indices.create(index=other)
        self.client.indices.update_aliases(body={"actions": list(actions)})
        try:
            yield
        finally:
            self.client.indices.delete(index=other)
            back = {"add": {"index": self.index, "alias": self.project.name}}
            self.client.indices.update_aliases(
                body={"actions": [{"remove": {"index": self.index, "alias": "*", "must_exist": False}}, back]}
            )

    @contextmanager
    def document(self, lines: list[Any], **params: Any) -> Iterator[None]:
        """Documents that came in by another way than the index's pipeline."""
        answer = self.client.bulk(body=lines, index=self.index, params={"refresh": "true", **params})
        assert not answer["errors"], answer
        try:
            yield
        finally:
            fill(self)

    @contextmanager
    def weights(self, encoder: Weighted, seed: int) -> Iterator[None]:
        """Another model behind the same endpoint."""
        before, encoder.seed = encoder.seed, seed
        try:
            yield
        finally:
            encoder.seed = before


def _picture(number: int) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (8 * number, 255 - 8 * number, 40)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def fill(shop: Shop) -> None:
    """Make the documents what they were in the beginning."""
    lines: list[Any] = []
    for number in range(DOCUMENTS):
        document = {"title": f"teapot number {number}", "brand": "Amber"}
        pictured = {"image": _picture(number)} if number % 3 == 0 else {}
        lines += [{"index": {"_id": f"p{number}"}}, document | pictured]
    answer = shop.client.bulk(body=lines, index=shop.index, params={"refresh": "true"})
    assert not answer["errors"], answer


@pytest.fixture(scope="module")
def shop(client: OpenSearch, engine: Engine, serve_models: Callable[..., ServedModels]) -> Iterator[Shop]:
    text, picture = Weighted(), Weighted(seed=5)
    server = serve_models(multimodal=picture, text=text)
    elsewhere = serve_models(multimodal=Weighted(seed=7), text=Weighted(seed=8))
    config = {**FULL, "connectors": CONNECTORS}
    with wire_to(engine.url) as wire, project_in_a_folder(client, wire, server, config) as project:
        project.run("apply")
        made = Shop(project, text, picture, elsewhere)
        fill(made)
        yield made


def named(verification: Verification) -> set[str]:
    """Names of the failed checks; each says what is there and what to do."""
    for check in verification.failures:
        assert check.found
        assert check.remedy, check
        assert "\n" not in check.found + check.remedy
    return {check.name for check in verification.failures}


def test_a_healthy_deployment_passes_every_check(shop: Shop) -> None:
    found = shop.verify()
    assert found.failures == ()
    assert found.ok
    assert all(check.ok for check in found.checks), [check for check in found.checks if not check.ok]
    assert {check.name for check in found.checks} == {
        "index",
        "alias",
        "vector-field",
        "space",
        "index-default",
        "ingest-pipeline",
        "search-pipeline",
        "search-template",
        "model-deployed",
        "model-answers",
        "document-to-vector",
        "query-to-vector",
        "kept-vectors",
    }
    assert json.loads(json.dumps(found.as_dict()))["ok"] is True


def test_verify_sends_no_write(shop: Shop) -> None:
    wire = shop.project.wire
    wire.clear()
    deployment = shop.project.deployment()
    verify(connect(deployment.environment.cluster), deployment, shop.project.runtime())
    assert wire.requests
    assert [request for request in wire.writes if not request.path.endswith("/_simulate")] == []


Seed = Callable[[Shop], AbstractContextManager[None]]


def _swap(first: str, second: str) -> Callable[[Any], None]:
    """Exchange two ids wherever they stand in a body."""

    def change(body: Any) -> None:
        text = json.dumps(body).replace(first, "\0").replace(second, first).replace("\0", second)
        body.clear()
        body.update(json.loads(text))

    return change


def _instead(wanted: tuple[str, str], other: tuple[str, str], where: str) -> Seed:
    """In one kind of object, another model of the same dimension stands where `wanted` should."""

    def seed(shop: Shop) -> AbstractContextManager[None]:
        ours, theirs = shop.model(*wanted)["id"], shop.model(*other)["id"]

        def change(body: Any) -> None:
            text = json.dumps(body)
            assert ours in text
            body.clear()
            body.update(json.loads(text.replace(ours, theirs)))

        if where == "template":
            return _template(shop, change)
        return shop.ingest_pipeline(change) if where == "ingest" else shop.search_pipeline(change)

    return seed


@contextmanager
def _template(shop: Shop, change: Callable[[Any], None]) -> Iterator[None]:
    name = f"{shop.project.name}-search"
    before = shop.client.get_script(id=name)["script"]
    after = {"script": json.loads(json.dumps(before))}
    change(after)
    shop.client.put_script(id=name, body=after)
    try:
        yield
    finally:
        shop.client.put_script(id=name, body={"script": before})


def _swapped(where: str) -> Seed:
    def seed(shop: Shop) -> AbstractContextManager[None]:
        change = _swap(shop.model("text", where)["id"], shop.model("picture", where)["id"])
        return shop.ingest_pipeline(change) if where == "ingest" else shop.search_pipeline(change)

    return seed


def _one_more_processor(shop: Shop) -> AbstractContextManager[None]:
    """Embeds the title once more, by another model, after all others."""
    again = {
        "model_id": shop.model("picture", "ingest")["id"],
        "embedding": "text_vector",
        "field_map": {"text": "title"},
    }

    def change(body: Any) -> None:
        body["processors"].append({"text_image_embedding": again})

    return shop.ingest_pipeline(change)


def _without(key: str) -> Callable[[Any], None]:
    def change(body: Any) -> None:
        body[key] = []

    return change


@contextmanager
def _undeployed(shop: Shop) -> Iterator[None]:
    model = shop.model("text", "search")["id"]
    shop.ml("POST", f"models/{model}/_undeploy")
    try:
        yield
        assert shop.ml("GET", f"models/{model}")["model_state"] == "UNDEPLOYED", "verify has deployed it"
    finally:
        shop.project.run("apply")


@contextmanager
def _disabled(shop: Shop) -> Iterator[None]:
    model = shop.model("picture", "ingest")["id"]
    shop.ml("PUT", f"models/{model}", {"is_enabled": False})
    try:
        yield
    finally:
        shop.project.run("apply")


def _swapped_spaces(meta: dict[str, Any]) -> None:
    spaces = meta["spaces"]
    spaces["text_vector"] = {"text": spaces["image_vector"]["text"]}


def _rubbish_space(meta: dict[str, Any]) -> None:
    meta["spaces"]["text_vector"]["text"] = "edited by hand"


def _no_space(meta: dict[str, Any]) -> None:
    del meta["spaces"]["image_vector"]


def _foreign_vectors(shop: Shop) -> AbstractContextManager[None]:
    """As `_reindex` from an index of another model, or a restore, brings them: past the pipeline."""
    generator = np.random.default_rng(3)
    lines: list[Any] = []
    for number in range(DOCUMENTS):
        vector = [float(value) for value in generator.standard_normal(384)]
        lines += [{"index": {"_id": f"p{number}"}}, {"title": f"teapot number {number}", "text_vector": vector}]
    return shop.document(lines, pipeline="_none")


def _no_vectors(shop: Shop) -> AbstractContextManager[None]:
    lines: list[Any] = [{"index": {"_id": "p1"}}, {"title": "teapot number 1"}]
    return shop.document(lines, pipeline="_none")


def _stale_vectors(shop: Shop) -> AbstractContextManager[None]:
    """A partial bulk update runs no pipeline: another text, the old vector."""
    lines: list[Any] = []
    for number in range(DOCUMENTS):
        lines += [{"update": {"_id": f"p{number}"}}, {"doc": {"title": f"garden chair {number}"}}]
    return shop.document(lines)


def _alias(*actions: Mapping[str, Any]) -> Seed:
    def seed(shop: Shop) -> AbstractContextManager[None]:
        values = {"INDEX": shop.index, "OTHER": f"{shop.project.name}-by-hand", "ALIAS": shop.project.name}
        text = json.dumps(actions)
        for word, value in values.items():
            text = text.replace(word, value)
        return shop.aliases(*json.loads(text))

    return seed


ADD_OTHER = {"add": {"index": "OTHER", "alias": "ALIAS"}}
FILTERED = {"add": {"index": "INDEX", "alias": "ALIAS", "filter": {"term": {"brand": "Amber"}}}}
REMOVE = {"remove": {"index": "INDEX", "alias": "ALIAS"}}

MISMATCHES: Mapping[str, tuple[Seed, str, str]] = {
    "the ingest pipeline embeds texts by the model of pictures": (
        _instead(("text", "ingest"), ("picture", "ingest"), "ingest"),
        "ingest-pipeline",
        "picture-ingest instead of",
    ),
    "the ingest pipeline makes the vectors of two fields the wrong way round": (
        _swapped("ingest"),
        "ingest-pipeline",
        "instead of",
    ),
    "the ingest pipeline embeds once more by another model": (_one_more_processor, "ingest-pipeline", "picture-ingest"),
    "the ingest pipeline embeds by the model for searches": (
        _instead(("text", "ingest"), ("text", "search"), "ingest"),
        "ingest-pipeline",
        "text-search instead of",
    ),
    "the enricher names the model of pictures for texts": (
        _instead(("text", "search"), ("picture", "search"), "search"),
        "search-pipeline",
        "picture-search instead of",
    ),
    "the enricher names two models the wrong way round": (_swapped("search"), "search-pipeline", "instead of"),
    "the search pipeline has no enricher": (
        lambda shop: shop.search_pipeline(_without("request_processors")),
        "search-pipeline",
        "names no model",
    ),
    "the search pipeline does not normalise": (
        lambda shop: shop.search_pipeline(_without("phase_results_processors")),
        "search-pipeline",
        "comparable",
    ),
    "the stored template's own pipeline names another model": (
        _instead(("picture", "search"), ("text", "search"), "template"),
        "search-template",
        "text-search instead of",
    ),
    "the ingest model is pointed at another model of the same dimension": (
        lambda shop: shop.pointed("text", "ingest"),
        "model-answers",
        "other vectors than",
    ),
    "the search model is pointed at another model of the same dimension": (
        lambda shop: shop.pointed("picture", "search"),
        "model-answers",
        "other vectors than",
    ),
    "the ingest model is pointed at a model of another dimension": (
        lambda shop: shop.pointed("picture", "ingest", dimension=512),
        "model-answers",
        "vectors of 512, the configuration says 384",
    ),
    "other weights answer behind the same endpoint of texts": (
        lambda shop: shop.weights(shop.text, 11),
        "model-answers",
        "other vectors than",
    ),
    "other weights answer behind the same endpoint of pictures": (
        lambda shop: shop.weights(shop.picture, 12),
        "model-answers",
        "other vectors than",
    ),
    "a model is undeployed": (_undeployed, "model-deployed", "UNDEPLOYED"),
    "a model is disabled": (_disabled, "model-deployed", "is disabled"),
    "the index has no ingest pipeline": (
        lambda shop: shop.settings(index__default_pipeline="_none"),
        "index-default",
        "is not set",
    ),
    "the index has another ingest pipeline": (
        lambda shop: shop.settings(index__default_pipeline="by-hand"),
        "index-default",
        "is by-hand instead of",
    ),
    "the index has a final pipeline, too": (
        lambda shop: shop.settings(index__final_pipeline="by-hand"),
        "index-default",
        "is by-hand instead of not set",
    ),
    "the index has no search pipeline": (
        lambda shop: shop.settings(index__search__default_pipeline="_none"),
        "index-default",
        "is not set",
    ),
    "the alias names two indexes": (_alias(ADD_OTHER), "alias", "by-hand"),
    "the alias names another index": (_alias(REMOVE, ADD_OTHER), "alias", "by-hand instead of"),
    "the alias names no index": (_alias(REMOVE), "alias", "names no index"),
    "the alias leaves documents out": (_alias(FILTERED), "alias", "filter"),
    "the index's spaces are of another model": (
        lambda shop: shop.meta(_swapped_spaces),
        "model-answers",
        "other vectors than",
    ),
    "the index's spaces are edited into rubbish": (lambda shop: shop.meta(_rubbish_space), "space", "base64"),
    "the index keeps no space for a field": (lambda shop: shop.meta(_no_space), "space", "keeps nothing"),
    "documents of another model came in past the pipeline": (_foreign_vectors, "kept-vectors", "of 20 documents"),
    "a document came in past the pipeline and has no vector": (
        _no_vectors,
        "kept-vectors",
        "without any vector: 1",
    ),
    "documents were updated in part and kept their old vectors": (_stale_vectors, "kept-vectors", "of 20 documents"),
}


@pytest.mark.parametrize("mismatch", MISMATCHES)
def test_a_seeded_mismatch_is_named(shop: Shop, mismatch: str) -> None:
    seed, name, words = MISMATCHES[mismatch]
    with seed(shop):
        found = shop.verify()
        assert not found.ok
        assert name in named(found), found.failures
        told = [check for check in found.failures if check.name == name]
        assert any(words in check.found for check in told), told


@pytest.mark.parametrize(
    ("mismatch", "names"),
    [
        (
            "the ingest model is pointed at another model of the same dimension",
            {"model-answers", "document-to-vector", "kept-vectors"},
        ),
        ("the search model is pointed at another model of the same dimension", {"model-answers", "query-to-vector"}),
        (
            "the ingest pipeline embeds once more by another model",
            {"ingest-pipeline", "document-to-vector", "kept-vectors"},
        ),
        ("the enricher names the model of pictures for texts", {"search-pipeline", "query-to-vector"}),
        ("the search pipeline has no enricher", {"search-pipeline", "query-to-vector"}),
    ],
)
def test_what_the_books_say_wrongly_is_seen_from_end_to_end_as_well(shop: Shop, mismatch: str, names: set[str]) -> None:
    with MISMATCHES[mismatch][0](shop):
        assert named(shop.verify()) == names


def test_after_all_that_the_deployment_is_healthy_again(shop: Shop) -> None:
    assert shop.verify().failures == ()


@pytest.fixture
def emptied(shop: Shop) -> Iterator[Callable[[Callable[[Any], None]], None]]:
    """The index made anew by hand, without documents; at the end it is what it was."""
    body = shop.client.indices.get(index=shop.index)[shop.index]
    settings = body["settings"]["index"]
    kept = {
        key: settings[key] for key in ("knn", "number_of_shards", "number_of_replicas", "default_pipeline", "search")
    }
    wanted = {"settings": {"index": kept}, "mappings": body["mappings"], "aliases": body["aliases"]}

    def make(change: Callable[[Any], None]) -> None:
        made = json.loads(json.dumps(wanted))
        change(made)
        shop.client.indices.delete(index=shop.index, ignore_unavailable=True)
        shop.client.indices.create(index=shop.index, body=made)

    with ExitStack() as stack:
        stack.callback(lambda: fill(shop))
        stack.callback(lambda: make(lambda _: None))
        yield make


def _field(**changes: Any) -> Callable[[Any], None]:
    def change(body: Any) -> None:
        vector = body["mappings"]["properties"]["text_vector"]
        vector.pop("space_type", None)
        vector["method"].pop("space_type", None)
        vector.update({"space_type": "cosinesimil"} | changes)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_field(space_type="l2"), "compares by l2"),
        (_field(dimension=256), "takes vectors of 256, its models give 384"),
        (lambda body: body["mappings"]["properties"].update(text_vector={"type": "float"}), "no knn_vector"),
    ],
    ids=["l2", "dimension", "type"],
)
def test_an_index_made_by_hand_with_another_vector_field_is_named(
    shop: Shop, emptied: Callable[[Callable[[Any], None]], None], change: Callable[[Any], None], words: str
) -> None:
    emptied(change)
    found = shop.verify()
    (check,) = [check for check in found.failures if check.name == "vector-field"]
    assert words in check.found
    assert check.remedy


def test_an_empty_index_passes_and_says_what_could_not_be_looked_at(
    shop: Shop, emptied: Callable[[Callable[[Any], None]], None]
) -> None:
    emptied(lambda _: None)
    found = shop.verify()
    assert found.ok
    skipped = {check.name for check in found.checks if check.ok is None}
    assert skipped == {"query-to-vector", "kept-vectors"}
    assert {check.found for check in found.checks if check.name == "query-to-vector"} == {
        "no document has this vector: nothing to score"
    }


def test_a_lost_index_is_named_before_all_else(shop: Shop, emptied: Callable[[Callable[[Any], None]], None]) -> None:
    shop.client.indices.delete(index=shop.index)
    found = shop.verify()
    assert found.failures[0].name == "index"
    assert "alias" in named(found)


def test_spaces_written_back_by_hand_are_read_as_they_were(shop: Shop) -> None:
    spaces = read_spaces(shop.client, shop.index)
    with shop.meta(lambda meta: meta.update(spaces=encode(spaces))):
        assert shop.verify().ok
