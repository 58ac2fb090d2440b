"""Hits in the order of the person who asks, by the local ranker behind Personalize's contract, inside one `_search`."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from neuralshelf.personalisation.blending import blended
from neuralshelf.personalisation.clusters import Clusters, fit
from neuralshelf.pipelines.clusters import Centroids
from tests.engine.pipelines.ranked import NONSENSE, READ_TIMEOUT, SIZE, TEXT, Ranked, ids, ranker


@pytest.fixture(scope="module")
def ranked(open_ranked: Any) -> Iterator[Ranked]:
    with open_ranked("ranked", {"item": "colour", "oversample": 3}) as found:
        yield found


@pytest.fixture(autouse=True)
def _up(ranked: Ranked) -> None:
    ranked.mood.now = "up"


@pytest.mark.parametrize("ext", [{"user": None}, {}, {"weight": 1}, {"user": "ann", "weight": "much"}])
def test_an_incomplete_question_gets_the_order_of_the_search(ranked: Ranked, ext: dict[str, Any]) -> None:
    ranked.did("ann", "gold")
    body = ranked.shop.rendered(text="teapot mug chair number", size=SIZE)
    assert ids(ranked.shop.search(body | {"ext": {"ml_inference": ext}})) == ranked.order()


def test_without_a_person_nothing_is_asked_and_nothing_changes(ranked: Ranked) -> None:
    before = ranked.mood.asked
    hits = ranked.ask()
    assert ranked.mood.asked == before
    plain = ranked.shop.client.search(
        index="ranked", body=ranked.shop.rendered(text="teapot mug chair number", size=SIZE)
    )["hits"]["hits"]
    assert [(hit["_id"], hit["_score"]) for hit in hits] == [(hit["_id"], hit["_score"]) for hit in plain]
    scores = [hit["_score"] for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) > 1
    assert len(hits) == SIZE


def test_weight_0_is_the_order_of_the_search_exactly(ranked: Ranked) -> None:
    ranked.did("ann", "gold", "gold", "blue")
    base = ranked.order()
    assert ranked.order(user="ann", user_weight="0.0") == base
    assert ranked.order(user="ann", user_weight=0) == base


def test_weight_1_is_the_order_of_preference_and_within_it_that_of_the_search(ranked: Ranked) -> None:
    ranked.did("ben", "gold", "gold", "gold", "blue")
    hits = ranked.ask(size=30, user="ben", user_weight=1, explain=True)
    preferences = [hit["_source"]["preference"] for hit in hits]
    assert preferences == sorted(preferences, reverse=True)
    colours = [hit["_source"]["colour"] for hit in hits]
    assert colours == sorted(colours, key=lambda colour: {"gold": 0, "blue": 1}.get(colour, 2))
    base = ids(ranked.ask(size=36))
    for group in ("gold", "blue"):
        mine = [hit["_id"] for hit in hits if hit["_source"]["colour"] == group]
        assert mine == [identity for identity in base if identity in set(mine)]


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_scores_are_those_that_are_reckoned_offline(ranked: Ranked, weight: float) -> None:
    ranked.did("cleo", "blue", "blue", "green")
    base = ranked.ask(size=36)
    items = [hit["_source"]["colour"] for hit in base]
    liked = dict(ranker(ranked.store).rank("cleo", items))
    expected = blended(items, [hit["_score"] for hit in base], liked, weight)
    hits = ranked.ask(size=36, user="cleo", user_weight=weight, explain=True)
    assert [hit["_score"] for hit in hits] == pytest.approx([hit.score for hit in expected], abs=1e-6)
    by_id = {base[hit.place]["_id"]: hit for hit in expected}  # equals may come either way
    for hit in hits:
        offline = by_id.pop(hit["_id"])
        assert hit["_score"] == pytest.approx(offline.score, abs=1e-6)
        assert hit["_source"].pop("preference") == pytest.approx(offline.preference, abs=1e-6)
        assert hit["_source"].pop("search_score") == pytest.approx(base[offline.place]["_score"], abs=1e-6)
        assert hit["_source"] == base[offline.place]["_source"]
    assert not by_id
    assert all("preference" not in hit["_source"] for hit in ranked.ask(user="cleo", user_weight=weight))


@pytest.mark.parametrize("explain", [True, False])
@pytest.mark.parametrize("size", [1, 5, 12])  # by which three times as many are ranked
def test_a_page_is_the_beginning_of_what_was_ranked(ranked: Ranked, size: int, explain: bool) -> None:
    ranked.did("cleo", "blue", "blue", "green")
    base = ranked.ask(size=36)[: 3 * size]
    liked = dict(ranker(ranked.store).rank("cleo", items := [hit["_source"]["colour"] for hit in base]))
    expected = blended(items, [hit["_score"] for hit in base], liked, 0.5)[:size]
    hits = ranked.ask(size=size, user="cleo", user_weight=0.5, explain=explain)
    assert [hit["_score"] for hit in hits] == pytest.approx([hit.score for hit in expected], abs=1e-6)
    if explain:
        told = [hit["_source"]["preference"] for hit in hits]
        assert told == pytest.approx([hit.preference for hit in expected], abs=1e-6)


def test_what_nobody_met_is_as_much_liked_as_the_average_of_what_was_met(ranked: Ranked) -> None:
    ranked.did("ben", "gold", "gold", "gold", "blue")
    ranked.mood.now = "strict"
    hits = ranked.ask(size=36, user="ben", user_weight=0.5, explain=True)
    found = {hit["_source"]["colour"]: hit["_source"]["preference"] for hit in hits}
    assert found["gold"] > 0.5 > found.pop("blue")
    assert {preference for colour, preference in found.items() if colour != "gold"} == {0.5}


def test_everybody_is_ranked_however_many_ask(ranked: Ranked) -> None:
    ranked.did("hal", *["gold"] * 5)
    for number in range(100):  # of 75 compilations in five minutes a search may need none
        text = f"teapot mug chair number {number}"
        hits = ranked.shop.ask(text=text, size=36, user="hal", user_weight=1)
        assert hits[0]["_source"]["colour"] == "gold", number


def test_hits_without_an_item_are_ranked_among_the_others(ranked: Ranked, catalogue: Any) -> None:
    ranked.did("ivy", *["gold"] * 5)
    plain = {name: value for name, value in catalogue[0].document.items() if name != "colour"}
    assert not ranked.shop.index_all({"plain": plain, "both": {**plain, "colour": ["gold", "blue"]}})
    try:
        hits = ranked.shop.ask(text=plain["title"], size=36, user="ivy", user_weight=1, explain=True)
        found = {hit["_id"]: hit["_source"]["preference"] for hit in hits}
        assert found["plain"] == 0.5
        assert found["both"] == max(found.values()) > 0.5
        assert hits[0]["_source"]["colour"] in ("gold", ["gold", "blue"])
    finally:
        ranked.shop.client.delete(index="ranked", id="plain", refresh=True)
        ranked.shop.client.delete(index="ranked", id="both", refresh=True)


def test_three_people_see_three_first_pages(ranked: Ranked) -> None:
    for user, colour in (("dora", "gold"), ("emil", "blue"), ("fay", "green")):
        ranked.did(user, *[colour] * 5)
    pages = {user: ranked.ask(size=12, user=user)[:5] for user in ("dora", "emil", "fay")}
    assert len({tuple(ids(page)) for page in pages.values()}) == 3
    for user, colour in (("dora", "gold"), ("emil", "blue"), ("fay", "green")):
        assert sum(hit["_source"]["colour"] == colour for hit in pages[user]) >= 3, user


def test_several_people_may_ask_in_one_request(ranked: Ranked) -> None:
    for user, colour in (("dora", "gold"), ("emil", "blue")):
        ranked.did(user, *[colour] * 5)
    users, shop = ("dora", "nobody", "emil"), ranked.shop
    asked = [{"id": shop.template, "params": {"text": TEXT, "size": SIZE, "user": user}} for user in users]
    lines = [line for one in asked for line in ({"index": shop.index}, one)]
    answers = shop.client.msearch_template(body=lines)["responses"]
    assert [ids(answer["hits"]["hits"]) for answer in answers] == [ranked.order(user=user) for user in users]
    assert len({tuple(ids(answer["hits"]["hits"])) for answer in answers}) == 3


@pytest.mark.parametrize("user", ["nobody", 'x"y\\z', "${parameters.campaign}", "{{x}}", "</script>='", "ü" * 256])
def test_somebody_unknown_sees_the_order_of_the_search(ranked: Ranked, user: str) -> None:
    ranked.did("ann", "gold")
    assert ranked.order(user=user) == ranked.order()


def test_an_event_counts_in_the_next_search(ranked: Ranked) -> None:
    assert ranked.order(user="gil") == ranked.order()
    begun = time.monotonic()
    ranked.did("gil", "gold", event="view")
    assert ranked.order(user="gil", user_weight=1) != ranked.order()
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize(("mood", "seconds"), [("down", 10), ("hanging", 10 + READ_TIMEOUT)])
def test_without_a_ranker_hits_come_in_the_order_of_the_search_in_time(
    ranked: Ranked, mood: str, seconds: float
) -> None:
    ranked.did("ann", "gold", "blue")
    base = [(hit["_id"], hit["_score"]) for hit in ranked.ask()]
    assert ranked.order(user="ann", user_weight=1) != [identity for identity, _ in base]
    ranked.mood.now = mood
    begun = time.monotonic()
    hits = ranked.ask(user="ann", user_weight=1)
    assert time.monotonic() - begun < seconds
    assert [(hit["_id"], hit["_score"]) for hit in hits] == base
    ranked.mood.now = "up"
    assert ranked.order(user="ann", user_weight=1) != [identity for identity, _ in base]


@pytest.mark.parametrize("mood", NONSENSE)
def test_a_ranker_that_answers_nonsense_leaves_the_order_of_the_search(ranked: Ranked, mood: str) -> None:
    ranked.did("ann", "gold", "blue")
    base = [(hit["_id"], hit["_score"]) for hit in ranked.ask()]
    ranked.mood.now = mood
    for explain in (False, True):
        hits = ranked.ask(user="ann", user_weight=1, explain=explain)
        assert [(hit["_id"], hit["_score"]) for hit in hits] == base
        assert all("preference" not in hit["_source"] for hit in hits)


def test_a_request_may_bring_weights_of_legs_as_well(ranked: Ranked) -> None:
    ranked.did("ann", "gold")
    weights = {"keyword": 0.5, "text_vector": 0.25, "image_vector": 0.25}
    assert ranked.order(user="ann", user_weight=0, weights=weights) == ranked.order(weights=weights)
    first = ranked.ask(size=12, user="ann", user_weight=1, weights=weights)[:3]
    assert {hit["_source"]["colour"] for hit in first} == {"gold"}


def test_a_picture_alone_is_ranked_too(ranked: Ranked, catalogue: Any) -> None:
    ranked.did("ann", "gold")
    asked = {"image": catalogue[0].picture, "size": 5}
    assert ids(ranked.shop.ask(**asked, user="ann", user_weight=0)) == ids(ranked.shop.ask(**asked))
    assert ranked.shop.ask(**asked, user="ann", user_weight=1)[0]["_source"]["colour"] == "gold"


def test_a_client_that_leaves_out_the_field_gets_the_order_of_the_search(ranked: Ranked) -> None:
    body = ranked.shop.rendered(text="teapot", size=SIZE, user="ann")
    assert ids(ranked.shop.search(body | {"_source": ["title"]})) == ids(ranked.shop.ask(text="teapot", size=SIZE))


def test_a_new_document_gets_the_cluster_that_its_vector_is_nearest_to(
    open_shop: Any, catalogue: Any, shop_values: Mapping[str, Any]
) -> None:
    index = {
        **shop_values["index"],
        "name": "numbered",
        "fields": {**shop_values["index"]["fields"], "cluster": "keyword"},
    }
    values = {
        **shop_values,
        "project": "numbered",
        "index": index,
        "search": {**shop_values["search"], "template": "numbered-search"},
        "clusters": {"vector": "image_vector"},
    }
    documents = {product.id: product.document for product in catalogue}
    before = open_shop(values)
    assert not before.index_all(documents)
    vectors = np.array([before.source(identity)["image_vector"] for identity in documents], np.float32)
    kept = fit(vectors, 7).keep("numbered-test", "image_vector")
    shop = open_shop(values, centroids=kept)
    assert not shop.index_all({identity: {**document, "stock": 1} for identity, document in documents.items()})
    clusters = Clusters.of(kept)
    expected = [clusters.ids[place] for place in clusters.nearest(vectors)[0]]
    assert [shop.source(identity)["cluster"] for identity in documents] == expected
    assert len(set(expected)) == 7
    shop.update("p0", title="another one")
    assert shop.source("p0")["cluster"] == expected[0]
    shop.update("p0", image="")
    assert "cluster" not in shop.source("p0")


def test_centroids_of_zeros_are_none() -> None:
    with pytest.raises(ValueError, match="nothing but zeros"):
        Centroids(generation="g", vector="v", ids=("0",), centroids=((0, 0),))
