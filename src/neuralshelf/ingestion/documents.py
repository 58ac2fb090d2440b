"""A product's documents: one, or one for each of its pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neuralshelf.ingestion.catalogue import Product, view_id
from neuralshelf.ingestion.pictures import Picture
from neuralshelf.pipelines.spec import IndexSpec


@dataclass(frozen=True)
class Document:
    """One document, its picture not read yet.

    Attributes:
        id: the product's id, or `ID/2`, `ID/3`, … for its further pictures.
        fields: as they are indexed, without the picture and its name.
        picture: what goes into the picture's field; None for a document without.
        line: row of the catalogue.
        product: the product's id.
    """

    id: str
    fields: Mapping[str, Any]
    picture: Picture | None
    line: int
    product: str


def documents(product: Product, index: IndexSpec) -> list[Document]:
    """One document a picture, at least one, all with the product's fields.

    With `index.product` that field holds the product's id in each of them; without, a product has one picture at most.
    """
    fields = dict(product.fields)
    if index.product is not None:
        fields[index.product] = product.id
    return [
        Document(view_id(product.id, number), fields, picture, product.line, product.id)
        for number, picture in enumerate(product.pictures or (None,), start=1)
    ]
