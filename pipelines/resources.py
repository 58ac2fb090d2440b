"""All that OpenSearch runs for one index: pipelines, index, stored templates."""

from collections.abc import Mapping
from typing import Any

from neuralshelf.connectors.spec import ConnectorSpec
from neuralshelf.pipelines.index import index_resource
from neuralshelf.pipelines.ingest import ingest_pipeline
from neuralshelf.pipelines.ranking import Ranking
from neuralshelf.pipelines.search import search_pipeline
from neuralshelf.pipelines.spec import IndexSpec, SearchSpec
from neuralshelf.pipelines.stored import search_templates
from neuralshelf.resource import Resource
from neuralshelf.settings import VectorStore


def pipeline_resources(
    index: IndexSpec,
    search: SearchSpec,
    connectors: Mapping[str, ConnectorSpec],
    *,
    store: VectorStore,
    prefix: str,
    ranking: Ranking | None = None,
    numbering: Mapping[str, Any] | None = None,
) -> list[Resource]:
    """Ingest pipeline, search pipeline, index and both search templates, of three parts that fit (`spec.check`)."""
    ingest = ingest_pipeline(index, connectors, prefix=prefix, ranking=ranking, numbering=numbering)
    searching = search_pipeline(index, search, prefix=prefix, ranking=ranking)
    made = index_resource(
        index,
        search,
        connectors,
        store=store,
        ingest_pipeline=ingest.name,
        search_pipeline=searching.name,
        ranking=ranking,
    )
    return [ingest, searching, made, *search_templates(index, search, prefix=prefix, ranking=ranking)]
