"""The stored search templates: one line of parameters for text, picture, both, filters, pages and weights."""

from collections.abc import Sequence
from typing import Any

import pytest
from opensearchpy import TransportError

from neuralshelf.deployment import Config
from neuralshelf.pipelines.stored import Place, search_templates
from tests.engine.pipelines.conftest import PICTURE_WEIGHTS, SHOP

USUAL = {"keyword": 0.3, "text_vector": 0.3, "image_vector": 0.4}

FIELDS = {"title", "description", "brand", "colour", "price", "stock"}
HOSTILE = (
    'a "quoted" word',
    "back\\slash \\u0022 \\",
    "two\nlines\tand a tab",
    "{{text}} {{{image}}} <%image%> {{=<< >>=}}",
    "${parameters.region} ${x:-y} $",
    '"}}},{"match_all":{}},{"neural":{"image_vector":{"query_text":"',
    "</script><b>&amp;\u2028\u0001 \U0001f9fa",
)


def ids(hits: Sequence[dict[str, Any]]) -> list[str]:
    return [hit["_id"] for hit in hits]


def scores(hits: Sequence[dict[str, Any]]) -> list[float]:
    return [hit["_score"] for hit in hits]


def test_text_is_the_same_as_the_body_that_the_template_shows(full_shop: Any) -> None:
    body = full_shop.rendered(text="blue teapot", size=7, colour="blue")
    plain, asked = full_shop.search(body), full_shop.ask(text="blue teapot", size=7, colour="blue")
    assert ids(plain) == ids(asked)
    assert scores(plain) == scores(asked)
    assert len(asked) == 7


def test_text_finds_the_words_in_keyword_fields_too(full_shop: Any) -> None:
    hits = full_shop.ask(full_shop.keyword_template, text="something of cedar", size=36)
    assert {hit["_source"]["brand"] for hit in hits} == {"Cedar"}


def test_a_picture_alone_finds_itself_with_cosine_one(full_shop: Any, catalogue: Sequence[Any]) -> None:
    for product in catalogue[::5]:
        first = full_shop.ask(image=product.picture, size=1)[0]
        assert first["_id"] == product.id
        assert 2 * first["_score"] - 1 == pytest.approx(1, abs=1e-5)


def test_a_picture_alone_asks_one_model_once(full_shop: Any, catalogue: Sequence[Any]) -> None:
    calls = full_shop.calls(lambda: full_shop.ask(image=catalogue[0].picture))
    assert calls == {"requests": 1, "texts": 0, "images": 1}


def test_text_and_picture_go_together_into_the_picture_leg(full_shop: Any, catalogue: Sequence[Any]) -> None:
    calls = full_shop.calls(lambda: full_shop.ask(text="chair", image=catalogue[0].picture))
    assert calls == {"requests": 2, "texts": 2, "images": 1}
    both = scores(full_shop.ask(text="chair", image=catalogue[0].picture, size=36))
    assert both != scores(full_shop.ask(text="chair", size=36))


def test_without_text_and_picture_it_lists_what_the_filters_leave(full_shop: Any) -> None:
    hits = full_shop.ask(size=36, colour="red", price_max=15)
    assert {(hit["_source"]["colour"], hit["_source"]["price"]) for hit in hits} == {("red", p) for p in (10, 11, 12)}


@pytest.mark.parametrize("query", [{"text": "red mug"}, {"image": True}, {"text": "red mug", "image": True}, {}])
def test_filters_hold_for_every_way_of_asking(full_shop: Any, catalogue: Sequence[Any], query: dict[str, Any]) -> None:
    if "image" in query:
        query = {**query, "image": catalogue[0].picture}
    hits = full_shop.ask(**query, size=36, colour=["blue", "gold"], brand="Birch", price_min=15, price_max="31")
    assert len(hits) == 4
    for hit in hits:
        source = hit["_source"]
        assert source["colour"] in ("blue", "gold")
        assert source["brand"] == "Birch"
        assert 15 <= source["price"] <= 31


def test_an_empty_list_matches_nothing_and_an_empty_value_everything(full_shop: Any) -> None:
    assert full_shop.ask(text="mug", colour=[]) == []
    assert len(full_shop.ask(text="mug", colour="", size=36)) == 36


def test_pages_follow_each_other(full_shop: Any) -> None:
    everything = full_shop.ask(text="gold chair", size=36)
    pages = [hit for start in (0, 12, 24) for hit in full_shop.ask(text="gold chair", size=12, **{"from": start})]
    assert ids(pages) == ids(everything)
    assert scores(pages) == scores(everything)


def test_hits_hold_neither_vectors_nor_pictures_unless_asked(full_shop: Any, catalogue: Sequence[Any]) -> None:
    for query in ({"text": "mug"}, {"image": catalogue[0].picture}, {}):
        assert set(full_shop.ask(**query, size=1)[0]["_source"]) == FIELDS
        assert set(full_shop.ask(**query, size=1, vectors=True)[0]["_source"]) == FIELDS | {
            *("text_vector", "text_vector_from"),
            *("image_vector", "image_vector_from"),
        }
    assert set(full_shop.ask(full_shop.keyword_template, text="mug", size=1)[0]["_source"]) == FIELDS


def test_weights_choose_between_words_and_vectors(full_shop: Any, catalogue: Sequence[Any]) -> None:
    document = catalogue[7].document
    whole = f"{document['title']} {document['brand']} {document['description']}"
    words = full_shop.ask(text="gold teapot", size=36, weights={"keyword": 1})
    assert all(hit["_source"]["title"].startswith("gold teapot") for hit in words[:3])
    assert words[0]["_score"] == pytest.approx(1)
    by_text = full_shop.ask(text=whole, size=36, weights={"text_vector": 1})
    assert by_text[0]["_id"] == "p7"
    by_picture = full_shop.ask(text=whole, size=36, weights={"image_vector": 1})
    assert ids(by_text) != ids(by_picture)
    halves = full_shop.ask(text=whole, size=36, weights={"text_vector": 0.5, "image_vector": 0.5})
    mean = {hit["_id"]: hit["_score"] / 2 for hit in by_picture}
    for hit in by_text:
        mean[hit["_id"]] += hit["_score"] / 2
    assert {hit["_id"]: hit["_score"] for hit in halves} == pytest.approx(mean, abs=1e-3)


def test_the_weights_of_the_configuration_are_the_default(full_shop: Any) -> None:
    plain, weighted = full_shop.ask(text="blue mug", size=36), full_shop.ask(text="blue mug", size=36, weights=USUAL)
    assert ids(plain) == ids(weighted)
    assert scores(plain) == pytest.approx(scores(weighted))


def test_text_and_picture_together_have_weights_of_their_own(full_shop: Any, catalogue: Sequence[Any]) -> None:
    both = {"text": "gold chair", "image": catalogue[0].picture, "size": 36}
    plain, own, usual = (
        full_shop.ask(**both),
        full_shop.ask(**both, weights=PICTURE_WEIGHTS),
        full_shop.ask(**both, weights=USUAL),
    )
    assert ids(plain) == ids(own)
    assert scores(plain) == pytest.approx(scores(own), abs=1e-6)
    assert scores(plain) != pytest.approx(scores(usual), abs=1e-2)
    by_hand = {name: part for name, part in full_shop.rendered(**both).items() if name != "search_pipeline"}
    assert scores(full_shop.search(by_hand)) == pytest.approx(scores(usual), abs=1e-6)


@pytest.mark.parametrize(
    ("asked", "weights"),
    [
        ({"text": "mug"}, USUAL),
        ({"image": "QUJD"}, USUAL),
        ({"text": "mug", "image": "QUJD"}, PICTURE_WEIGHTS),
        ({"text": "mug", "image": "QUJD", "weights": {"keyword": 1}}, {"keyword": 1}),
        ({"text": "mug", "weights": {"image_vector": 1}}, {"image_vector": 1}),
    ],
)
def test_weights_are_the_same_while_the_alias_moves(
    full_shop: Any, asked: dict[str, Any], weights: dict[str, float]
) -> None:
    config = Config.parse({**SHOP, "search": {**SHOP["search"], "picture_weights": PICTURE_WEIGHTS}}, "shop.yaml")
    places = [Place(name, {"text_vector": "one", "image_vector": "two"}) for name in ("pipes-1", "pipes-2")]
    template = search_templates(config.index, config.search, prefix="pipes", places=places)[0]
    body = {"source": template.body["script"]["source"], "params": asked}
    made = full_shop.client.transport.perform_request("POST", "/_render/template", body=body)["template_output"]
    processor = made["search_pipeline"]["phase_results_processors"][0]["normalization-processor"]
    legs = dict(zip(USUAL, processor["combination"]["parameters"]["weights"], strict=True))
    assert legs == {**dict.fromkeys(USUAL, 0), **weights}


def test_weights_that_do_not_sum_to_one_are_refused(full_shop: Any) -> None:
    with pytest.raises(TransportError) as caught:
        full_shop.ask(text="mug", weights={"keyword": 1, "text_vector": 1})
    assert "sum of weights for combination must be equal to 1.0" in str(caught.value.info)


def test_a_hostile_picture_stays_a_value(full_shop: Any) -> None:
    hostile = '","query_text":"x'
    assert full_shop.rendered(image=hostile)["query"]["neural"]["image_vector"]["query_image"] == hostile
    with pytest.raises(TransportError, match="Error from remote service"):
        full_shop.ask(image=hostile)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_stays_a_text(full_shop: Any, text: str) -> None:
    body = full_shop.rendered(text=text, colour=[text], brand=text)
    legs = body["query"]["hybrid"]["queries"]
    words, filters = legs[0]["bool"]["must"][0], legs[0]["bool"]["filter"][0]
    assert words["multi_match"]["query"] == text
    assert legs[1]["neural"]["text_vector"] == {"query_text": text, "k": 100, "filter": filters}
    assert legs[2]["neural"]["image_vector"] == {"query_text": text, "k": 100, "filter": filters}
    assert filters["bool"]["filter"][0] == {"term": {"brand": text}}
    assert filters["bool"]["filter"][1]["bool"]["should"][0] == {"term": {"colour": text}}
    assert full_shop.ask(text=text, size=1)


@pytest.mark.parametrize(
    "params",
    [
        {"size": '5, "aggs": {"a": {"terms": {"field": "brand"}}}'},
        {"from": "0}"},
        {"price_min": '1"}}}, {"match_all": {}}, {"range": {"price": {"gte": "0'},
    ],
)
def test_a_hostile_number_is_refused_not_obeyed(full_shop: Any, params: dict[str, Any]) -> None:
    with pytest.raises(TransportError) as caught:
        full_shop.ask(**params)
    assert caught.value.status_code == 400


def test_words_alone_need_no_model(full_shop: Any) -> None:
    def ask() -> None:
        hits = full_shop.ask(full_shop.keyword_template, text="blue teapot", size=3, price_max=20)
        assert hits[0]["_source"]["title"].startswith("blue teapot")

    assert full_shop.calls(ask) == {"requests": 0, "texts": 0, "images": 0}
