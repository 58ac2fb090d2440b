"""Stored search templates: a search is one line of parameters and can't be put together wrongly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from neuralshelf.connectors.ranking import SHARE
from neuralshelf.pipelines.ranking import Ranking, all_weights
from neuralshelf.pipelines.search import search_models
from neuralshelf.pipelines.spec import KEYWORD_LEG, IndexSpec, SearchSpec, candidates
from neuralshelf.resource import Kind, Resource
from neuralshelf.templates import render


@dataclass(frozen=True)
class Place:
    """An index that a search may meet: `models` are vector field -> id of the model that embeds queries for it."""

    index: str
    models: Mapping[str, str]


def search_templates(
    index: IndexSpec, search: SearchSpec, *, prefix: str, places: Sequence[Place] = (), ranking: Ranking | None = None
) -> list[Resource]:
    """Two templates: the search itself, and one by words alone for when the models are away.

    With `index.product` both list products: a product once, as the document that scores best in the joined ranking
    (OpenSearch collapses after it has joined the legs), and how many there are as the aggregation `products`.

    Args:
        places: makes a template whose searches are right on any of these indexes, whichever the alias names when a
            query's vector is ready; for the moments in which it moves.
    """
    legs = (KEYWORD_LEG, *index.vectors)
    usual = all_weights(ranking, [float(search.weights[leg]) for leg in legs])
    pictured: list[float] = []
    if search.picture_weights:
        pictured = all_weights(ranking, [float(search.picture_weights[leg]) for leg in legs])
    values = {
        "index": index,
        "search": search,
        "candidates": candidates(index, search),
        "filters": search.filters,
        "hidden": index.made,
        "keyword_fields": [_searched(index, item) for item in search.keyword],
        "pictured": [name for name, vector in index.vectors.items() if vector.image is not None],
        "models": search_models(index, prefix),
        "weights": _weights(legs, ranking),
        "ranking": ranking,
        "places": places,
        "usual_weights": _usual(usual, pictured),
        "picture_weights": pictured,
    }
    return [
        Resource(Kind.SEARCH_TEMPLATE, name, render("pipelines/stored.json.j2", mustache=mustache, **values))
        for name, mustache in (
            (search.template, "pipelines/product_search.mustache.j2"),
            (search.keyword_template, "pipelines/keyword_search.mustache.j2"),
        )
    ]


def _searched(index: IndexSpec, item: str) -> str:
    """`brand^2` -> `brand.text^2` for a keyword field: its sub-field holds the words."""
    field, *boost = item.split("^")
    return "^".join([f"{field}.text" if index.fields[field] == "keyword" else field, *boost])


def _weights(legs: Sequence[str], ranking: Ranking | None) -> str:
    """The weights as mustache: 0 for a leg without one; e0 makes whole numbers the decimals that the engine wants.

    Beside a leg of preference it is e-1: mustache can't reckon, but a tenth is what is left for the others.
    """
    exponent, more = ("e-1", f", {SHARE}") if ranking is not None and ranking.leg else ("e0", "")
    return f"[{', '.join(f'<%{leg}%><%^{leg}%>0<%/{leg}%>{exponent}' for leg in legs)}{more}]"


def _usual(usual: Sequence[float], pictured: Sequence[float]) -> str:
    """Weights where none are given, as mustache if those of text and picture together are others."""
    if not pictured:
        return str(usual)
    both = f"<%#image%>{pictured}<%/image%><%^image%>{usual}<%/image%>"
    return f"<%#text%>{both}<%/text%><%^text%>{usual}<%/text%>"
