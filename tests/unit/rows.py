"""Rows of a catalogue, for tests."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neuralshelf.ingestion.catalogue import BadLine, Catalogue, Product
from neuralshelf.pipelines.spec import IndexSpec, VectorSpec

INDEX = IndexSpec(
    name="products",
    fields={"title": "text", "price": "float", "stock": "integer", "new": "boolean", "sku": "keyword"},
    vectors={"image_vector": VectorSpec(connector="picture", image="image")},
    product="sku",
)


def read(path: Path, data: bytes, **options: Any) -> list[Product | BadLine]:
    path.write_bytes(data)
    return list(Catalogue(path, INDEX, **options).rows())


def products(rows: Sequence[Product | BadLine]) -> list[tuple[str, dict[str, Any], list[str]]]:
    assert not [row.cause for row in rows if isinstance(row, BadLine)]
    found = [row for row in rows if isinstance(row, Product)]
    return [(row.id, dict(row.fields), [picture.name for picture in row.pictures]) for row in found]
