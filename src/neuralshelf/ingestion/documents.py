"""A product's documents: one, or one for each of its pictures; and those that it no longer has."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opensearchpy import OpenSearch, TransportError

from neuralshelf.batches import batches
from neuralshelf.client import reason
from neuralshelf.errors import EngineError
from neuralshelf.ingestion.catalogue import Product, view_id
from neuralshelf.ingestion.sources.pictures import Picture
from neuralshelf.pipelines.spec import MAX_VIEWS, IndexSpec

RESULT_WINDOW = 10_000  # OpenSearch's own limit of hits


@dataclass(frozen=True)
class Document:
    """One document, its picture not read yet.

    Attributes:
        id: the product's id, or `ID/2`, `ID/3`, … for its further pictures.
        fields: as they are indexed, without the picture and its name.
        picture: what goes into the picture's field; None for a document without.
        line: row of the catalogue.
        product: the product's id.
        views: documents that the product has.
    """

    id: str
    fields: Mapping[str, Any]
    picture: Picture | None
    line: int
    product: str
    views: int = 1


def documents(product: Product, index: IndexSpec) -> list[Document]:
    """One document a picture, at least one, all with the product's fields.

    With `index.product` that field holds the product's id in each of them; without, a product has one picture at most.
    """
    fields = dict(product.fields)
    if index.product is not None:
        fields[index.product] = product.id
    views = product.pictures or (None,)
    return [
        Document(view_id(product.id, number), fields, picture, product.line, product.id, len(views))
        for number, picture in enumerate(views, start=1)
    ]


def drop_stale_views(client: OpenSearch, index: IndexSpec, made: Sequence[Document]) -> None:
    """Delete documents of pictures that the products of `made` had when they were ingested before, and have no more.

    Raises:
        EngineError: they can't be looked up or deleted.
    """
    products = {document.product: document.views for document in made if document.id == document.product}
    gone = stale_views(client, index, products)
    if not gone:
        return
    answer = client.bulk(body=[{"delete": {"_id": identity}} for identity in gone], index=index.name)
    for item in answer["items"]:
        if "error" in item["delete"]:
            raise EngineError(
                f"document {item['delete']['_id']}, of a picture that its product has no more, can't be deleted: "
                f"{item['delete']['error'].get('reason')}",
                hint="neuralshelf status",
            )


def stale_views(client: OpenSearch, index: IndexSpec, products: Mapping[str, int]) -> list[str]:
    """Ids of documents of pictures that products no longer have: to be deleted.

    Sees what the index shows, so a run refreshes it once before. Only ids of the form `ID/N` are ever named.

    Args:
        products: a product's id -> documents that it has now.

    Raises:
        EngineError: the cluster can't be reached, or refuses the search.
    """
    if index.product is None:
        return []
    stale = []
    for chunk in batches(products, RESULT_WINDOW // MAX_VIEWS):
        try:
            for identity in _other_views(client, index, chunk, products):
                product, _, number = identity.rpartition("/")
                if number.isascii() and number.isdecimal() and int(number) > products.get(product, int(number)):
                    stale.append(identity)
        except TransportError as fault:
            raise EngineError(
                f"index {index.name}: pictures that products no longer have can't be looked up: {reason(fault)}",
                hint="neuralshelf status",
            ) from None
    return stale


def _other_views(client: OpenSearch, index: IndexSpec, chunk: list[str], products: Mapping[str, int]) -> Iterator[str]:
    """Documents of these products with other ids than they have now."""
    live = [view_id(product, number) for product in chunk for number in range(1, products[product] + 1)]
    query = {"bool": {"filter": [{"terms": {index.product: chunk}}], "must_not": [{"ids": {"values": live}}]}}
    answer = client.search(
        index=index.name,
        body={"size": RESULT_WINDOW, "_source": False, "query": query},
        params={"search_pipeline": "_none"},
    )
    hits = answer["hits"]["hits"]
    if len(hits) == RESULT_WINDOW and len(chunk) > 1:  # more than fit; not made by us, who make 100 a product at most
        for half in (chunk[: len(chunk) // 2], chunk[len(chunk) // 2 :]):
            yield from _other_views(client, index, half, products)
        return
    yield from (hit["_id"] for hit in hits)
