"""What somebody likes as a leg of the hybrid query, by the local ranker behind Personalize's contract."""

import copy
import time
from collections.abc import Iterator
from typing import Any

import pytest

from neuralshelf.pipelines.ranking import HALF
from tests.engine.pipelines.ranked import READ_TIMEOUT, SIZE, TEXT, Ranked, ids, ranker

COLOURS = ["blue", "gold", "green", "red", 'quoted "and" back\\slashed', "${parameters.region}"]


@pytest.fixture(scope="module")
def legged(open_ranked: Any) -> Iterator[Ranked]:
    with open_ranked("legged", {"item": "colour", "method": "leg", "items": COLOURS}) as found:
        yield found


@pytest.fixture(autouse=True)
def _up(legged: Ranked) -> None:
    legged.mood.now = "up"


@pytest.fixture(scope="module")
def base(legged: Ranked) -> list[tuple[str, float]]:
    """Ids and scores of a search that knows no leg of preference."""
    client = legged.shop.client
    pipeline = copy.deepcopy(client.search_pipeline.get(id="legged-test-legged-search")["legged-test-legged-search"])
    del pipeline["request_processors"][0]
    options = pipeline["phase_results_processors"][0]["normalization-processor"]
    del options["normalization"]["parameters"]
    options["combination"]["parameters"]["weights"] = [0.3, 0.3, 0.4]
    body = legged.shop.rendered(text=TEXT, size=36) | {"search_pipeline": pipeline}
    body["query"]["hybrid"]["queries"].pop()
    return [(hit["_id"], hit["_score"]) for hit in legged.shop.search(body)]


def test_without_a_person_nothing_is_asked_and_scores_are_a_tenth(legged: Ranked, base: Any) -> None:
    before = legged.mood.asked
    hits = legged.ask(size=36)
    assert ids(hits) == [identity for identity, _ in base]
    assert [hit["_score"] for hit in hits] == pytest.approx([score / 10 for _, score in base], rel=1e-5)
    assert len({score for _, score in base}) > 30
    assert legged.mood.asked == before


@pytest.mark.parametrize("ext", [{"user": None}, {}, {"weight": 1}, {"user": "ann", "weight": "much"}])
def test_an_incomplete_question_gets_the_order_of_the_search(legged: Ranked, base: Any, ext: dict[str, Any]) -> None:
    legged.did("ann", "gold")
    body = legged.shop.rendered(text=TEXT, size=36) | {"ext": {"ml_inference": ext}}
    assert ids(legged.shop.search(body)) == [identity for identity, _ in base]


def test_weight_0_is_the_search_exactly(legged: Ranked) -> None:
    legged.did("ann", *["gold"] * 5)
    plain = [(hit["_id"], hit["_score"]) for hit in legged.ask(size=36)]
    for weight in ("0.0", 0):
        assert [(h["_id"], h["_score"]) for h in legged.ask(size=36, user="ann", user_weight=weight)] == plain


def test_one_question_to_the_ranker_a_search_and_none_more_to_the_models(legged: Ranked) -> None:
    legged.did("ann", *["gold"] * 5)
    before = legged.mood.asked
    calls = legged.shop.calls(lambda: legged.ask(user="ann"))
    assert legged.mood.asked == before + 1
    assert calls["texts"] == 2  # a text for each vector, as without anybody


def test_what_is_liked_comes_up_the_more_the_more_it_weighs(legged: Ranked) -> None:
    legged.did("ben", *["gold"] * 5, "blue")
    places = []
    for weight in (0, 0.2, 0.5, 0.9):
        hits = legged.ask(size=36, user="ben", user_weight=weight)
        assert len(hits) == 36
        places.append(sum(n for n, hit in enumerate(hits) if hit["_source"]["colour"] == "gold"))
    assert places == sorted(places, reverse=True)
    assert len(set(places)) >= 3
    assert {hit["_source"]["colour"] for hit in hits[:9]} == {"gold"}
    assert legged.order(user="ben", user_weight=1) == legged.order(user="ben", user_weight=0.9)


def test_scores_are_those_of_the_search_and_the_leg(legged: Ranked, base: Any) -> None:
    """Base and liking, 1 : weight / (1 - weight), as far as the words go."""
    legged.did("kim", *["blue"] * 3)
    liked = dict(ranker(legged.store).rank("kim", COLOURS))
    lifts = {colour: score * len(liked) for colour, score in liked.items()}
    tastes = {colour: max((lift - 1) / (lift + 1), 0.0) for colour, lift in lifts.items()}
    assert tastes["blue"] == max(tastes.values()) > 0.2
    plain = dict(base)
    # the leg by itself tells each hit's score by words
    keyword = legged.shop.rendered(text=TEXT, size=36)["query"]["hybrid"]["queries"][0]
    answer = legged.shop.client.search(
        index="legged", body={"query": keyword, "size": 36}, params={"search_pipeline": "_none"}
    )
    words = {hit["_id"]: hit["_score"] for hit in answer["hits"]["hits"]}
    for weight in (0.2, 0.5):
        for hit in legged.ask(size=36, user="kim", user_weight=weight):
            by_words = words[hit["_id"]]
            leg = tastes[hit["_source"]["colour"]] * weight / (1 - weight) * by_words / (by_words + HALF)
            assert 10 * hit["_score"] == pytest.approx(plain[hit["_id"]] + leg, abs=2e-5)


def test_what_nobody_met_is_not_liked_and_changes_nothing(legged: Ranked) -> None:
    legged.did("lea", *["gold"] * 3, "blue")
    legged.mood.now = "strict"
    plain, hits = legged.ask(size=36), legged.ask(size=36, user="lea", user_weight=0.9)
    others = [[h["_id"] for h in each if h["_source"]["colour"] != "gold"] for each in (plain, hits)]
    assert others[0] == others[1]
    assert hits[0]["_source"]["colour"] == "gold"
    assert ids(hits) != ids(plain)


@pytest.mark.parametrize("user", ["nobody", 'x"y\\z', "${parameters.campaign}", "{{x}}", "</script>='", "ü" * 256])
def test_somebody_unknown_sees_the_search(legged: Ranked, user: str) -> None:
    plain = [(hit["_id"], hit["_score"]) for hit in legged.ask()]
    assert [(hit["_id"], hit["_score"]) for hit in legged.ask(user=user)] == plain


@pytest.mark.parametrize(("mood", "seconds"), [("down", 10), ("hanging", 10 + READ_TIMEOUT)])
def test_without_a_ranker_it_is_the_search_in_time(legged: Ranked, mood: str, seconds: float) -> None:
    legged.did("ann", *["gold"] * 5)
    plain = [(hit["_id"], hit["_score"]) for hit in legged.ask()]
    assert legged.order(user="ann", user_weight=0.9) != [identity for identity, _ in plain]
    legged.mood.now = mood
    begun = time.monotonic()
    hits = legged.ask(user="ann", user_weight=0.9)
    assert time.monotonic() - begun < seconds
    assert [(hit["_id"], hit["_score"]) for hit in hits] == plain
    legged.mood.now = "up"
    assert legged.order(user="ann", user_weight=0.9) != [identity for identity, _ in plain]


def test_everybody_has_a_leg_however_many_ask(legged: Ranked) -> None:
    legged.did("hal", *["gold"] * 5)
    for number in range(100):  # OpenSearch compiles 75 scripts in five minutes
        hits = legged.shop.ask(text=f"teapot mug chair number {number}", size=9, user="hal", user_weight=0.9)
        assert {hit["_source"]["colour"] for hit in hits[:3]} == {"gold"}, number


def test_what_the_words_do_not_find_does_not_come_in(legged: Ranked) -> None:
    legged.did("ian", *["gold"] * 9)
    plain = legged.shop.ask(text="Cedar", size=36, brand=["Cedar"], colour=["red", "blue"])
    hits = legged.shop.ask(text="Cedar", size=36, brand=["Cedar"], colour=["red", "blue"], user="ian", user_weight=0.9)
    assert sorted(ids(hits)) == sorted(ids(plain))
    answer = legged.shop.answer(text="nothingofthiskind", size=36, user="ian", user_weight=0.9)
    assert ids(answer["hits"]["hits"]) == ids(legged.shop.ask(text="nothingofthiskind", size=36))


def test_the_only_liked_hit_of_the_words_is_no_more_liked_than_it_is(legged: Ranked) -> None:
    """Min-max makes the only score of a leg 1, bounds or not: what is not liked has to be in the leg as well."""
    legged.did("jo", *["red"] * 5)
    asked = {"text": "0 gold", "size": 36}
    plain = {hit["_id"]: hit["_score"] for hit in legged.shop.ask(**asked)}
    found = {hit["_id"]: hit["_score"] for hit in legged.shop.ask(**asked, user="jo", user_weight=0.01)}
    assert 0 < found.pop("p0") - plain.pop("p0") < 0.001
    assert found == pytest.approx(plain, abs=1e-5)


def test_pages_are_parts_of_one_order(legged: Ranked) -> None:
    legged.did("ann", *["gold"] * 5)
    whole = ids(legged.ask(size=18, user="ann"))
    assert [identity for start in (0, 6, 12) for identity in legged.order(user="ann", **{"from": start})] == whole


def test_a_request_may_bring_weights_of_the_other_legs_as_well(legged: Ranked) -> None:
    legged.did("ann", *["gold"] * 5)
    weights = {"keyword": 0, "text_vector": 0.25, "image_vector": 0.75}
    plain = legged.order(weights=weights)
    assert plain != legged.order()
    assert legged.order(user="ann", user_weight=0, weights=weights) == plain
    assert {h["_source"]["colour"] for h in legged.ask(user="ann", user_weight=0.9, weights=weights)} == {"gold"}


def test_pictures_alone_and_words_alone_are_searched_as_ever(legged: Ranked, catalogue: Any) -> None:
    legged.did("ann", *["gold"] * 5)
    before, picture = legged.mood.asked, {"image": catalogue[0].picture, "size": 9}
    assert ids(legged.shop.ask(**picture, user="ann")) == ids(legged.shop.ask(**picture))
    template = legged.shop.keyword_template
    words = {"text": TEXT, "size": SIZE}
    assert ids(legged.shop.ask(template, **words, user="ann")) == ids(legged.shop.ask(template, **words))
    assert legged.mood.asked == before
    both = {"text": TEXT, **picture}
    assert legged.shop.ask(**both, user="ann", user_weight=0.9)[0]["_source"]["colour"] == "gold"


def test_a_plain_search_brings_the_leg_itself(legged: Ranked) -> None:
    legged.did("ann", *["gold"] * 5)
    body = legged.shop.rendered(text=TEXT, size=9)
    body["ext"] = {"ml_inference": {"user": "ann", "weight": 0.9}}
    assert {hit["_source"]["colour"] for hit in legged.shop.search(body)} == {"gold"}
    body["query"]["hybrid"]["queries"][-1] = {"match_none": {}}
    assert ids(legged.shop.search(body)) == legged.order(size=9)


def test_a_filter_of_the_whole_query_keeps_the_leg_closed(legged: Ranked) -> None:
    """The engine wraps each leg in it before the pipeline looks (3.6.0); hits are as for nobody, and filtered."""
    legged.did("ann", *["gold"] * 5)
    body = legged.shop.rendered(text=TEXT, size=36, user="ann", user_weight=0.9)
    body["query"]["hybrid"]["filter"] = {"term": {"brand": "Amber"}}
    asked = legged.mood.asked
    assert ids(legged.shop.search(body)) == ids(legged.ask(size=36, brand="Amber"))
    assert legged.mood.asked == asked
