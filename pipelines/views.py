"""How many documents a product has: one for each of its pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opensearchpy import OpenSearch

from neuralshelf.templates import render


@dataclass(frozen=True)
class Views:
    """Product -> its documents, most first.

    Attributes:
        without: documents that name no product.
    """

    products: Mapping[str, int]
    without: int


def count_views(
    client: OpenSearch, index: str, field: str, *, products: Sequence[str] | None = None, most: int = 100
) -> Views:
    """Count the documents of `products`, or of the `most` products that have the most of them.

    Asks no model, and none of the index's pipelines.

    Raises:
        TransportError: the cluster refuses, or can't be reached.
    """
    body = render("pipelines/views.json.j2", field=field, products=products, most=most)
    answer = client.search(index=index, body=body, params={"search_pipeline": "_none"})
    found = answer["aggregations"]
    counted = {str(bucket["key"]): int(bucket["doc_count"]) for bucket in found["products"]["buckets"]}
    return Views(counted, int(found["without"]["doc_count"]))
