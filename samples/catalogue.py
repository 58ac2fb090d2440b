"""Writes catalogue.jsonl and views.jsonl: titles, descriptions, brands and prices from the grammar of words.toml.

    python -m samples.catalogue [--check]

Every choice is drawn from the product's id, so the files come out the same byte for byte.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from samples.assortment import DESIGNS_PER_KIND, FOLDER, Product, kinds, products

#: One product in three has query pictures.
QUERY_EVERY = 3


@functools.cache
def words() -> dict[str, Any]:
    """The tables of words.toml."""
    return tomllib.loads((FOLDER / "words.toml").read_text(encoding="utf-8"))


def capital(text: str) -> str:
    """`text` with its first letter in upper case, the rest as it is."""
    return text[:1].upper() + text[1:]


def article(following: str) -> str:
    """ "A" or "An" before `following`."""
    return "An" if following[0] in "aeio" or following.startswith("up") else "A"


def fill(template: str, **values: str) -> str:
    """The template with its fields, capitalised where the field's name is; `{A}` is the article of what follows."""
    capitals = {capital(name): capital(value) for name, value in values.items()}
    text = template.format(A="{A}", **values, **capitals)
    return text.replace("{A}", article(text.partition("{A} ")[2] or "x"))


def row(product: Product) -> dict[str, Any]:
    """The product's line of catalogue.jsonl."""
    kind, chance = product.kind, product.chance("words")
    grammar, speech = words()["grammar"], words()[kind.noun]
    brand = chance.choice(words()["brands"][speech["department"]])
    values = {
        "brand": brand,
        "colour": product.colour,
        "form": speech["forms"][product.design.shape],
        "material": product.material,
        "noun": speech.get("noun", kind.noun),
        "said": speech.get("said", kind.noun),
    }
    title = fill(chance.choice(speech.get("titles", grammar["titles"])), **values)
    sentences = [fill(chance.choice(speech.get("openers", grammar["openers"])), **values)]
    extra = chance.choices(("", "detail", "use", "both"), (1, 2, 2, 3))[0]
    if extra in ("detail", "both"):
        sentences.append(chance.choice(speech["details"]))
    if extra in ("use", "both"):
        sentences.append(chance.choice(speech["uses"]))
    return {
        "id": product.id,
        "title": title,
        "description": " ".join(sentences),
        "brand": brand,
        "kind": kind.noun,
        "colour": product.colour,
        "material": product.material,
        "price": price(product),
        "image": f"images/{product.id}.jpg",
    }


def price(product: Product) -> float:
    """A shop's price between the kind's lowest and highest: cheap ones are commoner, and it ends in .00, .50 or .90."""
    low, high = product.kind.price
    chance = product.chance("price")
    whole = int(low * (high / low) ** chance.random())
    return whole + chance.choice((0.0, 0.5, 0.9))


def has_query_views(product: Product) -> bool:
    """Whether pictures in other light exist of the product. Ten is no multiple of three, so all designs occur."""
    position = kinds().index(product.kind) * DESIGNS_PER_KIND + product.variant
    return position % QUERY_EVERY == 0


def view_rows(chosen: Iterable[Product]) -> list[dict[str, str]]:
    """The lines of views.jsonl."""
    return [
        {"id": product.id, "image": f"images/{product.id}-{suffix}.jpg"}
        for product in chosen
        if has_query_views(product)
        for suffix in ("b", "c")
    ]


def jsonl(rows: Iterable[dict[str, Any]]) -> str:
    """One JSON document a line."""
    return "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in rows)


def files() -> dict[Path, str]:
    """File → what it has to hold."""
    everything = list(products())
    return {
        FOLDER / "catalogue.jsonl": jsonl(row(product) for product in everything),
        FOLDER / "views.jsonl": jsonl(view_rows(everything)),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file differs")
    check = parser.parse_args().check
    stale = [file for file, text in files().items() if not file.exists() or file.read_text(encoding="utf-8") != text]
    for file in stale:
        if not check:
            file.write_text(files()[file], encoding="utf-8")
        print(f"{file.name}: {'differs from the grammar' if check else 'written'}", file=sys.stderr)
    return int(check and bool(stale))


if __name__ == "__main__":
    raise SystemExit(main())
