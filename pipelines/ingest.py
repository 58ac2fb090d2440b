"""The ingest pipeline: OpenSearch embeds documents before it indexes them."""

from collections.abc import Mapping

from neuralshelf.connectors.resources import model_name
from neuralshelf.connectors.spec import ConnectorSpec, SageMakerText
from neuralshelf.pipelines.spec import IndexSpec
from neuralshelf.resource import Kind, Resource, ref
from neuralshelf.templates import render


def ingest_pipeline_name(index: IndexSpec, prefix: str) -> str:
    """`PREFIX-INDEX-ingest`."""
    return f"{prefix}-{index.name}-ingest"


def ingest_pipeline(index: IndexSpec, connectors: Mapping[str, ConnectorSpec], *, prefix: str) -> Resource:
    """Text fields joined and embedded in batches, pictures embedded and then dropped.

    A document that can't be embedded is a failed item of its bulk; so is one with nothing to embed. Fields of a wrong
    kind fail with a message that names them. On an `_update` a picture's vector stays, a text's is made again.
    """
    body = render(
        "pipelines/ingest.json.j2",
        index=index,
        texts=tuple(dict.fromkeys(field for vector in index.vectors.values() for field in vector.text)),
        models={n: ref(Kind.MODEL, model_name(prefix, v.connector, "ingest")) for n, v in index.vectors.items()},
        batches={name: _batch(connectors[v.connector]) for name, v in index.vectors.items()},
        helpers=[*(f"{name}_text" for name, v in index.vectors.items() if v.text), *index.images],
    )
    return Resource(Kind.INGEST_PIPELINE, ingest_pipeline_name(index, prefix), body)


def _batch(connector: ConnectorSpec) -> int | None:
    """Texts a call, for models that take a list; None for those that take a text and a picture."""
    return connector.batch_size if isinstance(connector, SageMakerText) else None
