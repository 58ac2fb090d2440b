"""Nobody sees another tenant's documents, however the search is put together."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from neuralshelf.checker import check

from .building import body, both, hybrid, inline, knn
from .conftest import CATEGORIES, DIMENSIONS, TENANTS, VIEWS, WORDS, Shelf

Json = Any
BATCH = 100


def drawn(draw: np.random.Generator) -> tuple[str, Json]:
    """A tenant and a search for its documents alone, of a random kind."""
    tenant = f"t{draw.integers(TENANTS)}"
    condition: Json = {"term": {"tenant": tenant}}
    if draw.random() < 0.3:
        condition = {"bool": {"filter": [condition, {"term": {"category": f"c{draw.integers(CATEGORIES)}"}}]}}
    words: Json = {"match": {"title": " ".join(draw.choice(WORDS, size=draw.integers(1, 4)))}}
    k = int(draw.integers(10, 61))
    near, looks = (
        knn(k, field=field, vector=np.round(draw.standard_normal(size), 3).tolist())
        for field, size in DIMENSIONS.items()
    )
    kind = int(draw.integers(6))
    if kind == 0:
        return tenant, body(both(words, condition), 10)
    if kind == 1:
        near["knn"]["text_vector"]["filter"] = condition
        return tenant, body(near, 10)
    if kind == 2:
        near["knn"]["text_vector"]["filter"] = looks["knn"]["image_vector"]["filter"] = condition
        query = hybrid(both(words, condition), near, looks)
    else:
        query = hybrid(words, near, looks, filter=condition)
    more: dict[str, Json] = {}
    if kind == 3:
        more = {"collapse": {"field": "product"}}
    elif kind == 4:
        more = {"sort": [{"price": "desc"}]}
    elif kind == 5:
        weights = draw.dirichlet(np.ones(3))
        more = {
            "search_pipeline": inline(
                [round(float(w), 3) for w in weights], combination=str(draw.choice(["rrf", "harmonic_mean"]))
            )
        }
    size = int(draw.integers(1, 1 + k // VIEWS if kind == 3 else 11))
    return tenant, body(query, min(size, 10), **more)


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.extended)])
def test_no_foreign_hit_in_random_searches(count: int, shelves: Sequence[Shelf]) -> None:
    draw = np.random.default_rng(count)
    hits = foreign = 0
    for batch in range(count // BATCH):
        shelf = shelves[batch % len(shelves)]
        asked = [drawn(draw) for _ in range(BATCH)]
        lines: list[Json] = []
        for _, sent in asked:
            found = check(shelf.facts(), sent)
            assert found.word == "correct", (sent, found.findings)
            lines += [{}, found.body]
        answers = shelf.client.msearch(body=lines, index=shelf.index)["responses"]
        for (tenant, sent), answer in zip(asked, answers, strict=True):
            assert "error" not in answer, (json.dumps(sent)[-600:], answer)
            owners = [shelf.oracle.documents[hit["_id"]]["tenant"] for hit in answer["hits"]["hits"]]
            hits += len(owners)
            foreign += sum(owner != tenant for owner in owners)
    print(f"{foreign} foreign of {hits} hits in {count} searches")
    assert foreign == 0
    assert hits > 5 * count
