"""The stamps of vectors: the engine makes them as `pipelines.stamps` does, and a vector whose stamp fits stays."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch, TransportError

from neuralshelf import yamlfile
from neuralshelf.deployment import Config
from neuralshelf.pipelines.ingest import ingest_pipeline
from neuralshelf.pipelines.stamps import digest, joined, picture_field, stamp, stamp_field, together
from tests.engine.pipelines.test_ingest import DOT, OTHER_DOT

GOLDEN = Path(__file__).parents[2] / "golden" / "pipelines"
WHITE = [chr(code) for code in range(0x3001) if chr(code).isspace()] + [
    "\u200b",
    "\ufeff",
    "\u180e",
    "\u00a0",
    "\u202f",
]
STRANGE = [
    *(None, "", " ", True, False, 0, -1, 1984, 2**31, 2**63 - 1, -(2**63), 0.0, -0.0, 1.0, 0.1, 1e-3, 9.999e-4),
    *(1e7, 9999999.0, 12345678.9, 1e21, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.30000000000000004),
    *("a", "ß", "\x00", "\x1f", "a\x00b", "\ud800", "\udc00 lone", "\U0001f9fa", "e\u0301", "${parameters.input}"),
    *(
        '"',
        "\\",
        "{{title}}",
        "null",
        '{"a":1}',
        "\u2028",
        "a\u2029",
        "<b>",
        "'",
        "x" * 20_000,
        [],
        [None],
        ["a", " ", "b"],
    ),
    *([1, 2.5, True, None, "z"], ["\u2003x\u2003", ["nested"]], [""]),
]


def documents(number: int) -> Iterator[dict[str, Any]]:
    """Documents with strange texts: each value of STRANGE at least once, then mixtures and random strings."""
    chance = random.Random(5)
    for value in STRANGE:
        yield {"title": value, "brand": "b", "description": value}
    for _ in range(number):
        text = "".join(
            chance.choice([*WHITE, *"ab", chr(chance.randrange(0x110000))]) for _ in range(chance.randrange(12))
        )
        values = {
            field: chance.choice([text, text, chance.choice(STRANGE)]) for field in ("title", "brand", "description")
        }
        yield {field: value for field, value in values.items() if chance.random() < 0.8}


def prepared(client: OpenSearch, shop: str, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the script of a golden pipeline makes of documents, before any model is asked."""
    config = Config.parse(yamlfile.load(GOLDEN / f"{shop}.yaml"), shop)
    pipeline = ingest_pipeline(config.index, config.connectors, prefix="p-v7").body
    script = next(processor for processor in pipeline["processors"] if "script" in processor)
    body = {"pipeline": {"processors": [script]}, "docs": [{"_id": "x", "_source": document} for document in found]}
    # as ASCII: half a character can't be sent in any other way
    answer = client.transport.perform_request("POST", "/_ingest/pipeline/_simulate", body=json.dumps(body))
    return [each["doc"]["_source"] for each in answer["docs"]]


def test_texts_are_joined_and_stamped_by_the_engine_as_here(client: OpenSearch) -> None:
    given = list(documents(3000))
    fields = ("title", "brand", "description")
    for document, made in zip(given, prepared(client, "shop", given), strict=True):
        text = joined(document, fields)
        assert made.get("text_vector_text", "") == text, document
        assert made.get(stamp_field("text_vector")) == (stamp("p-v7", text) if text else None), document


def test_pictures_are_stamped_alone_and_together_with_their_text(client: OpenSearch) -> None:
    given: list[dict[str, Any]] = [{"photo": DOT}, {"title": " a  mug ", "photo": DOT}, {"title": "a mug"}]
    for document, made in zip(given, prepared(client, "joint", given), strict=True):
        picture = digest(document["photo"]) if "photo" in document else None
        assert made.get(picture_field("joint_vector")) == picture
        text = joined(document, ("title",))
        assert made[stamp_field("joint_vector")] == stamp("p-v7", together(text, picture))
        assert made.get(stamp_field("photo_vector")) == (stamp("p-v7", DOT) if picture else None)


def test_updates_of_other_fields_ask_no_model(empty_shop: Any) -> None:
    empty_shop.index_all({"s": {"title": "red mug", "price": 1, "image": DOT}})
    before = empty_shop.source("s")
    assert empty_shop.calls(lambda: empty_shop.update("s", price=2, stock=3))["requests"] == 0
    assert empty_shop.source("s") == before | {"price": 2, "stock": 3}
    # A client that reads a document, changes a field and writes it back whole costs nothing either.
    assert empty_shop.calls(lambda: empty_shop.index_all({"s": before | {"price": 5}}))["requests"] == 0
    assert empty_shop.calls(lambda: empty_shop.update("s", image=DOT))["requests"] == 0
    assert empty_shop.calls(lambda: empty_shop.update("s", image=OTHER_DOT)) == {"requests": 1, "texts": 0, "images": 1}
    assert empty_shop.calls(lambda: empty_shop.update("s", title="mug")) == {"requests": 1, "texts": 1, "images": 0}


def test_a_document_read_and_written_back_with_another_text_gets_another_vector(empty_shop: Any) -> None:
    empty_shop.index_all({"s": {"title": "red mug", "image": DOT}, "w": {"title": "green mug"}})
    before = empty_shop.source("s")
    empty_shop.index_all({"s": before | {"title": "green mug"}})
    after, wanted = empty_shop.source("s"), empty_shop.source("w")
    assert {key: after[key] for key in wanted} == wanted
    assert after["image_vector"] == before["image_vector"]


def test_a_vector_that_is_not_stamped_for_its_text_is_not_believed(empty_shop: Any) -> None:
    empty_shop.index_all({"w": {"title": "red mug", "image": DOT}})
    wanted = empty_shop.source("w")
    other = [1.0] + [0.0] * 383
    generation, _, made_from = wanted["text_vector_from"].rpartition(" ")
    for claimed in (
        None,
        "nonsense",
        f"{generation}9 {made_from}",
        f"other-shop-v1 {made_from}",
        stamp(generation, "mug"),
    ):
        empty_shop.index_all({"s": {"title": "red mug", "text_vector": other, "text_vector_from": claimed}})
        assert empty_shop.source("s")["text_vector"] == wanted["text_vector"], claimed


def test_the_vector_of_a_picture_may_be_brought_but_not_from_another_index(empty_shop: Any) -> None:
    empty_shop.index_all({"w": {"image": DOT}})
    made = empty_shop.source("w")
    document = {"title": "red mug", **made}
    calls = empty_shop.calls(lambda: empty_shop.index_all({"s": document}))
    assert calls["images"] == 0
    assert empty_shop.source("s")["image_vector"] == made["image_vector"]
    failed = empty_shop.index_all({"t": document | {"image_vector_from": "other-shop-v1 0123"}})
    assert "image_vector is another index's (image_vector_from)" in failed["t"]["error"]["reason"]


def test_an_upsert_in_a_bulk_takes_away_what_it_says_is_gone(empty_shop: Any) -> None:
    # The engine shows the pipeline no more than the part that was sent, and merges afterwards.
    empty_shop.index_all({"s": {"title": "red mug", "image": DOT}, "w": {"title": "green mug"}})
    upsert = {"doc": {"title": "green mug", "image": None}, "doc_as_upsert": True}
    assert not empty_shop.bulk({"update": {"_id": "s"}}, upsert, {"update": {"_id": "n"}}, upsert)
    wanted = empty_shop.source("w")
    for identity in ("s", "n"):
        assert {key: value for key, value in empty_shop.source(identity).items() if value is not None} == wanted


def test_a_joint_vector_stays_until_text_or_picture_change(joint_shop: Any) -> None:
    joint_shop.index_all({"s": {"title": "red mug", "price": 1, "image": DOT}})
    before = joint_shop.source("s")
    assert joint_shop.calls(lambda: joint_shop.update("s", price=2))["requests"] == 0
    assert joint_shop.source("s") == before | {"price": 2}
    with pytest.raises(TransportError, match="holds the picture of this document, which is not kept"):
        joint_shop.update("s", title="blue mug")
    assert joint_shop.calls(lambda: joint_shop.update("s", title="blue mug", image=DOT))["requests"] == 1
    joint_shop.index_all({"w": {"title": "blue mug", "image": DOT}})
    wanted = joint_shop.source("w")
    assert {key: joint_shop.source("s")[key] for key in wanted} == wanted
