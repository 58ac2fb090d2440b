"""A system, in the words of information retrieval: one configured search that answers a set of queries with a run."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from opensearchpy import ConnectionError as NoConnection
from opensearchpy import NotFoundError, OpenSearch, TransportError
from tqdm import tqdm

from neuralshelf.batches import batches
from neuralshelf.client import reason
from neuralshelf.errors import ConfigError, EngineError, InputError, SearchError
from neuralshelf.pipelines.spec import TEMPLATE_PARAMETERS, IndexSpec, SearchSpec
from neuralshelf.relevance.queries import Query
from neuralshelf.relevance.run import Answer, distinct, product_of

DEPTH = 100
"""Answers that are asked for: what AP and a curve over ranks look at."""
AT_ONCE = 8
"""Queries a request; each may bring a picture of some megabytes."""
_IDS = 1_000

PictureOf = Callable[[Query], str]
"""A query -> its picture as base64, cut to its box if it has one; raises InputError, naming the query."""


@dataclass(frozen=True)
class System:
    """A stored search template with what is always given to it, on one index.

    Attributes:
        template: id of the stored template.
        params: further parameters of each search.
        depth: answers a query.
    """

    client: OpenSearch
    index: IndexSpec
    search: SearchSpec
    template: str
    params: Mapping[str, Any] = field(default_factory=dict)
    depth: int = DEPTH

    @classmethod
    def configured(
        cls,
        client: OpenSearch,
        index: IndexSpec,
        search: SearchSpec,
        *,
        template: str = "",
        params: Mapping[str, Any] | None = None,
        weights: Mapping[str, float] | None = None,
        depth: int = DEPTH,
    ) -> Self:
        """The configured template, or another one.

        Args:
            weights: of all legs, in place of the configured ones.

        Raises:
            ConfigError: weights that don't fit the legs or don't sum to 1.
        """
        given = dict(params or {})
        if weights:
            if set(weights) != set(search.weights):
                raise ConfigError(
                    f"--weights name {', '.join(weights)}", hint=f"give one for each of {', '.join(search.weights)}"
                )
            asked = SearchSpec.parse({**search.model_dump(), "weights": {**weights}}, "--weights")
            given["weights"] = {leg: float(weight) for leg, weight in asked.weights.items()}
        return cls(client, index, search, template or search.template, given, depth)

    @property
    def name(self) -> str:
        """Template and parameters, for people."""
        given = {name: value for name, value in self.params.items() if name != "weights"} | dict(
            self.params.get("weights", {})
        )
        return ", ".join([self.template, *(f"{name} {value}" for name, value in given.items())])

    def run(self, queries: Mapping[str, Query], picture: PictureOf) -> dict[str, list[Answer]]:
        """Ask all queries, some in each request. With `index.product`, answers are products, each once.

        Raises:
            InputError: a filter that the template does not know, or a picture that can't be taken.
            SearchError: the cluster refused a query; EngineError: it can't be reached.
        """
        for query in queries.values():
            self.check(query)
        found: dict[str, list[Answer]] = {}
        with tqdm(total=len(queries), desc=self.template, unit="query", file=sys.stderr, disable=_quiet()) as bar:
            for some in batches(queries.values(), AT_ONCE):
                found |= self._answers(some, picture)
                bar.update(len(some))
        return found

    def unknown(self, ids: Iterable[str]) -> list[str]:
        """Those of `ids` that no document has; a product's first document has the product's id.

        Raises:
            EngineError: the cluster can't be reached.
        """
        absent = []
        for some in batches(sorted(set(ids)), _IDS):
            with _told():
                docs = self.client.mget(index=self.index.name, body={"ids": some}, params={"_source": "false"})["docs"]
            absent += [doc["_id"] for doc in docs if not doc.get("found")]
        return absent

    def fields(self, ids: Iterable[str], names: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """Id -> some fields of each document that is there."""
        found: dict[str, Mapping[str, Any]] = {}
        only = {"_source_includes": ",".join(names)}
        for some in batches(sorted(set(ids)), _IDS):
            with _told():
                docs = self.client.mget(index=self.index.name, body={"ids": some}, params=only)["docs"]
            found |= {doc["_id"]: doc.get("_source", {}) for doc in docs if doc.get("found")}
        return found

    @property
    def _ours(self) -> bool:
        return self.template in (self.search.template, self.search.keyword_template)

    def check(self, query: Query) -> None:
        """A mustache template passes over what it does not know, and answers another query.

        Raises:
            InputError: our templates don't know one of its filters.
            ConfigError: nor one of `params`.
        """
        if not self._ours:
            return
        numbers = [name for name in self.search.filters if self.index.fields[name] != "keyword"]
        names = {name for name in self.search.filters if name not in numbers}
        names |= {f"{name}_{end}" for name in numbers for end in ("min", "max")}
        for name in query.filters:
            if name not in names:
                raise InputError(
                    f"query {query.id}: there is no filter {name}", hint=f"filters: {', '.join(sorted(names))}"
                )
        for name in self.params:
            if name not in names | TEMPLATE_PARAMETERS:
                raise ConfigError(
                    f"template {self.template} has no parameter {name}",
                    hint=f"parameters: {', '.join(sorted(names | TEMPLATE_PARAMETERS))}",
                )

    def _answers(self, queries: list[Query], picture: PictureOf) -> dict[str, list[Answer]]:
        lines: list[Any] = []
        for query in queries:
            params: dict[str, Any] = {"size": self.depth, **self.params, **query.filters}
            if query.text:
                params["text"] = query.text
            if query.image is not None:
                params["image"] = picture(query)
            lines += [{}, {"id": self.template, "params": params}]
        kept = ["status", "error", "hits.hits._id", "hits.hits._score"]
        kept += [f"hits.hits._source.{self.index.product}"] if self.index.product else []
        options = {"filter_path": ",".join(f"responses.{path}" for path in kept)}
        with _told():
            answer = self.client.msearch_template(index=self.index.name, body=lines, params=options)
        found = {}
        for query, response in zip(queries, answer["responses"], strict=True):
            if "error" in response:
                fault = TransportError(response.get("status", 500), "", response)
                raise SearchError(
                    f"query {query.id}: refused by the cluster ({fault.status_code}): {reason(fault)}",
                    hint="neuralshelf status",
                )
            answers = [self._answer(hit) for hit in response.get("hits", {}).get("hits", [])]
            found[query.id] = distinct(answers) if self.index.product else answers
        return found

    def _answer(self, hit: Mapping[str, Any]) -> Answer:
        score = hit.get("_score")
        identity = str(hit["_id"])
        if self.index.product:
            identity = hit.get("_source", {}).get(self.index.product) or product_of(identity)
        return Answer(identity, float("nan") if score is None else float(score))


@contextmanager
def _told() -> Iterator[None]:
    """What the cluster says, as errors of ours."""
    try:
        yield
    except NoConnection as fault:
        raise EngineError(f"no answer from OpenSearch ({fault.error})", hint="neuralshelf status") from None
    except NotFoundError as fault:
        raise SearchError(reason(fault), hint="neuralshelf apply, then ingest") from None
    except TransportError as fault:
        if "no requests added" in reason(fault):  # of an _msearch none of whose templates could be rendered
            raise SearchError(
                "the stored search template is not there, or can't be rendered", hint="neuralshelf apply"
            ) from None
        raise SearchError(
            f"refused by the cluster ({fault.status_code}): {reason(fault)}", hint="neuralshelf status"
        ) from None


def _quiet() -> bool:
    return not sys.stderr.isatty()
