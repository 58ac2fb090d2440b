"""Judgements from what people did with the answers: click logs.

A file of JSON lines or CSV, an event a row, with our own names or those of OpenSearch's User Behavior Insights (UBI):

    ours        UBI                                       what it is
    query       user_query; query_id                      id or text of a query of the set
    item        event_attributes.object.object_id         id of the document or product
    event       action_name                               impression, view, click, cart, purchase (and other spellings)
    position    event_attributes.position.ordinal         optional: where it stood in the answer, from 1
    session     query_id (one search)                     optional: the same event in a session counts once
    time        timestamp                                 optional, not used

Rows of `ubi_queries` among them (in any place) say what the user_query of a query_id is, and that the items of
query_response_hit_ids were shown in that order.

With impressions and positions, judgements are clicks over expected clicks (COEC): how often an item was clicked, over
how often items at its positions are clicked on average, so that a place at the top is no merit. That is the model of
OpenSearch's search-relevance plugin. Without, what was done is counted by its strength. Both become whole grades, 0 to
3, as measures want them.
"""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neuralshelf.errors import InputError

STRENGTHS = {"view": 0, "click": 1, "cart": 2, "purchase": 3}
"""Events that were done, and the grade that each earns where there is nothing better to go by."""
IMPRESSION = "impression"
MINIMUM = 3
"""Impressions (COEC) or events (counts) that a pair of query and item needs to be judged at all."""
BEST = 3
_SPELLINGS = {
    "impression": ("impression", "impressions", "shown", "show"),
    "view": ("view", "hover", "item_hover", "product_hover"),
    "click": ("click", "clicks", "item_click", "product_click", "product_view"),
    "cart": ("cart", "add_to_cart", "add_item_to_cart", "basket"),
    "purchase": ("purchase", "buy", "order", "purchase_item"),
}
_EVENTS = {spelling: event for event, spellings in _SPELLINGS.items() for spelling in spellings}
_HITS = "query_response_hit_ids"
_HINT = 'rows are {"query": …, "item": …, "event": …}, with "position" and "session" where known'


@dataclass(frozen=True)
class Event:
    """What happened to one item of one answer.

    Attributes:
        event: impression, view, click, cart or purchase.
        position: from 1; None if it isn't known.
        session: "" if it isn't known.
    """

    query: str
    item: str
    event: str
    position: int | None = None
    session: str = ""


@dataclass(frozen=True)
class Clicked:
    """Judgements of a click log, and what they rest on.

    Attributes:
        judgements: query id -> item id -> grade, 0 to 3.
        model: "coec" or "counts".
        events: rows that were used.
        unsupported: pairs of query and item that were seen too seldom to be judged.
        ignored: rows of events that say nothing about relevance (search, scroll …), by name.
    """

    judgements: dict[str, dict[str, int]]
    model: str
    events: int
    unsupported: int
    ignored: Mapping[str, int]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`, without the judgements."""
        return {name: value for name, value in vars(self).items() if name != "judgements"}


def read_clicks(path: Path, *, minimum: int = MINIMUM, named: Callable[[str], str] = str) -> Clicked:
    """Judgements from a click log.

    Args:
        named: what the log calls a query -> id of the query.

    Raises:
        InputError: the file or a row of it can't be used; says which row.
    """
    events: list[Event] = []
    ignored: Counter[str] = Counter()
    rows = list(_rows(path))
    asked = [row for _, row in rows if isinstance(row, Mapping) and row.get("user_query")]
    texts = {row["query_id"]: row["user_query"] for row in asked if isinstance(row.get("query_id"), str)}
    for number, row in rows:
        try:
            used, other = _events(row, texts)
        except ValueError as fault:
            raise InputError(f"{path}, line {number}: {fault}", hint=_HINT) from None
        events += [replace(each, query=named(each.query)) for each in used]
        if other:
            ignored[other] += 1
    if not events:
        raise InputError(f"click log {path} holds no event of an item", hint=_HINT)
    found = judged(events, minimum=minimum, ignored=ignored)
    if not found.judgements:
        raise InputError(
            f"click log {path}: no pair of query and item was seen {minimum} times", hint="give a longer log"
        )
    return found


def judged(events: Iterable[Event], *, minimum: int = MINIMUM, ignored: Mapping[str, int] | None = None) -> Clicked:
    """Grades from events: by COEC if there are impressions with positions, else by counts."""
    used = _once(events)
    shown = [each for each in used if each.event == IMPRESSION and each.position is not None]
    grades = _coec(used, minimum) if shown else _counts(used, minimum)
    judgements: dict[str, dict[str, int]] = defaultdict(dict)
    for (query, item), grade in sorted(grades.items()):
        judgements[query][item] = grade
    pairs = {(each.query, each.item) for each in used}
    model = "coec" if shown else "counts"
    return Clicked(dict(judgements), model, len(used), len(pairs) - len(grades), dict(ignored or {}))


def coec(events: Iterable[Event], minimum: int = MINIMUM) -> dict[tuple[str, str], float]:
    """(query, item) -> clicks over expected clicks: 1 is what its positions get on average, whoever stands there."""
    shown: Counter[tuple[str, str, int]] = Counter()
    clicked: Counter[tuple[str, str]] = Counter()
    at: Counter[int] = Counter()  # clicks by position
    places: dict[tuple[str, str, str], int] = {}
    used = list(events)
    for each in used:
        if each.event == IMPRESSION and each.position is not None:
            shown[each.query, each.item, each.position] += 1
            places[each.session, each.query, each.item] = each.position
    for each in used:
        if each.event == "click":
            clicked[each.query, each.item] += 1
            position = each.position or places.get((each.session, each.query, each.item))
            if position is not None:
                at[position] += 1
    seen: Counter[int] = Counter()
    support: Counter[tuple[str, str]] = Counter()
    for (query, item, position), count in shown.items():
        seen[position] += count
        support[query, item] += count
    expected: dict[tuple[str, str], float] = defaultdict(float)
    for (query, item, position), count in shown.items():
        expected[query, item] += count * at[position] / seen[position]
    return {
        pair: clicked[pair] / expected[pair] if expected[pair] else 0.0
        for pair, count in support.items()
        if count >= minimum
    }


def _coec(events: list[Event], minimum: int) -> dict[tuple[str, str], int]:
    """0 below half of what is expected, 1 below what is expected, 2 below twice that, 3 from there."""
    return {pair: sum(ratio >= edge for edge in (0.5, 1.0, 2.0)) for pair, ratio in coec(events, minimum).items()}


def _counts(events: list[Event], minimum: int) -> dict[tuple[str, str], int]:
    """The strength of the strongest event that happened `minimum` times, stronger ones counting as weaker ones, too."""
    counts: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    for each in events:
        if each.event in STRENGTHS:
            counts[each.query, each.item][STRENGTHS[each.event]] += 1
    grades = {}
    for pair, by_strength in counts.items():
        strong = [
            grade
            for grade in range(BEST, -1, -1)
            if sum(count for strength, count in by_strength.items() if strength >= grade) >= minimum
        ]
        if strong:
            grades[pair] = strong[0]
    return grades


def _once(events: Iterable[Event]) -> list[Event]:
    """Events of a session each once: a person who clicks twice has not found it twice as good."""
    used: dict[tuple[object, ...], Event] = {}
    for number, each in enumerate(events):
        own = each.session or number
        place = each.position if each.event == IMPRESSION else None
        used.setdefault((own, each.query, each.item, each.event, place), each)
    return list(used.values())


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Number and content of each row."""
    try:
        if path.suffix.lower() == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                for row in (reader := csv.DictReader(file, strict=True)):
                    yield reader.line_num, {key: value for key, value in row.items() if value not in (None, "")}
            return
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    row = json.loads(line)
                    yield number, row.get("_source", row) if isinstance(row, dict) else row  # as a search exports it
    except OSError as fault:
        raise InputError(f"click log {path}: {fault.strerror}", hint="give a file of JSON lines or CSV") from None
    except (ValueError, csv.Error) as fault:
        raise InputError(f"click log {path}: {fault}", hint=_HINT) from None


def _events(row: Any, texts: Mapping[str, str]) -> tuple[list[Event], str]:
    """Events of one row; or none, and the name of what happened instead.

    Args:
        texts: query_id -> user_query.

    Raises:
        ValueError: something is missing or of another kind.
    """
    if not isinstance(row, Mapping):
        raise ValueError("not a JSON object")
    search = row.get("query_id")
    query = row.get("query", row.get("user_query") or texts.get(str(search), search))
    session = _text(row.get("session", search or row.get("session_id", "")), "session")
    if _HITS in row:
        if not isinstance(row[_HITS], list):
            raise ValueError(f"{_HITS} must be a list")
        hits = enumerate(row[_HITS], 1)
        return [Event(_text(query, "query"), _text(hit, "item"), IMPRESSION, place, session) for place, hit in hits], ""
    name = _text(row.get("event", row.get("action_name")), "event").lower()
    event = _EVENTS.get(name)
    if event is None:
        return [], name
    item = _text(row.get("item", _below(row, "object", "object_id")), "item")
    position = _position(row.get("position", _below(row, "position", "ordinal")))
    return [Event(_text(query, "query"), item, event, position, session)], ""


def _below(row: Mapping[str, Any], *path: str) -> Any:
    """A value of UBI's event_attributes, nested or with dots in its name; None if it isn't there."""
    found: Any = row.get("event_attributes")
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if found is not None else row.get(".".join(("event_attributes", *path)))


def _text(value: Any, name: str) -> str:
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str) or (name != "session" and not value):
        raise ValueError(f"no {name}" if value in (None, "") else f"{name} must be text")
    return value


def _position(value: Any) -> int | None:
    if value is None:
        return None
    try:
        position = int(value)
    except (ValueError, TypeError):
        position = 0
    if position < 1:
        raise ValueError(f"position must be a whole number from 1, is {value!r}")
    return position
