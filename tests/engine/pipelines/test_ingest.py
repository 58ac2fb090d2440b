"""What becomes of documents: which vectors they get, what is refused, what an update keeps."""

import base64
import io
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest
from opensearchpy import TransportError
from PIL import Image

VECTORS = {"text_vector", "image_vector"}


def dot(colour: tuple[int, int, int]) -> str:
    """A picture of one pixel, as base64."""
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1), colour).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


DOT, OTHER_DOT = dot((200, 30, 30)), dot((30, 30, 200))


@pytest.mark.parametrize(
    ("document", "vectors"),
    [
        ({"title": "a blue teapot"}, {"text_vector"}),
        ({"image": DOT}, {"image_vector"}),
        ({"title": "a blue teapot", "image": DOT}, VECTORS),
        ({"brand": "Amber"}, {"text_vector"}),
        ({"title": "", "brand": None, "description": " \t\u2003", "image": DOT}, {"image_vector"}),
        ({"title": "a mug", "image": None}, {"text_vector"}),
        ({"title": "a mug", "image": "  "}, {"text_vector"}),
    ],
    ids=["text", "picture", "both", "one-text-field", "blank-texts", "null-picture", "blank-picture"],
)
def test_a_document_gets_the_vectors_of_what_it_has(
    empty_shop: Any, document: dict[str, Any], vectors: set[str]
) -> None:
    assert not empty_shop.index_all({"one": document})
    kept = empty_shop.source("one")
    assert VECTORS & set(kept) == vectors
    assert all(len(kept[name]) == {"text_vector": 384, "image_vector": 512}[name] for name in vectors)


def test_neither_picture_bytes_nor_helper_fields_are_kept(empty_shop: Any) -> None:
    empty_shop.index_all({"one": {"title": "a mug", "image": DOT}})
    assert set(empty_shop.source("one")) == {"title", *VECTORS, "text_vector_from", "image_vector_from"}


def test_texts_are_joined_trimmed_and_without_blanks_for_what_is_missing(empty_shop: Any) -> None:
    same = {
        "joined": {"title": "blue mug", "description": "of clay"},
        "spaced": {"title": "  blue mug\n", "brand": " ", "description": "\u2003of clay "},
        "listed": {"title": ["blue mug", "", None], "description": ["of clay"]},
    }
    assert not empty_shop.index_all(same)
    first, *others = [empty_shop.source(identity)["text_vector"] for identity in same]
    assert all(other == first for other in others)
    empty_shop.index_all({"other": {"title": "of clay", "description": "blue mug"}})
    assert empty_shop.source("other")["text_vector"] != first


def test_numbers_in_text_fields_are_read_as_text(empty_shop: Any) -> None:
    assert not empty_shop.index_all({"number": {"title": 1984}, "text": {"title": "1984"}})
    assert empty_shop.source("number")["text_vector"] == empty_shop.source("text")["text_vector"]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"price": 3.5}, "nothing to embed: no title, brand, description, image"),
        ({"title": "  ", "image": ""}, "nothing to embed: no title, brand, description, image"),
        ({"title": {"en": "mug"}}, "title must be text, is an object"),
        ({"title": "mug", "image": 5}, "image must be a picture as base64 text"),
        ({"title": "mug", "image": ["a", "b"]}, "image must be a picture as base64 text"),
        ({"title": "mug", "price": "cheap"}, "failed to parse field [price] of type [float]"),
        ({"title": "mug", "img": DOT}, "dynamic introduction of [img] within [_doc] is not allowed"),
        ({"title": "mug", "image": "bm90IGEgcGljdHVyZQ=="}, "Error from remote service"),
    ],
)
def test_what_cannot_be_embedded_is_a_failed_item_that_says_why(
    empty_shop: Any, document: dict[str, Any], reason: str
) -> None:
    failed = empty_shop.index_all({"bad": document, "good": {"title": "a good neighbour"}})
    assert set(failed) == {"bad"}
    assert reason in failed["bad"]["error"]["reason"]
    assert not empty_shop.client.exists(index=empty_shop.index, id="bad")
    assert "text_vector" in empty_shop.source("good")


def test_texts_of_a_bulk_travel_in_batches_and_pictures_one_by_one(empty_shop: Any) -> None:
    documents = {f"b{n}": {"title": f"thing {n}"} for n in range(40)}
    calls = empty_shop.calls(lambda: empty_shop.index_all(documents))
    assert calls == {"requests": 3, "texts": 40, "images": 0}  # 16 + 16 + 8
    pictured = {f"b{n}": {"title": f"thing {n}", "image": DOT} for n in range(5)}
    calls = empty_shop.calls(lambda: empty_shop.index_all(pictured))
    assert calls == {"requests": 1 + 5, "texts": 5, "images": 5}


def test_an_update_of_the_title_embeds_the_text_again_and_keeps_the_picture_vector(empty_shop: Any) -> None:
    empty_shop.index_all({"u": {"title": "red mug", "price": 1, "image": DOT}, "w": {"title": "green mug"}})
    before = empty_shop.source("u")
    empty_shop.update("u", title="green mug")
    after = empty_shop.source("u")
    assert after["image_vector"] == before["image_vector"]
    assert after["text_vector"] == empty_shop.source("w")["text_vector"]
    assert after["text_vector"] != before["text_vector"]


def test_an_update_of_a_picture_embeds_it_again_and_an_empty_one_takes_its_vector_away(empty_shop: Any) -> None:
    empty_shop.index_all({"u": {"title": "red mug", "image": DOT}, "w": {"image": OTHER_DOT}})
    empty_shop.update("u", image=OTHER_DOT)
    assert empty_shop.source("u")["image_vector"] == empty_shop.source("w")["image_vector"]
    empty_shop.update("u", image=None)
    assert set(empty_shop.source("u")) == {"title", "text_vector", "text_vector_from"}


def test_an_update_that_blanks_all_texts_takes_their_vector_away(empty_shop: Any) -> None:
    empty_shop.index_all({"u": {"title": "red mug", "image": DOT}})
    empty_shop.update("u", title="")
    assert VECTORS & set(empty_shop.source("u")) == {"image_vector"}


def test_a_partial_update_in_a_bulk_runs_no_pipeline_but_loses_no_vector(empty_shop: Any) -> None:
    # The engine's own limit: texts changed this way keep their old vector. Whole documents are the way to change texts.
    empty_shop.index_all({"u": {"title": "red mug", "price": 1, "image": DOT}})
    before = empty_shop.source("u")
    calls = empty_shop.calls(lambda: empty_shop.bulk({"update": {"_id": "u"}}, {"doc": {"price": 2}}))
    assert calls["requests"] == 0
    assert empty_shop.source("u") == {**before, "price": 2}


def test_updates_in_a_row_without_a_refresh_keep_the_vectors(empty_shop: Any) -> None:
    # Vectors are derived when a document is read: from the translog as well as from a segment.
    empty_shop.index_all({"u": {"title": "red mug", "price": 1, "image": DOT}})
    before = empty_shop.source("u")
    for price in (2, 3):
        empty_shop.update("u", refresh=False, price=price)
    empty_shop.client.indices.forcemerge(index=empty_shop.index, max_num_segments=1)
    assert empty_shop.source("u") == {**before, "price": 3}


def test_a_joint_vector_is_of_both_or_of_the_one_there_is(joint_shop: Any) -> None:
    documents: Mapping[str, Mapping[str, Any]] = {
        "both": {"title": "red mug", "image": DOT},
        "text": {"title": "red mug"},
        "image": {"image": DOT},
    }
    assert not joint_shop.index_all(documents)
    kept = {identity: joint_shop.source(identity) for identity in documents}
    assert ["joint_vector_picture" in kept[i] for i in documents] == [True, False, True]
    assert len({tuple(source["joint_vector"]) for source in kept.values()}) == 3


def test_a_joint_vector_is_never_remade_without_its_picture(joint_shop: Any) -> None:
    joint_shop.index_all({"u": {"title": "red mug", "image": DOT}})
    before = deepcopy(joint_shop.source("u"))
    with pytest.raises(TransportError, match="joint_vector holds the picture of this document, which is not kept"):
        joint_shop.update("u", title="green mug")
    assert joint_shop.source("u") == before
    joint_shop.update("u", title="green mug", image=None)
    assert set(joint_shop.source("u")) == {"title", "joint_vector", "joint_vector_from"}


def test_a_joint_shop_finds_by_text_and_by_picture(joint_shop: Any) -> None:
    joint_shop.index_all({"a": {"title": "one violin", "image": DOT}, "b": {"image": OTHER_DOT}})
    hits = joint_shop.ask(text="violin")
    assert hits[0]["_id"] == "a"
    assert not {"joint_vector", "joint_vector_from", "joint_vector_picture"} & set(hits[0]["_source"])
    assert joint_shop.ask(image=OTHER_DOT)[0]["_id"] == "b"
