"""Interactions of people with products: read from logs, told as those with clusters, written as Personalize reads them.

A file of JSON lines or CSV, an interaction a row, with our own names or those of Personalize's interactions schema:

    ours     Personalize    what it is
    user     USER_ID
    item     ITEM_ID        id of a product or a document
    event    EVENT_TYPE     view, click, favourite, cart, purchase, download, dislike, or anything else
    time     TIMESTAMP      seconds or milliseconds since 1970, or ISO 8601
    value    EVENT_VALUE    optional, a number
"""

import csv
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from opensearchpy import OpenSearch, TransportError

from neuralshelf.batches import batches
from neuralshelf.client import reason
from neuralshelf.errors import EngineError, InputError
from neuralshelf.eventlog import rows
from neuralshelf.model_packages.ranker.store import Interaction

HINT = 'rows are {"user": …, "item": …, "event": …, "time": …}, or USER_ID, ITEM_ID, EVENT_TYPE and TIMESTAMP'
NAMES = {"user": "USER_ID", "item": "ITEM_ID", "event": "EVENT_TYPE", "time": "TIMESTAMP", "value": "EVENT_VALUE"}
COLUMNS = ("USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE", "EVENT_VALUE")
LONGEST = 256
MILLISECONDS = 1e11  # seconds up to here, that is until the year 5138
ASKED_AT_ONCE = 1_000

Rekey = Callable[[Sequence[str]], Mapping[str, str]]
"""Ids of products or documents -> what stands for them; what is not there has none."""


@dataclass(frozen=True)
class Rekeyed:
    """Interactions whose items are what is ranked.

    Attributes:
        unknown: rows whose item the index does not have, or has without a value, by item.
    """

    interactions: tuple[Interaction, ...]
    unknown: Mapping[str, int]


def read_interactions(path: Path, now: float) -> Iterator[Interaction]:
    """The rows of a file, one after another.

    Args:
        now: seconds since 1970; what is later than a day after it is a mistake.

    Raises:
        InputError: the file or a row can't be used; says which row.
    """
    for number, row in rows(path, "interactions", HINT):
        try:
            yield _interaction(row, now)
        except ValueError as fault:
            raise InputError(f"{path}, line {number}: {fault}", hint=HINT) from None


def rekeyed(interactions: Iterable[Interaction], rekey: Rekey) -> Iterator[Rekeyed]:
    """Items replaced by what stands for them, in groups of a thousand rows."""
    for group in batches(interactions, ASKED_AT_ONCE):
        yield _rekeyed(group, rekey)


def values_of(client: OpenSearch, index: str, field: str, product: str | None) -> Rekey:
    """Asks an index for the value of `field` of documents by their ids, or of products by `product`.

    Raises:
        EngineError: when called: the index can't be read.
    """

    def found(items: Sequence[str]) -> Mapping[str, str]:
        asked = list(dict.fromkeys(items))
        by_id = {"ids": {"values": asked}}
        query = by_id if product is None else {"bool": {"should": [by_id, {"terms": {product: asked}}]}}
        body = {"size": 10_000, "query": query, "_source": [field, *([product] if product else [])], "sort": ["_doc"]}
        try:
            hits = client.search(index=index, body=body, params={"search_pipeline": "_none"})["hits"]["hits"]
        except TransportError as fault:
            raise EngineError(f"index {index} can't be read: {reason(fault)}", hint="neuralshelf doctor") from None
        values: dict[str, str] = {}
        for hit in hits:
            source = hit["_source"]
            if source.get(field) is not None:
                values.setdefault(hit["_id"], str(source[field]))
                if product is not None and source.get(product) is not None:
                    values.setdefault(str(source[product]), str(source[field]))
        return values

    return found


def write_personalize(interactions: Iterable[Interaction], file: TextIO) -> int:
    """CSV for a dataset import job, in the order they come; returns the number of rows.

    Dislikes stay out: Personalize takes every event for a sign of interest.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for one in interactions:
        if one.event == "dislike":
            continue
        value = "" if one.value is None else repr(one.value)
        writer.writerow((one.user, one.item, int(one.at), one.event, value))
        count += 1
    return count


def _rekeyed(group: Sequence[Interaction], rekey: Rekey) -> Rekeyed:
    values = rekey([one.item for one in group])
    kept = tuple(one._replace(item=values[one.item]) for one in group if one.item in values)
    return Rekeyed(kept, Counter(one.item for one in group if one.item not in values))


def _interaction(row: Any, now: float) -> Interaction:
    if not isinstance(row, Mapping):
        raise ValueError("not a JSON object")
    given = {name: row.get(name, row.get(theirs)) for name, theirs in NAMES.items()}
    texts = {name: _text(given[name], name) for name in ("user", "item", "event")}
    at = _time(given["time"])
    if not 0 < at < now + 86_400:
        raise ValueError(f"time {given['time']!r} is not between 1970 and tomorrow")
    value = None if given["value"] is None else _number(given["value"], "value")
    return Interaction(texts["user"], texts["item"], texts["event"], at, value)


def _text(value: Any, name: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST:
        raise ValueError(f"{name} must be text of 1 to {LONGEST} characters")
    return value


def _time(value: Any) -> float:
    if isinstance(value, str) and "-" in value[1:]:
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"time {value[:40]!r} is neither a number nor ISO 8601") from None
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    number = _number(value, "time")
    return number / 1000 if number > MILLISECONDS else number


def _number(value: Any, name: str) -> float:
    try:
        if isinstance(value, bool):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{name} must be a number")
    return number
