"""Writes queries.jsonl and qrels.txt: what people ask the catalogue for, and which products answer, graded 0 to 3.

    python -m samples.queries [--check]

Texts are those of queries.toml, which says how they are judged. Pictures and crops are views of views.jsonl, judged by
the facts: 3 the product itself, 2 another of its kind and colour, 1 another of its kind. Needs numpy only.
"""

from __future__ import annotations

import argparse
import functools
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from samples.assortment import FOLDER, Product, products
from samples.catalogue import has_query_views, jsonl, row
from samples.scene import frame
from samples.views import query_views

#: What a query can ask for besides a kind.
ATTRIBUTES = ("colour", "material", "brand")
#: A crop has this share of the product's size around it on each side, as a person or a detector leaves.
MARGIN = 0.04


@dataclass(frozen=True)
class Judged:
    """A line of queries.jsonl and the grades (1 to 3) of the products that answer it."""

    query: Mapping[str, Any]
    grades: Mapping[str, int]


@functools.cache
def catalogue() -> dict[str, dict[str, Any]]:
    """Product id → its line of catalogue.jsonl."""
    return {product.id: row(product) for product in products()}


@functools.cache
def photographed() -> dict[str, list[Product]]:
    """Kind → its products with query views, in the catalogue's order."""
    found: dict[str, list[Product]] = {}
    for product in products():
        if has_query_views(product):
            found.setdefault(product.kind.noun, []).append(product)
    return found


def met(facts: Mapping[str, Any], name: str, asked: str | list[str]) -> bool:
    """Whether the product has one of the values asked for; of a material, one word is enough."""
    wanted = [asked] if isinstance(asked, str) else asked
    values = facts[name].replace("-", " ").split() if name == "material" else [facts[name]]
    return any(value in wanted for value in values)


def grade(facts: Mapping[str, Any], asked: Mapping[str, Any]) -> int:
    """How well a product answers what a query of queries.toml asks for; the rule is at the top of that file."""
    answers = [met(facts, name, asked[name]) for name in ATTRIBUTES if name in asked]
    if "kinds" not in asked:
        return 3 * all(answers)
    kinds = asked["kinds"]
    best = kinds.get(facts["kind"], 0) if isinstance(kinds, dict) else 3 * (facts["kind"] in kinds)
    return max(0, best - (0 if all(answers) else 1 if any(answers) else 2))


def judged(query: Mapping[str, Any], grades: Mapping[str, int]) -> Judged:
    return Judged(query, {id: value for id, value in grades.items() if value})


def by_words(name: str, query: Mapping[str, Any], asked: Mapping[str, Any]) -> Judged:
    return judged({"id": name, **query}, {id: grade(facts, asked) for id, facts in catalogue().items()})


def by_likeness(name: str, query: Mapping[str, Any], shown: Product) -> Judged:
    """A picture that asks for nothing else: 3 the product itself, 2 its kind in its colour, 1 its kind."""
    alike = {
        id: 1 + (facts["colour"] == shown.colour) + (id == shown.id)
        for id, facts in catalogue().items()
        if facts["kind"] == shown.kind.noun
    }
    return judged({"id": name, **query}, alike)


def box(product: Product, suffix: str) -> list[float]:
    """Centre and size of the product in one of its query views, a margin around it, as shares of the picture."""
    vertices = np.vstack([part.mesh.vertices for part in product.parts()])
    seen = frame(query_views(product)[suffix], vertices * 2 / np.linalg.norm(np.ptp(vertices, axis=0)))
    return [0.5, 0.5, *(round(share * (1 + 2 * MARGIN), 3) for share in (seen.width, seen.height))]


def view(product: Product, suffix: str) -> str:
    return f"images/{product.id}-{suffix}.jpg"


def everything() -> Iterator[Judged]:
    """All queries: texts, a picture of each kind, pictures with a wish, a crop of each kind."""
    phrases = tomllib.loads((FOLDER / "queries.toml").read_text(encoding="utf-8"))
    for sort, rows in phrases["text"].items():
        for number, asked in enumerate(rows, 1):
            yield by_words(f"{sort}-{number:02d}", {"text": asked["text"]}, asked)
    for number, shown in enumerate(photographed().values(), 1):
        yield by_likeness(f"picture-{number:02d}", {"image": view(shown[0], "b")}, shown[0])
    for sort, rows in phrases["text-and-picture"].items():
        for number, asked in enumerate(rows, 1):
            kind = catalogue()[asked["like"].rpartition("-")[0]]["kind"]
            query = {"image": f"images/{asked['like']}.jpg", "text": asked["text"]}
            yield by_words(f"{sort}-{number:02d}", query, {**asked, "kinds": [kind]})
    for number, shown in enumerate(photographed().values(), 1):
        query = {"image": view(shown[1], "c"), "box": box(shown[1], "c")}
        yield by_likeness(f"crop-{number:02d}", query, shown[1])


def qrels(found: list[Judged]) -> str:
    """TREC's format: QUERY 0 DOCUMENT GRADE. What is not in it is 0."""
    return "".join(f"{one.query['id']} 0 {id} {value}\n" for one in found for id, value in one.grades.items())


def files() -> dict[Path, str]:
    """File → what it has to hold."""
    found = list(everything())
    return {FOLDER / "queries.jsonl": jsonl(dict(one.query) for one in found), FOLDER / "qrels.txt": qrels(found)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file differs")
    check = parser.parse_args().check
    wanted = files()
    stale = [file for file, text in wanted.items() if not file.exists() or file.read_text(encoding="utf-8") != text]
    for file in stale:
        if not check:
            file.write_text(wanted[file], encoding="utf-8")
        print(f"{file.name}: {'differs from queries.toml' if check else 'written'}", file=sys.stderr)
    return int(check and bool(stale))


if __name__ == "__main__":
    raise SystemExit(main())
