"""Representative parameters of the stored templates: each kind of search that they can make."""

from collections.abc import Iterator
from itertools import product
from typing import Any

from neuralshelf.pipelines.spec import IndexSpec, SearchSpec

PICTURE = "iVBORw0KGgo="  # the first bytes of any PNG: nothing looks further


def examples(index: IndexSpec, search: SearchSpec) -> Iterator[dict[str, Any]]:
    """Every combination of text, picture, filters, a page, weights and, with several documents a product, collapse."""
    numbers = {name for name in search.filters if index.fields[name] in ("float", "integer")}
    filters: dict[str, Any] = {f"{name}_min": 1 for name in numbers}
    filters |= {name: ["one", "other"] for name in search.filters if name not in numbers}
    parts: list[dict[str, Any]] = [
        {"text": "red shoes"},
        {"image": PICTURE},
        filters,
        {"from": 5, "size": 5},
        {"weights": dict(search.weights)},
        {"collapse": True} if index.product else {},
    ]
    for chosen in product((False, True), repeat=len(parts)):
        if all(part for part, taken in zip(parts, chosen, strict=True) if taken):
            yield {
                key: value for part, taken in zip(parts, chosen, strict=True) if taken for key, value in part.items()
            }
