"""What the shapes of searches are built of: clauses, meanings, rows.

A shape is written for an index like the shelves of conftest: the legs keyword, text_vector and image_vector weigh 0.3,
0.3 and 0.4, and give 60 candidates (`search.k`).
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .conftest import K, embedded
from .oracle import Document, Leg, Meaning

Json = Any
TEXT = "red teapot"
WORDS = {"match": {"title": TEXT}}
TENANT = {"term": {"tenant": "t3"}}
CATEGORIES = {"terms": {"category": ["c1", "c2"]}}
WEIGHTS = (0.3, 0.3, 0.4)
NEAR, LOOKS = embedded(TEXT, "text_vector"), embedded(TEXT, "image_vector")


def knn(k: int = K, condition: Json = None, field: str = "text_vector", **more: Json) -> Json:
    """A vector clause with the vector itself."""
    options: dict[str, Json] = {"vector": NEAR if field == "text_vector" else LOOKS, **more}
    options |= {"k": k} if k else {}
    options |= {"filter": condition} if condition else {}
    return {"knn": {field: options}}


def neural(field: str = "text_vector", k: int = K, condition: Json = None, text: str = TEXT, **more: Json) -> Json:
    """A vector clause whose text OpenSearch embeds."""
    options: dict[str, Json] = {"query_text": text, **more}
    options |= {"k": k} if k else {}
    options |= {"filter": condition} if condition else {}
    return {"neural": {field: options}}


def both(query: Json, condition: Json) -> Json:
    """A query with a condition."""
    return {"bool": {"must": [query], "filter": [condition]}}


def hybrid(*legs: Json, depth: int | None = K, **more: Json) -> Json:
    """The three legs, or others."""
    options: dict[str, Json] = {"queries": list(legs) or [WORDS, neural(), neural("image_vector")], **more}
    if depth is not None:
        options["pagination_depth"] = depth
    return {"hybrid": options}


def body(query: Json = None, size: int = 10, **more: Json) -> Json:
    """A search without `_source`."""
    return {"size": size, "_source": False, "query": query or hybrid(), **more}


def inline(weights: Json = WEIGHTS, normalization: str = "min_max", combination: str = "arithmetic_mean") -> Json:
    """A pipeline in the body that joins scores and names no models."""
    joined = {"technique": combination, "parameters": {"weights": list(weights)}}
    if combination == "rrf":
        return {"phase_results_processors": [{"score-ranker-processor": {"combination": joined}}]}
    parts = {"normalization": {"technique": normalization}, "combination": joined}
    return {"phase_results_processors": [{"normalization-processor": parts}]}


def wrapped(query: Json) -> Json:
    """A query in base64."""
    return {"wrapper": {"query": base64.b64encode(json.dumps(query).encode()).decode()}}


def vector_legs(condition: Json = None) -> tuple[Json, Json, Json]:
    """Three legs that need no model, each with the condition."""
    return (
        both(WORDS, condition) if condition else WORDS,
        knn(condition=condition),
        knn(condition=condition, field="image_vector"),
    )


def of(tenant: str) -> Callable[[Document], bool]:
    """The condition of `TENANT`."""
    return lambda document: bool(document["tenant"] == tenant)


def in_categories(document: Document) -> bool:
    """The condition of `CATEGORIES`."""
    return document["category"] in ("c1", "c2")


NEAREST = Leg(knn(k=10_000), k=K)
LOOKALIKES = Leg(knn(k=10_000, field="image_vector"), k=K)
USUAL = Meaning((Leg(WORDS), NEAREST, LOOKALIKES), WEIGHTS, depth=K)
DEEPER = replace(
    USUAL, depth=K + 10, start=K, legs=(Leg(WORDS), replace(NEAREST, k=K + 10), replace(LOOKALIKES, k=K + 10))
)
TENANTS = replace(USUAL, keep=of("t3"))
VECTOR = Meaning((replace(NEAREST, k=10),), hybrid=False)
TENANT_VECTOR = replace(VECTOR, keep=of("t3"))
WORDS_ONLY = Meaning((Leg(WORDS),), hybrid=False)


@dataclass(frozen=True)
class Shape:
    """One row.

    Attributes:
        verdict: of the checker on one shard and on three; a word is for both.
        meaning: what is wanted.
        params: of the URL.
        target: what is searched, `{n}` being 1 or 3.
        proof: why the oracle can't show that a refused or rewritten search is wrong, where it can't.
    """

    name: str
    body: Json
    verdict: str | tuple[str, str]
    meaning: Meaning = USUAL
    params: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    proof: str = ""

    def word(self, shelf: int) -> str:
        """The verdict on the first shelf, or the second."""
        return self.verdict if isinstance(self.verdict, str) else self.verdict[shelf]


def right(name: str, sent: Json, meaning: Meaning = USUAL, **more: Any) -> Shape:
    """Correct as it is."""
    return Shape(name, sent, "correct", meaning, **more)


def mended(name: str, sent: Json, meaning: Meaning = USUAL, **more: Any) -> Shape:
    """Rewritten."""
    return Shape(name, sent, "rewritten", meaning, **more)


def wrong(name: str, sent: Json, meaning: Meaning = USUAL, **more: Any) -> Shape:
    """Refused."""
    return Shape(name, sent, "refused", meaning, **more)
