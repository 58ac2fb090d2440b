"""What a search meets: fields, legs, pipelines, shards, and whose documents an alias or a role lets through."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from neuralshelf.connectors.spec import ConnectorSpec
from neuralshelf.pipelines.ranking import PREFERENCE_LEG, Ranking
from neuralshelf.pipelines.resources import pipeline_resources
from neuralshelf.pipelines.spec import KEYWORD_LEG, IndexSpec, SearchSpec, candidates
from neuralshelf.resource import Kind
from neuralshelf.settings import VectorStore

Json = Any
MAX_WINDOW = 10_000  # index.max_result_window, OpenSearch's default


@dataclass(frozen=True)
class Field:
    """One field of the mapping; `dimension` and `space` of a knn_vector."""

    type: str
    dimension: int = 0
    space: str = ""


@dataclass(frozen=True)
class Facts:
    """All that the rules look at.

    Attributes:
        target: the index, alias or pattern that is searched.
        fields: dotted name -> field, sub-fields included.
        legs: `keyword`, the vector fields and `preference`, if it is one, in the order of the pipeline's weights; none
            when the target is not ours.
        k: candidates a leg by the configuration.
        product: the field to collapse by.
        pipeline: the search pipeline that applies when a search names none.
        pipelines: others by name, as far as they are known; None: not known at all.
        scattered: the indexes behind the target have different default pipelines.
        lost: name of a default pipeline that doesn't exist.
        shards: of all indexes behind the target.
        views: the most documents that one product has; 0 when not known.
        narrowed: the filter of the alias, or of the aliases, if it has one.
        secured: a role of this login lets it see only some documents; None when that can't be read.
    """

    target: str
    fields: Mapping[str, Field]
    legs: tuple[str, ...] = ()
    k: int = 100
    product: str | None = None
    pipeline: Mapping[str, Json] | None = None
    pipelines: Mapping[str, Mapping[str, Json]] | None = None
    scattered: bool = False
    lost: str = ""
    shards: int = 1
    replicas: int = 0
    views: int = 0
    narrowed: Json = None
    secured: bool | None = False
    window: int = MAX_WINDOW


def facts_of(
    index: IndexSpec,
    search: SearchSpec,
    connectors: Mapping[str, ConnectorSpec],
    *,
    store: VectorStore,
    prefix: str,
    ranking: Ranking | None = None,
) -> Facts:
    """Of the configuration alone; models are placeholders (`resource.ref`)."""
    resources = pipeline_resources(index, search, connectors, store=store, prefix=prefix, ranking=ranking)
    bodies = {resource.kind: resource.body for resource in resources}
    names = {resource.kind: resource.name for resource in resources}
    pipeline = bodies[Kind.SEARCH_PIPELINE]
    return Facts(
        index.name,
        dict(fields_of(bodies[Kind.INDEX]["mappings"])),
        legs=(KEYWORD_LEG, *index.vectors, *([PREFERENCE_LEG] if ranking and ranking.leg else [])),
        k=candidates(index, search),
        product=index.product,
        pipeline=pipeline,
        pipelines={names[Kind.SEARCH_PIPELINE]: pipeline},
        shards=store.shards,
        replicas=store.replicas,
        views=index.views if index.product else 0,
    )


def fields_of(mapping: Mapping[str, Json], above: str = "") -> Iterator[tuple[str, Field]]:
    """Dotted name and field of everything in a mapping."""
    for name, options in mapping.get("properties", {}).items():
        dotted = f"{above}{name}"
        method = options.get("method", {})
        space = options.get("space_type") or method.get("space_type") or "l2"
        kind = str(options.get("type", "object"))
        vector = kind == "knn_vector"
        yield dotted, Field(kind, int(options.get("dimension", 0)) if vector else 0, space if vector else "")
        for sub, more in options.get("fields", {}).items():
            yield f"{dotted}.{sub}", Field(str(more.get("type")))
        yield from fields_of(options, f"{dotted}.")
