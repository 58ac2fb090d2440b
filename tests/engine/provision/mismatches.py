"""Ways in which models, pipelines, defaults, alias and index of a shop can fail to fit each other."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from tests.engine.provision.verify_shop import DOCUMENTS, Shop

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
"""What is wrong -> how it is brought about, the check that must fail, and words of what it found."""
