"""What the page's gateway does for a person: their order, page by page, and what they look at."""

import json

import pytest

from neuralshelf.connectors.ranking import RankingSpec
from neuralshelf.errors import ServerError
from tests.browser.engine import Engine
from tests.unit.gateway import ask, engine, served

__all__ = ["engine"]

RANKING = RankingSpec(item="kind", people=("host",), weight=0.25)


def test_a_person_has_the_first_hundred_ranked_whatever_page_is_asked_for(engine: Engine) -> None:
    with served(engine, ranking=RANKING) as browser:
        found = ask(browser, text="mug", user="host", user_weight=0, size=2, **{"from": 2}).json()
        asked = json.loads(engine.searches[-1])
        assert (asked["from"], asked["size"]) == ("0", "100")
        assert asked["_asked"] == {"text": "mug", "user": "host", "user_weight": 0, "explain": True}
        assert [hit["id"] for hit in found["hits"]] == ["mug-2", "mug-3"]
        assert (found["more"], found["ranked"], found["hits"][0]["why"]) == (True, 0, None)
        assert ask(browser, text="mug", user="host", size=2, **{"from": 100}).json()["more"] is False
        ask(browser, text="mug", user="host")
        assert "user_weight" not in json.loads(engine.searches[-1])["_asked"]


def test_a_list_and_words_alone_are_in_nobodys_order(engine: Engine) -> None:
    with served(engine, ranking=RANKING) as browser:
        found = ask(browser, filters={"kind": ["mug"]}, user="host").json()
        assert found["ranked"] is None
        engine.models_away = True
        degraded = ask(browser, text="mug", user="host").json()
        assert degraded["degraded"]
        assert degraded["ranked"] == 0
        assert all("user" not in json.loads(body)["_asked"] for body in (found["body"], degraded["body"]))


def test_where_nothing_is_ranked_a_person_changes_nothing(engine: Engine) -> None:
    with served(engine) as browser:
        found = ask(browser, text="mug", user="host", user_weight=1).json()
        assert json.loads(engine.searches[-1])["_asked"] == {"text": "mug"}
        assert found["ranked"] is None
        assert browser.get("/api/status").json()["ranking"] is None


@pytest.mark.parametrize("question", [{"user_weight": 1.5}, {"user_weight": "x"}, {"user": 3}, {"user": "x" * 257}])
def test_a_person_of_another_form_is_refused(engine: Engine, question: dict[str, object]) -> None:
    with served(engine) as browser:
        answer = ask(browser, text="mug", **question)
    assert answer.status_code == 400
    assert next(iter(question)) in answer.json()["error"]
    assert not engine.searches


def test_a_view_is_kept_by_what_is_ranked(engine: Engine) -> None:
    kept: list[tuple[str, str]] = []
    with served(engine, ranking=RANKING, tracker=lambda user, item: kept.append((user, item))) as browser:
        ranking = browser.get("/api/status").json()["ranking"]
        assert ranking == {"people": ["host"], "weight": 0.25, "keeps_views": True}
        assert browser.post("/api/views", json={"user": "host", "id": "mug-3"}).json() == {"kept": True}
        assert kept == [("host", "mug")]


@pytest.mark.parametrize(
    ("view", "status", "code"),
    [
        ({"user": "guest", "id": "mug-3"}, 403, "not_kept"),
        ({"user": "host", "id": "jug-3"}, 404, "no_item"),
        ({"user": "host"}, 400, "bad_request"),
        ({"user": "", "id": "mug-3"}, 400, "bad_request"),
        ({"user": "host", "id": "mug-3", "item": "gold"}, 400, "bad_request"),
    ],
)
def test_no_other_view_is_kept(engine: Engine, view: dict[str, str], status: int, code: str) -> None:
    kept: list[str] = []
    with served(engine, ranking=RANKING, tracker=lambda user, item: kept.append(item)) as browser:
        answer = browser.post("/api/views", json=view)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.json()["hint"]
        form = browser.post("/api/views", content=b'{"user": "host", "id": "mug-3"}')
        assert form.status_code == 415, "a form of another site can send that"
    assert not kept


def test_without_a_tracker_nothing_is_kept(engine: Engine) -> None:
    with served(engine, ranking=RANKING) as browser:
        assert browser.get("/api/status").json()["ranking"]["keeps_views"] is False
        assert browser.post("/api/views", json={"user": "host", "id": "mug-3"}).status_code == 403


def test_a_tracker_or_a_cluster_that_fails_is_one_line(engine: Engine) -> None:
    def broken(user: str, item: str) -> None:
        raise ServerError("the event tracker failed: http://10.0.0.1:1 refused")

    with served(engine, ranking=RANKING, tracker=broken) as browser:
        for engine.away in (False, True):
            answer = browser.post("/api/views", json={"user": "host", "id": "mug-3"})
            assert (answer.status_code, answer.json()["code"]) == (502, "tracker_away")
            assert "10.0.0.1" not in answer.text


@pytest.mark.parametrize(
    ("method", "asked"),
    [("rerank", {"from": 0, "size": 100}), ("leg", {"from": 2, "size": 3})],
)
def test_pages_of_somebody_are_parts_of_one_order(engine: Engine, method: str, asked: dict[str, int]) -> None:
    """Reranked hits are asked for all at once and cut here; with a leg, OpenSearch pages them."""
    items = {"items": ["mug"]} if method == "leg" else {}
    with served(engine, ranking=RankingSpec.parse({"item": "kind", "method": method, **items}, "f")) as browser:
        everything = [hit["id"] for hit in ask(browser, text="mug", size=5, user="ann").json()["hits"]]
        found = ask(browser, text="mug", size=2, start=2, user="ann").json()
    body = json.loads(engine.searches[-1])
    assert {name: int(body[name]) for name in asked} == asked
    assert body["_asked"]["user"] == "ann"
    assert [hit["id"] for hit in found["hits"]] == everything[2:4]
    assert found["more"]
