"""Vectors of whole pictures: a transform job answers a picture in a file called after its key, so the key joins them.

shoes/7.jpg → shoes/7.jpg.out → {"id": "sneaker-7", "vector": "image_vector", "SageMakerOutput": {"embedding": […]}}
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from neuralshelf.ingestion.catalogue import BadLine, Product
from neuralshelf.ingestion.documents import documents
from neuralshelf.ingestion.vectors.files import ID, OUTPUT, VECTOR
from neuralshelf.pipelines.spec import IndexSpec

Owner = tuple[str, str]
"""A document's id and a vector field."""


def picture_fields(index: IndexSpec) -> dict[str, str]:
    """Vector fields that are made of a picture alone -> connector. A text beside it is not in the picture's file."""
    return {name: v.connector for name, v in index.vectors.items() if v.image is not None and not v.text}


def owners(rows: Iterable[Product | BadLine], index: IndexSpec, fields: Iterable[str]) -> dict[str, list[Owner]]:
    """Picture -> whose it is, for all pictures that rows name."""
    fields = tuple(fields)
    found: dict[str, list[Owner]] = {}
    for row in rows:
        if isinstance(row, BadLine):
            continue
        for document in documents(row, index):
            if document.picture is not None:
                found.setdefault(document.picture.name, []).extend((document.id, name) for name in fields)
    return found


def lines_of(answer: bytes, owners: Iterable[Owner]) -> Iterator[str]:
    """The answer to one picture as lines of batch transform, one an owner."""
    said: Any
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError):
        said = {"error": f"no JSON: {answer[:100]!r}"}
    for identity, name in owners:
        yield json.dumps({ID: identity, VECTOR: name, OUTPUT: said}, ensure_ascii=False)
