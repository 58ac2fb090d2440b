"""One search as OpenSearch would take it: body, URL parameters, and what it meets."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from neuralshelf.checker.clauses import Clause, Malformed, clause, walk
from neuralshelf.checker.facts import Facts

Json = Any
NORMALISERS = ("normalization-processor", "score-ranker-processor")
DEFAULT_SIZE = 10  # OpenSearch's own

_OBJECTS = ("aggregations", "aggs", "collapse", "post_filter")

_NUMBERS = ("from", "size", "terminate_after")
_FLAGS = ("explain", "profile", "track_scores")
_WORDS = ("search_pipeline", "timeout")


@dataclass
class Search:
    """A search that rules look at and change.

    Attributes:
        body: a copy; URL parameters that override keys of the body are in it already.
        params: the others.
    """

    facts: Facts
    body: dict[str, Json]
    params: dict[str, str]

    @classmethod
    def of(cls, facts: Facts, body: Json, params: Mapping[str, str]) -> "Search":
        """Raises Malformed when it is no search."""
        if not isinstance(body, dict):
            raise Malformed("", "the body must be a JSON object")
        # by way of JSON: a copy in which nothing stands in two places at once, since rules change what they find
        made, left = json.loads(json.dumps(body)), dict(params)
        for name in [name for name in left if name in (*_NUMBERS, *_FLAGS, *_WORDS, "sort")]:
            made[name] = _parsed(name, left.pop(name))
        for name in _OBJECTS:
            if not isinstance(made.get(name, {}), dict):
                raise Malformed(name, "must be an object")
        _pipeline(made.get("search_pipeline", {}))
        for name in ("from", "size"):
            if name in made:
                made[name] = _number(made[name], name)
        return cls(facts, made, left)

    @property
    def query(self) -> Clause | None:
        """The query, if it has one."""
        return clause(self.body["query"], "query") if "query" in self.body else None

    @property
    def clauses(self) -> Iterator[Clause]:
        """Every clause of the query."""
        return walk(self.query) if self.query else iter(())

    @property
    def hybrid(self) -> Clause | None:
        """The query, if it is a hybrid one."""
        return self.query if self.query and self.query.name == "hybrid" else None

    @property
    def legs(self) -> list[Clause]:
        """Sub-queries of the hybrid query."""
        if self.hybrid is None:
            return []
        inside = self.hybrid.options.get("queries")
        if not isinstance(inside, list) or not inside:
            raise Malformed(f"{self.hybrid.at}.queries", "a hybrid query needs a list of queries")
        return [
            clause(node, f"{self.hybrid.at}.queries[{number}]", ("hybrid.queries",))
            for number, node in enumerate(inside)
        ]

    @property
    def size(self) -> int:
        """Hits of a page."""
        return int(self.body.get("size", DEFAULT_SIZE))

    @property
    def page_end(self) -> int:
        """Rank of the last hit of the page."""
        return int(self.body.get("from", 0)) + self.size

    @property
    def depth(self) -> int | None:
        """pagination_depth, if it is given."""
        if self.hybrid is None or "pagination_depth" not in self.hybrid.options:
            return None
        return _number(self.hybrid.options["pagination_depth"], f"{self.hybrid.at}.pagination_depth")

    @property
    def pipeline(self) -> Mapping[str, Json] | None:
        """The search pipeline that applies; None when there is none, or it is one that nobody knows."""
        named = self.body.get("search_pipeline")
        if isinstance(named, dict):
            return named
        if named is None:
            return None if self.facts.scattered else self.facts.pipeline
        return (self.facts.pipelines or {}).get(named)

    @property
    def weights(self) -> list[Json] | None:
        """Weights of the pipeline that applies, if it has some."""
        options = normaliser(self.pipeline)
        found = options and options.get("combination", {}).get("parameters", {}).get("weights")
        return found if isinstance(found, list) else None

    @cached_property
    def given_pipeline(self) -> bool:
        """The search names or brings a pipeline of its own."""
        return "search_pipeline" in self.body


def normaliser(pipeline: Mapping[str, Json] | None) -> dict[str, Json] | None:
    """Options of the processor that joins the scores of legs."""
    for processor in (pipeline or {}).get("phase_results_processors", []):
        for name in NORMALISERS:
            if name in processor:
                options: dict[str, Json] = processor[name]
                for part in ("normalization", "combination"):
                    if not isinstance(options.get(part, {}), dict):
                        raise Malformed(f"search_pipeline.{name}.{part}", "must be an object")
                return options
    return None


def models_of(pipeline: Mapping[str, Json] | None) -> dict[str, str]:
    """Vector field -> model that embeds queries for it; `*` for all others."""
    found: dict[str, str] = {}
    for processor in (pipeline or {}).get("request_processors", []):
        options = processor.get("neural_query_enricher", {})
        found |= options.get("neural_field_default_id", {})
        if "default_model_id" in options:
            found["*"] = options["default_model_id"]
    return found


def whole(value: Json, path: str) -> int:
    """A number that may stand in quotes, as OpenSearch takes it."""
    return _number(value, path)


def _pipeline(named: Json) -> None:
    """Raises Malformed when it is neither the name of a pipeline nor one."""
    parts = named if isinstance(named, dict) else {}
    lists = [parts.get(f"{kind}_processors", []) for kind in ("request", "phase_results", "response")]
    processors = [one for listed in lists if isinstance(listed, list) for one in listed]
    options = [value for one in processors if isinstance(one, dict) for value in one.values()]
    sound = isinstance(named, str | dict) and all(isinstance(listed, list) for listed in lists)
    if not (sound and all(isinstance(one, dict) for one in [*processors, *options])):
        raise Malformed("search_pipeline", "must be the name of a pipeline, or lists of processors")


def _number(value: Json, path: str) -> int:
    try:
        if isinstance(value, bool):
            raise ValueError
        return int(value)
    except (TypeError, ValueError):
        raise Malformed(path, "must be a whole number") from None


def _parsed(name: str, value: str) -> Json:
    if name in _NUMBERS:
        return _number(value, f"?{name}")
    if name in _FLAGS:
        return value in ("true", "")
    if name == "sort":
        pairs = [item.split(":") for item in value.split(",")]
        return [{pair[0]: pair[1]} if len(pair) > 1 else pair[0] for pair in pairs]
    return value
