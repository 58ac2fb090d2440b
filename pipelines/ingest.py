"""The ingest pipeline: OpenSearch embeds documents before it indexes them."""

from collections.abc import Iterator, Mapping
from typing import Any

from neuralshelf.connectors.resources import model_name
from neuralshelf.connectors.spec import ConnectorSpec, SageMakerText
from neuralshelf.pipelines.ranking import Ranking
from neuralshelf.pipelines.spec import IndexSpec
from neuralshelf.resource import Kind, Resource, ref
from neuralshelf.templates import render


def ingest_pipeline_name(index: IndexSpec, prefix: str) -> str:
    """`PREFIX-INDEX-ingest`."""
    return f"{prefix}-{index.name}-ingest"


def ingest_pipeline(
    index: IndexSpec,
    connectors: Mapping[str, ConnectorSpec],
    *,
    prefix: str,
    ranking: Ranking | None = None,
    numbering: Mapping[str, Any] | None = None,
) -> Resource:
    """Text fields joined and embedded in batches, pictures embedded and then dropped.

    A document that can't be embedded is a failed item of its bulk; so is one with nothing to embed. Fields of a wrong
    kind fail with a message that names them. A vector whose stamp fits what it would be made from is left alone, so an
    `_update` of other fields asks no model; a picture's vector stays until a picture is sent.

    Args:
        prefix: of names, and the generation in stamps (`Deployment.generation`).
        numbering: parameters of the script that gives a document its cluster (`Centroids.numbering`).
    """
    body = render(
        "pipelines/ingest.json.j2",
        index=index,
        generation=prefix,
        texts=tuple(dict.fromkeys(field for vector in index.vectors.values() for field in vector.text)),
        models={n: ref(Kind.MODEL, model_name(prefix, v.connector, "ingest")) for n, v in index.vectors.items()},
        batches={name: texts_a_call(connectors[v.connector]) for name, v in index.vectors.items()},
        helpers=[*_helpers(index), *index.images],
        ranking=ranking,
        numbering=numbering,
    )
    return Resource(Kind.INGEST_PIPELINE, ingest_pipeline_name(index, prefix), body)


def texts_a_call(connector: ConnectorSpec) -> int | None:
    """For models that take a list; None for those that take a text and a picture."""
    return connector.batch_size if isinstance(connector, SageMakerText) else None


def _helpers(index: IndexSpec) -> Iterator[str]:
    """Fields that hold the models' inputs while the pipeline runs."""
    for name, vector in index.vectors.items():
        yield from (f"{name}_text",) * bool(vector.text)
        yield from (f"{name}_image",) * (vector.image is not None)
