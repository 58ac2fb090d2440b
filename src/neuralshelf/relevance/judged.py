"""Judged sets: pictures to index, queries to ask, and which pictures answer them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuralshelf.errors import InputError
from neuralshelf.relevance.judgements import Judgements
from neuralshelf.relevance.queries import Query

# The protocol's wording: a class name is not always what people call the thing.
CLOTHING_QUERIES = {"longsleeve": "long sleeve top", "outwear": "outerwear jacket coat"}


@dataclass(frozen=True)
class Item:
    """One picture with what is known about it."""

    id: str
    picture: Path
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class JudgedSet:
    """Pictures, queries about them, and the pictures that answer each."""

    name: str
    items: Sequence[Item]
    queries: Mapping[str, Query]
    judgements: Judgements


def clothing(folder: Path) -> JudgedSet:
    """Test split of clothing-dataset-small (CC0-1.0): ten classes, one query each."""
    items = [item for item in _items(folder) if item.facts.get("split") == "test"]
    classes = sorted({str(item.facts["category"]) for item in items})
    words = {name: CLOTHING_QUERIES.get(name.replace("-", ""), name.replace("-", " ")) for name in classes}
    queries = {name: Query(name, f"a photo of a {words[name]}") for name in classes}
    judgements = {name: {item.id: 1 for item in items if item.facts["category"] == name} for name in classes}
    return JudgedSet("clothing", items, queries, judgements)


def products(folder: Path) -> JudgedSet:
    """Known-item search: each product's title must find its own picture."""
    items = list(_items(folder))
    queries = {item.id: Query(item.id, str(item.facts["title"])) for item in items}
    return JudgedSet("products", items, queries, {item.id: {item.id: 1} for item in items})


def sample_kinds(catalogue: Path) -> JudgedSet:
    """The queries "a photo of a {colour} {kind}" for each pair that exists: any product of that kind is right."""
    return _sample(catalogue, ("kind",))


def sample_kinds_and_colours(catalogue: Path) -> JudgedSet:
    """The same queries: only a product of that kind and that colour is right."""
    return _sample(catalogue, ("kind", "colour"))


def _sample(catalogue: Path, keys: tuple[str, ...]) -> JudgedSet:
    items = list(_items(catalogue.parent, catalogue.name))
    queries, judgements = {}, {}
    for colour, kind in sorted({(str(item.facts["colour"]), str(item.facts["kind"])) for item in items}):
        asked, name = {"colour": colour, "kind": kind}, f"{colour} {kind}"
        queries[name] = Query(name, f"a photo of a {name}")
        judgements[name] = {i.id: 1 for i in items if all(str(i.facts[key]) == asked[key] for key in keys)}
    return JudgedSet("sample", items, queries, judgements)


def _items(folder: Path, name: str = "items.jsonl") -> Iterator[Item]:
    path = folder / name
    if not path.is_file():
        raise InputError(f"judged set {path} does not exist", hint="give the folder that holds it with --data")
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        yield Item(row["id"], folder / row["image"], row)
