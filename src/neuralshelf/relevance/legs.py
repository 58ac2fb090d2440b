"""The legs of the configured search, each asked once for each query: `fuse` joins them, without the engine.

The bodies are those that the stored template renders, taken apart, so that what is tuned is what is searched. A hybrid
query takes pagination_depth documents a shard and leg, so each shard is asked by itself. What was answered is kept in a
file: the next run asks for what is missing only, and for all when documents, index or models have changed.
"""

import copy
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from opensearchpy import ConnectionError as NoConnection
from opensearchpy import OpenSearch, TransportError
from tqdm import tqdm

from neuralshelf.batches import batches
from neuralshelf.client import reason
from neuralshelf.errors import EngineError, SearchError
from neuralshelf.pipelines.spec import IndexSpec, SearchSpec
from neuralshelf.relevance.fuse import LegAnswer
from neuralshelf.relevance.queries import Query
from neuralshelf.relevance.system import PictureOf

AT_ONCE = 4
"""Queries a request; each may bring a picture of some megabytes, in several legs."""

Keyword = tuple[str, ...]
"""Fields with boosts, as `SearchSpec.keyword`."""


@dataclass(frozen=True)
class Legs:
    """What the legs of one query found.

    Attributes:
        keyword: fields with boosts -> what the keyword leg finds by them; the configured ones are among them.
        vectors: what each vector's leg found, in the order of the configuration.
    """

    keyword: Mapping[Keyword, Sequence[LegAnswer]]
    vectors: Sequence[Sequence[LegAnswer]]


@dataclass(frozen=True)
class LegSearcher:
    """Asks the legs of one stored template on one index.

    Attributes:
        folder: where answers are kept.
    """

    client: OpenSearch
    index: IndexSpec
    search: SearchSpec
    folder: Path

    def search_all(
        self, queries: Mapping[str, Query], boosts: Sequence[Keyword], picture: PictureOf
    ) -> dict[str, Legs]:
        """Query id -> what its legs found, of the queries with a text: the template asks a picture alone of one leg.

        Args:
            boosts: of the keyword leg, besides the configured ones.

        Raises:
            InputError: a picture can't be taken.
            SearchError: the template is not as the configuration says, or the cluster refused a leg.
            EngineError: it can't be reached.
        """
        variants = [self.search.keyword, *(each for each in boosts if each != self.search.keyword)]
        found: dict[str, Legs] = {}
        kept = _Kept.open(self.folder, self._state())
        asked = [query for query in queries.values() if query.text]
        with tqdm(total=len(asked), desc="search legs", unit="query", file=sys.stderr, disable=_quiet()) as bar:
            for some in batches(asked, AT_ONCE):
                bodies = {query.id: self._bodies(query, variants, picture) for query in some}
                answers = self._answers([body for each in bodies.values() for body in each], kept)
                for identity, each in bodies.items():
                    legs = [answers[body] for body in each]
                    keyword = dict(zip(variants, legs[: len(variants)], strict=True))
                    found[identity] = Legs(keyword, legs[len(variants) :])
                bar.update(len(some))
        return found

    def rendered(self, query: Query, picture: PictureOf, **params: Any) -> dict[str, Any]:
        """The body that the stored template makes of a query.

        Raises:
            SearchError: there is no such template, or it makes no JSON of this query.
        """
        given = {**params, **query.filters}
        if query.text:
            given["text"] = query.text
        if query.image is not None:
            given["image"] = picture(query)
        with refusals(f"query {query.id}"):
            body = {"id": self.search.template, "params": given}
            answer = self.client.transport.perform_request("POST", "/_render/template", body=body)
        return dict(answer["template_output"])

    def _bodies(self, query: Query, variants: Sequence[Keyword], picture: PictureOf) -> list["_Body"]:
        hybrid = self.rendered(query, picture)["query"].get("hybrid")
        if hybrid is None or len(hybrid["queries"]) <= len(self.index.vectors):
            raise SearchError(
                f"template {self.search.template} has not the legs {', '.join(self.search.weights)}",
                hint="neuralshelf apply",
            )
        keyword, *vectors = hybrid["queries"][
            : 1 + len(self.index.vectors)
        ]  # a leg of preference finds nothing for nobody
        mine = [self._boosted(keyword, variant) for variant in variants]
        return [_Body.of(leg, int(hybrid["pagination_depth"])) for leg in (*mine, *vectors)]

    def _boosted(self, leg: Mapping[str, Any], keyword: Keyword) -> dict[str, Any]:
        """The keyword leg with other boosts."""
        made = copy.deepcopy(dict(leg))
        places = [node for node in _nodes(made) if _boosts(node.get("fields")) == _boosts(self.search.keyword)]
        if not places:
            raise SearchError(
                f"template {self.search.template} searches other fields than search.keyword", hint="neuralshelf apply"
            )
        for node in places:
            names = dict(zip(self.search.keyword_fields, (item.split("^")[0] for item in node["fields"]), strict=True))
            node["fields"] = [names[item.split("^")[0]] + "".join(item.partition("^")[1:]) for item in keyword]
        return made

    def _answers(self, bodies: Sequence["_Body"], kept: "_Kept") -> dict["_Body", list[LegAnswer]]:
        missing = list(dict.fromkeys(body for body in bodies if body.key not in kept.answers))
        if missing:
            kept.add(dict(zip((body.key for body in missing), self._asked(missing), strict=True)))
        return {body: kept.answers[body.key] for body in bodies}

    def _asked(self, bodies: Sequence["_Body"]) -> Iterator[list[LegAnswer]]:
        """One `_msearch`: each leg of each shard."""
        shards = range(self._shards)
        lines: list[Any] = []
        for body in bodies:
            for shard in shards:
                lines += [{"preference": f"_shards:{shard}"}, body.request(self.index.product)]
        with refusals("a leg"):
            responses = iter(self.client.msearch(index=self.index.name, body=lines)["responses"])
        for _ in bodies:
            yield [answer for shard in shards for answer in self._of_shard(next(responses), shard)]

    def _of_shard(self, response: Mapping[str, Any], shard: int) -> Iterator[LegAnswer]:
        if "error" in response:
            with refusals("a leg"):
                raise TransportError(response.get("status", 500), "", response)
        for hit in response["hits"]["hits"]:
            score, doc = hit["sort"]
            group = hit.get("fields", {}).get(self.index.product, [None])[0]
            yield LegAnswer(str(hit["_id"]), float(score), shard, int(doc), group)

    @cached_property
    def _shards(self) -> int:
        with refusals(f"index {self.index.name}"):
            settings = self.client.indices.get_settings(index=self.index.name, name="index.number_of_shards")
        if len(settings) != 1:
            raise SearchError(f"{self.index.name} is {len(settings)} indexes at once", hint="neuralshelf migrate")
        return int(next(iter(settings.values()))["settings"]["index"]["number_of_shards"])

    def _state(self) -> str:
        """What answers depend on besides their bodies: the documents, the models, and how words are taken apart."""
        with refusals(f"index {self.index.name}"):
            live = self.client.indices.get(index=self.index.name)
            stats = self.client.indices.stats(index=self.index.name, level="shards", metric="docs")["indices"]
            pipelines = {each["settings"]["index"].get("search", {}).get("default_pipeline") for each in live.values()}
            found = [self.client.search_pipeline.get(id=name)[name] for name in sorted(pipelines - {None})]
        models = [each.get("request_processors") for each in found]  # weights may change: they concern no leg
        written = {
            (name, shard): [copies[0]["seq_no"]["max_seq_no"], copies[0]["docs"]["count"]]
            for name, each in stats.items()
            for shard, copies in each["shards"].items()
        }
        return _digest([live, sorted(written.items()), models])


def raw_order(leg: Sequence[LegAnswer]) -> list[LegAnswer]:
    """A leg searched alone: all its shards, best first."""
    return sorted(leg, key=lambda answer: (-answer.score, answer.shard))


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """What the cluster says about `what`, as errors of ours."""
    try:
        yield
    except NoConnection as fault:
        raise EngineError(f"no answer from OpenSearch ({fault.error})", hint="neuralshelf status") from None
    except TransportError as fault:
        missing = "neuralshelf apply, then ingest" if fault.status_code == 404 else "neuralshelf status"
        raise SearchError(
            f"{what}: refused by the cluster ({fault.status_code}): {reason(fault)}", hint=missing
        ) from None


@dataclass(frozen=True)
class _Body:
    """One leg as a search of its own. Its key is a digest: legs may hold pictures."""

    key: str
    text: str
    depth: int

    @classmethod
    def of(cls, leg: Mapping[str, Any], depth: int) -> "_Body":
        text = json.dumps(leg, sort_keys=True, ensure_ascii=False)
        return cls(_digest([text, depth]), text, depth)

    def request(self, product: str | None) -> dict[str, Any]:
        made = {"query": json.loads(self.text), "size": self.depth, "sort": ["_score", "_doc"], "_source": False}
        return made | ({"docvalue_fields": [product]} if product else {})


@dataclass(frozen=True)
class _Kept:
    """Answers of legs in a file of JSON lines, in memory as well."""

    file: Path
    answers: dict[str, list[LegAnswer]]

    @classmethod
    def open(cls, folder: Path, state: str) -> "_Kept":
        """The answers of this state of the index; those of others are deleted."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"legs-{state[:24]}.jsonl"
        for old in folder.glob("legs-*.jsonl"):
            if old != file:
                old.unlink()
        with file.open("a+b") as ended:  # a line that a kill has cut off must not swallow the next one
            ended.seek(max(ended.tell() - 1, 0))
            if ended.read(1) not in (b"", b"\n"):
                ended.write(b"\n")
        return cls(file, dict(_read(file)))

    def add(self, answers: Mapping[str, Sequence[LegAnswer]]) -> None:
        with self.file.open("a", encoding="utf-8") as out:
            for key, answer in answers.items():
                self.answers[key] = list(answer)
                rows = [[each.id, each.score, each.shard, each.doc, each.group] for each in answer]
                out.write(json.dumps([key, rows]) + "\n")


def _read(file: Path) -> Iterator[tuple[str, list[LegAnswer]]]:
    """What a run before has kept; a line that a kill has cut off is asked again."""
    with file.open("rb") as lines:
        for line in lines:
            try:
                key, rows = json.loads(line)
            except ValueError:
                continue
            yield key, [LegAnswer(*row) for row in rows]


def _nodes(tree: Any) -> Iterable[dict[str, Any]]:
    """All objects in a body."""
    if isinstance(tree, dict):
        yield tree
    for part in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _nodes(part)


def _boosts(fields: Any) -> list[tuple[str, str]] | None:
    """Of each field its name, a sub-field's that of its field (`brand.text`), and its boost."""
    if not isinstance(fields, (list, tuple)):
        return None
    return [(name.split(".")[0], boost) for name, _, boost in (str(item).partition("^") for item in fields)]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _quiet() -> bool:
    return not sys.stderr.isatty()
