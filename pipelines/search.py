"""The search pipeline: OpenSearch embeds queries and makes the scores of legs comparable."""

from neuralshelf.connectors.resources import model_name
from neuralshelf.pipelines.ranking import Ranking, all_weights
from neuralshelf.pipelines.spec import KEYWORD_LEG, IndexSpec, SearchSpec
from neuralshelf.resource import Kind, Resource, ref
from neuralshelf.templates import render


def search_pipeline_name(index: IndexSpec, prefix: str) -> str:
    """`PREFIX-INDEX-search`."""
    return f"{prefix}-{index.name}-search"


def search_models(index: IndexSpec, prefix: str) -> dict[str, str]:
    """Vector field -> placeholder for the id of the model that embeds queries for it."""
    return {n: ref(Kind.MODEL, model_name(prefix, v.connector, "search")) for n, v in index.vectors.items()}


def search_pipeline(index: IndexSpec, search: SearchSpec, *, prefix: str, ranking: Ranking | None = None) -> Resource:
    """The default of every `_search` on the index: model per vector field, normalisation, weights.

    A hybrid query has to bring its legs in the order `keyword`, then the vectors as in the configuration, then
    `preference` where that is a leg (`match_none` for none).

    What it can't do is keep vectors out of hits: no processor of OpenSearch 3.6 sets or filters `_source` safely. The
    stored templates exclude them; a search written by hand says `"_source": {"excludes": ["text_vector*", …]}`.

    Each leg embeds the text for itself, at the same time. So two vectors of one model cost a second call, but no time;
    an ml_inference processor would save it at the price of texts that no longer arrive byte-exact (ran, 3.6.0).
    """
    legs = (KEYWORD_LEG, *index.vectors)
    body = render(
        "pipelines/search.json.j2",
        index=index,
        models=search_models(index, prefix),
        search=search,
        ranking=ranking,
        # float: the engine takes decimals only, 1 and 0 are refused
        weights=all_weights(ranking, [float(search.weights[leg]) for leg in legs]),
    )
    return Resource(Kind.SEARCH_PIPELINE, search_pipeline_name(index, prefix), body)
