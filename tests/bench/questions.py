"""Broad questions to a catalogue, and which products answer them, by the catalogue's own fields.

Taste can only order what a question leaves open: "red teapot" is answered by three products, "something red" by eighty
of forty kinds. So questions here name facets of products (a colour, a material, a maker, a word of the description),
one or two at a time, and are kept if the products that have all of them are many enough and of many enough categories.
Nobody's taste has a part in that.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

Row = Mapping[str, object]

_SHOPPERS_WORDS = """
black blue red green orange white silver gray yellow leather carbon waterproof lightweight durable
adjustable comfortable breathable warm dry compact spacious rugged stylish classic sleek vibrant
hiking outdoor alpine expedition adventure performance protection weather sports travel winter
camping
"""
SHOP_WORDS = frozenset(_SHOPPERS_WORDS.split())
"""What shoppers ask for besides the thing, of the words in descriptions."""

_FINISHES = "and anodised blend clear coated coloured cut lacquered painted powder-coated recycled"
FINISHES = frozenset(_FINISHES.split())
"""Words of the sample catalogue's materials that aren't one."""


@dataclass(frozen=True)
class Facet:
    """Something to ask for.

    Attributes:
        fields: of the catalogue where it stands.
        phrase: how it is asked; `{}` is its value.
        split: the field is a list of words, each of which counts by itself.
        words: only these count; `but`: all but these do.
    """

    fields: tuple[str, ...]
    phrase: str = "{}"
    split: bool = False
    words: frozenset[str] | None = None
    but: frozenset[str] = frozenset()

    def values(self, row: Row) -> set[str]:
        """Of a product."""
        found = [str(row[field]) for field in self.fields if row.get(field)]
        if self.split:
            found = [word for text in found for word in re.findall(r"[\w'-]+", text.lower())]
        return {value for value in found if value in (self.words or {value}) and value not in self.but}


FACETS: Mapping[str, tuple[Facet, ...]] = {
    "sample": (
        Facet(("colour",), "something {}"),
        Facet(("material",), "made of {}", split=True, but=FINISHES),
        Facet(("brand",), "by {}"),
    ),
    "shops": (Facet(("brand",), "by {}"), Facet(("title", "description"), split=True, words=SHOP_WORDS)),
    "films": (Facet(("genres",), split=True), Facet(("decade",), "of the {}")),
}
"""Name of a catalogue -> what is asked of it."""


@dataclass(frozen=True)
class Question:
    """A text and the products that answer it."""

    text: str
    products: frozenset[str]


@dataclass(frozen=True)
class Breadth:
    """How much a question must leave open: products, and categories of them; and not all of the catalogue."""

    products: int = 6
    categories: int = 3
    share: float = 0.5

    def fits(self, products: frozenset[str], categories: Mapping[str, str], catalogue: int) -> bool:
        """Whether these products are many and various enough."""
        kinds = {categories[product] for product in products if product in categories}
        return len(kinds) >= self.categories and self.products <= len(products) <= self.share * catalogue


def broad(
    rows: Mapping[str, Row], facets: Sequence[Facet], categories: Mapping[str, str], breadth: Breadth
) -> dict[str, Question]:
    """Text -> question, of one facet or of two.

    Args:
        rows: id of a product -> its line of the catalogue.
        categories: id -> category.
    """
    having: dict[tuple[int, str], set[str]] = {}
    for product, row in rows.items():
        for place, facet in enumerate(facets):
            for value in facet.values(row):
                having.setdefault((place, value), set()).add(product)
    found = {}
    for names in _some(sorted(having)):
        products = frozenset.intersection(*(frozenset(having[name]) for name in names))
        if breadth.fits(products, categories, len(rows)):
            text = " ".join(facets[place].phrase.format(value) for place, value in names)
            found[text] = Question(text, products)
    return found


def _some(names: Sequence[tuple[int, str]]) -> Iterator[tuple[tuple[int, str], ...]]:
    yield from ((name,) for name in names)
    yield from combinations(names, 2)
