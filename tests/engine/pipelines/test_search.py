"""A plain `_search`, as any client sends it: the index's default pipeline names the models and joins the legs."""

from collections.abc import Sequence
from typing import Any

import pytest
from opensearchpy import TransportError

HIDDEN = {"excludes": ["text_vector*", "image_vector*"]}


def hybrid(text: str, size: int = 10, **more: Any) -> dict[str, Any]:
    """A hybrid query as the README shows it."""
    return {
        "size": size,
        "_source": HIDDEN,
        "query": {
            "hybrid": {
                "pagination_depth": 100,
                "queries": [
                    {"multi_match": {"query": text, "fields": ["title", "description"]}},
                    {"neural": {"text_vector": {"query_text": text, "k": 100}}},
                    {"neural": {"image_vector": {"query_text": text, "k": 100}}},
                ],
                **more,
            }
        },
    }


def found(hits: Sequence[dict[str, Any]]) -> list[tuple[str, float]]:
    return [(hit["_id"], hit["_score"]) for hit in hits]


def test_a_neural_query_needs_no_model_id(full_shop: Any, catalogue: Sequence[Any]) -> None:
    product = catalogue[7]
    text = f"{product.document['title']} {product.document['brand']} {product.document['description']}"
    first = full_shop.search({"query": {"neural": {"text_vector": {"query_text": text, "k": 5}}}, "size": 1})[0]
    assert first["_id"] == product.id
    assert 2 * first["_score"] - 1 == pytest.approx(1, abs=1e-5)


def test_every_picture_finds_itself_first_with_cosine_one(full_shop: Any, catalogue: Sequence[Any]) -> None:
    for product in catalogue:
        query = {"neural": {"image_vector": {"query_image": product.picture, "k": 10}}}
        first = full_shop.search({"query": query, "size": 1, "_source": False})[0]
        assert first["_id"] == product.id
        assert 2 * first["_score"] - 1 == pytest.approx(1, abs=1e-5)


def test_scores_of_a_hybrid_query_lie_between_0_and_1_and_fall(full_shop: Any) -> None:
    scores = [score for _, score in found(full_shop.search(hybrid("blue teapot", 36)))]
    assert len(scores) == 36
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert scores[0] > scores[-1]


def test_ranking_and_scores_do_not_depend_on_size(full_shop: Any) -> None:
    everything = found(full_shop.search(hybrid("red mug", 36)))
    for size in (1, 5, 20):
        assert found(full_shop.search(hybrid("red mug", size))) == everything[:size]


def test_pages_follow_each_other_without_gap_or_repetition(full_shop: Any) -> None:
    everything = found(full_shop.search(hybrid("gold chair", 36)))
    pages = [found(full_shop.search(hybrid("gold chair", 9) | {"from": start})) for start in (0, 9, 18, 27)]
    assert [hit for page in pages for hit in page] == everything


BLUE = {"term": {"colour": "blue"}}


def test_a_filter_of_the_hybrid_query_narrows_every_leg(full_shop: Any) -> None:
    hits = full_shop.search(hybrid("red mug", 36, filter=BLUE))
    assert [hit["_source"]["colour"] for hit in hits] == ["blue"] * 9


def test_filters_in_every_leg_find_what_one_filter_of_the_hybrid_query_finds(full_shop: Any) -> None:
    of_query, of_legs = hybrid("red mug", 36, filter=BLUE), hybrid("red mug", 36)
    words, *neural = of_legs["query"]["hybrid"]["queries"]
    for leg in neural:
        (clause,) = leg["neural"].values()
        clause["filter"] = BLUE
    of_legs["query"]["hybrid"]["queries"] = [{"bool": {"must": [words], "filter": [BLUE]}}, *neural]
    assert found(full_shop.search(of_legs)) == found(full_shop.search(of_query))


def test_a_filter_narrows_a_leg_before_it_looks_for_neighbours(full_shop: Any) -> None:
    # k of 3 and nine products that fit: a filter applied afterwards would leave less than three of them.
    query = {"neural": {"image_vector": {"query_text": "red mug", "k": 3, "filter": BLUE}}}
    assert [h["_source"]["colour"] for h in full_shop.search({"query": query, "_source": HIDDEN})] == ["blue"] * 3


def test_text_is_embedded_once_for_each_model(full_shop: Any) -> None:
    calls = full_shop.calls(lambda: full_shop.search(hybrid("one embedding each")))
    assert calls == {"requests": 2, "texts": 2, "images": 0}


def test_hits_hold_no_vectors_when_they_are_excluded_and_all_of_them_when_not(full_shop: Any) -> None:
    shown = full_shop.search(hybrid("mug", 1))[0]["_source"]
    assert set(shown) == {"title", "description", "brand", "colour", "price", "stock"}
    body = hybrid("mug", 1)
    del body["_source"]
    assert set(full_shop.search(body)[0]["_source"]) > {*shown, "text_vector", "image_vector"}


def test_another_number_of_legs_than_weights_is_refused_by_name(full_shop: Any) -> None:
    body = hybrid("mug")
    body["query"]["hybrid"]["queries"].pop()
    with pytest.raises(TransportError) as caught:
        full_shop.search(body)
    assert "number of weights [3] must match number of sub-queries [2]" in str(caught.value.info)


def test_a_query_that_is_not_hybrid_keeps_the_scores_of_the_engine(full_shop: Any) -> None:
    hits = full_shop.search({"query": {"match": {"title": "teapot"}}, "size": 3, "_source": False})
    assert hits[0]["_score"] != 1.0
    assert len(hits) == 3
