"""Click logs: COEC against planted positions, counts by strength, UBI's names, and bad rows."""

import csv
import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from neuralshelf.errors import InputError
from neuralshelf.relevance.clicks import Event, coec, judged, read_clicks

EXAMINED = (1.0, 0.6, 0.4, 0.25, 0.15)
"""How many people look at each position: the bias."""


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def planted(appeal: Mapping[str, float], order: list[str], sessions: int, seed: int) -> list[Event]:
    """People who see `order`, look further down ever less, and click on what appeals to them."""
    chance = random.Random(seed)
    events = []
    for number in range(sessions):
        for position, item in enumerate(order, 1):
            who = f"s{number}"
            events.append(Event("q", item, "impression", position, who))
            if chance.random() < EXAMINED[position - 1] * appeal[item]:
                events.append(Event("q", item, "click", position, who))
    return events


def test_coec_finds_what_appeals_although_it_stands_below() -> None:
    appeal = {"best": 0.6, "good": 0.3, "poor": 0.11, "bad": 0.02, "so-so": 0.15}
    order = ["poor", "bad", "so-so", "good", "best"]  # the worst stand on top
    # other queries show every item at every place, which is what tells how much a place is worth
    others = []
    for turn in range(5):
        for each in planted(appeal, order[turn:] + order[:turn], 1_000, seed=turn):
            others.append(Event(f"other-{turn}", each.item, each.event, each.position, each.session))
    events = planted(appeal, order, 300, seed=99) + others
    ratios = {item: ratio for (query, item), ratio in coec(events).items() if query == "q"}
    assert sorted(ratios, key=lambda item: -ratios[item]) == ["best", "good", "so-so", "poor", "bad"]
    found = judged(events)
    assert found.model == "coec"
    assert found.judgements["q"]["best"] >= 2
    assert found.judgements["q"]["bad"] == 0
    assert found.judgements["q"]["poor"] <= 1
    # what counting clicks would say: the bias
    clicks = [each.item for each in events if each.query == "q" and each.event == "click"]
    assert clicks.count("poor") > clicks.count("best")


def test_coec_by_hand() -> None:
    shown = [Event("q", item, "impression", place, s) for s in "1234" for place, item in ((1, "a"), (2, "b"))]
    clicked = [Event("q", "a", "click", 1, "1"), Event("q", "a", "click", None, "2"), Event("q", "b", "click", 2, "1")]
    swapped = [Event("p", item, "impression", place, s) for s in "5678" for place, item in ((1, "b"), (2, "a"))]
    # position 1: 2 clicks of 8 shown, position 2: 1 of 8
    assert coec([*shown, *clicked, *swapped]) == {
        ("q", "a"): 2 / (4 * 2 / 8),
        ("q", "b"): 1 / (4 * 1 / 8),
        ("p", "b"): 0.0,
        ("p", "a"): 0.0,
    }
    assert judged([*shown, *clicked, *swapped]).judgements == {"p": {"a": 0, "b": 0}, "q": {"a": 3, "b": 3}}


def test_without_impressions_the_strongest_event_with_support_counts() -> None:
    did = {"bought": ["purchase"] * 3, "carted": ["cart"] * 2 + ["purchase"], "clicked": ["click"] * 3 + ["cart"]}
    did |= {"seen": ["view"] * 5, "rare": ["purchase"] * 2}
    events = [Event("q", item, event) for item, names in did.items() for event in names]
    found = judged(events)
    assert (found.model, found.unsupported, found.events) == ("counts", 1, 17)
    assert found.judgements == {"q": {"bought": 3, "carted": 2, "clicked": 1, "seen": 0}}
    assert judged(events, minimum=2).judgements["q"]["rare"] == 3


def test_the_same_event_of_a_session_counts_once() -> None:
    events = [Event("q", "a", "click", None, "one")] * 5 + [Event("q", "a", "click", None, s) for s in ("two", "three")]
    found = judged(events)
    assert found.events == 3
    assert found.judgements == {"q": {"a": 1}}
    assert not judged(events[:5]).judgements


def test_our_names_are_read_from_json_lines_and_csv(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    for session in "abc":
        for position, item in enumerate(("teapot-1", "mug-2"), 1):
            rows.append({"query": "q1", "item": item, "event": "impression", "position": position, "session": session})
        rows.append({"query": "q1", "item": "mug-2", "event": "click", "session": session, "time": "2026-11-27"})
    rows.append({"query": "q1", "event": "scroll"})
    found = read_clicks(write(tmp_path / "clicks.jsonl", rows))
    assert (found.model, found.judgements) == ("coec", {"q1": {"mug-2": 2, "teapot-1": 0}})
    assert found.ignored == {"scroll": 1}
    with (tmp_path / "clicks.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["query", "item", "event", "position", "session", "time"])
        writer.writeheader()
        writer.writerows(rows)
    assert read_clicks(tmp_path / "clicks.csv") == found


def test_the_names_of_user_behavior_insights_are_read(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    for search in ("u1", "u2", "u3"):
        clicked = {"action_name": "click", "query_id": search, "event_attributes": {"object": {"object_id": "mug"}}}
        shown = {"object": {"object_id": "mug"}, "position": {"ordinal": 2}}
        rows += [
            {"_source": clicked},  # as a search exports it; the query that it belongs to comes later
            {
                "action_name": "impression",
                "query_id": search,
                "event_attributes": shown,
            },  # known from the query as well
            {"query_id": search, "user_query": "a mug", "client_id": "c", "query_response_hit_ids": ["teapot", "mug"]},
        ]
    found = read_clicks(write(tmp_path / "ubi.jsonl", rows))
    assert found.model == "coec"
    assert found.events == 9
    assert found.judgements == {"a mug": {"mug": 2, "teapot": 0}}
    flat = [{"action_name": "purchase", "user_query": "a mug", "event_attributes.object.object_id": "mug"}] * 3
    assert read_clicks(write(tmp_path / "flat.jsonl", flat)).judgements == {"a mug": {"mug": 3}}


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        ("[1]", "not a JSON object"),
        ('{"query": "q", "item": "a"}', "no event"),
        ('{"query": "q", "event": "click"}', "no item"),
        ('{"item": "a", "event": "click"}', "no query"),
        ('{"query": ["q"], "item": "a", "event": "click"}', "query must be text"),
        ('{"query": "q", "item": {"id": 1}, "event": "click"}', "item must be text"),
        ('{"query": "q", "item": "a", "event": "click", "position": 0}', "position must be"),
        ('{"query": "q", "item": "a", "event": "click", "position": "top"}', "position must be"),
        ('{"query": "q", "item": "a", "event": "click", "position": [1]}', "position"),
        ('{"query": "q", "query_response_hit_ids": 3}', "query_response_hit_ids"),
        ('{"query": "q", "query_response_hit_ids": [null]}', "no item"),
    ],
)
def test_a_bad_row_is_told_with_its_number(tmp_path: Path, row: str, cause: str) -> None:
    path = tmp_path / "clicks.jsonl"
    path.write_text('{"query": "q", "item": "a", "event": "click"}\n' + row + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 2") as fault:
        read_clicks(path)
    assert cause in fault.value.message


def test_a_log_that_says_nothing_is_told(tmp_path: Path) -> None:
    once = [{"query": "q", "item": "a", "event": "click"}]
    with pytest.raises(InputError, match="no pair of query and item was seen 3 times"):
        read_clicks(write(tmp_path / "short.jsonl", once))
    with pytest.raises(InputError, match="no event of an item"):
        read_clicks(write(tmp_path / "other.jsonl", [{"query": "q", "event": "scroll"}]))
    (tmp_path / "broken.jsonl").write_text("{")
    for name in ("away.jsonl", "away.csv", "broken.jsonl"):
        with pytest.raises(InputError, match=name):
            read_clicks(tmp_path / name)
