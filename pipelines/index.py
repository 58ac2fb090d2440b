"""The index: fields, vectors and the alias that people search."""

from collections.abc import Mapping

from neuralshelf.connectors.spec import ConnectorSpec
from neuralshelf.pipelines.ranking import Ranking
from neuralshelf.pipelines.spec import IndexSpec, SearchSpec
from neuralshelf.resource import Kind, Resource
from neuralshelf.settings import VectorStore
from neuralshelf.templates import render


def index_resource(
    index: IndexSpec,
    search: SearchSpec,
    connectors: Mapping[str, ConnectorSpec],
    *,
    store: VectorStore,
    ingest_pipeline: str,
    search_pipeline: str,
    ranking: Ranking | None = None,
) -> Resource:
    """The index NAME-VERSION with the alias NAME and both pipelines as its defaults.

    Keyword fields of the keyword leg get a sub-field `text`, since a search's words seldom are a whole value.
    """
    body = render(
        "pipelines/index.json.j2",
        index=index,
        store=store,
        searched=search.keyword_fields,
        dimensions={name: connectors[vector.connector].dimension for name, vector in index.vectors.items()},
        ingest_pipeline=ingest_pipeline,
        search_pipeline=search_pipeline,
        ranking=ranking,
    )
    return Resource(Kind.INDEX, index.physical_name, body)
