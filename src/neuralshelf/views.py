"""How many documents a product has: one for each of its pictures."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opensearchpy import OpenSearch, TransportError

from neuralshelf.client import TIMEOUT_SECONDS
from neuralshelf.templates import render

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Views:
    """Product -> its documents, most first.

    Attributes:
        without: documents that name no product.
    """

    products: Mapping[str, int]
    without: int


def count_views(
    client: OpenSearch,
    index: str,
    field: str,
    *,
    products: Sequence[str] | None = None,
    most: int = 100,
    seconds: float = TIMEOUT_SECONDS,
) -> Views:
    """Count the documents of `products`, or of the `most` products that have the most of them.

    Asks no model, and none of the index's pipelines.

    Raises:
        TransportError: the cluster refuses, or can't be reached.
    """
    body = render("pipelines/views.json.j2", field=field, products=products, most=most)
    answer = client.search(index=index, body=body, params={"search_pipeline": "_none", "request_timeout": seconds})
    found = answer["aggregations"]
    counted = {str(bucket["key"]): int(bucket["doc_count"]) for bucket in found["products"]["buckets"]}
    return Views(counted, int(found["without"]["doc_count"]))


def views_of(
    client: OpenSearch, index: str, field: str | None, sources: Sequence[Mapping[str, Any]], seconds: float
) -> list[int]:
    """How many documents the product of each hit has; 1 where that is unknown, since a hint is not worth an error.

    Args:
        field: of the product's id; None where a product is one document.
        sources: the hits' documents.
        seconds: to wait for the answer.
    """
    if field is None or not sources:
        return [1] * len(sources)
    products = [str(source.get(field)) for source in sources]
    try:
        counted = count_views(client, index, field, products=products, seconds=seconds).products
    except TransportError as fault:
        logger.warning("views are not counted: %s", fault.error)
        counted = {}
    return [counted.get(product, 1) for product in products]
