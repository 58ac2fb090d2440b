"""Offline fusion against the engine: random hybrid queries, their scores to 1e-6 and their order, equals included.

Legs are asked as `relevance.legs` asks them. Documents are few, many are copies of others, and legs are cut short, so
that ties, empty legs, single hits and documents of one leg only come by themselves.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from opensearchpy import OpenSearch

from neuralshelf.pipelines.spec import Combination, Normalization
from neuralshelf.relevance.fuse import Fusion, LegAnswer, fuse

SEED = 20_261_127
QUERIES = 200
TOLERANCE = 1e-6
WORDS = ("red", "blue", "mug", "chair", "teapot", "small", "old", "glass", "wood", "gold")
DIMENSION = 4
PLACES = ("one-shard", "many-segments", "three-shards")
"""Shards, documents, segments a shard at the least."""
SHAPES = {"one-shard": (1, 60, 1), "many-segments": (1, 200, 4), "three-shards": (3, 150, 2)}
TECHNIQUES: tuple[tuple[Normalization, Combination], ...] = (
    ("min_max", "arithmetic_mean"),
    ("min_max", "geometric_mean"),
    ("min_max", "harmonic_mean"),
    ("l2", "arithmetic_mean"),
    ("l2", "geometric_mean"),
    ("l2", "harmonic_mean"),
    ("z_score", "arithmetic_mean"),
    ("min_max", "rrf"),
)
Body = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One hybrid query."""

    legs: Sequence[Body]
    how: Fusion
    depth: int
    collapse: bool

    def body(self) -> Body:
        weights = {"weights": list(self.how.weights)}
        if self.how.combination == "rrf":
            combination = {"technique": "rrf", "rank_constant": self.how.rank_constant, "parameters": weights}
            processor: Body = {"score-ranker-processor": {"combination": combination}}
        else:
            technique = {"technique": self.how.normalization}
            combination = {"technique": self.how.combination, "parameters": weights}
            processor = {"normalization-processor": {"normalization": technique, "combination": combination}}
        return {
            "size": 1000,
            "_source": False,
            "search_pipeline": {"phase_results_processors": [processor]},
            "query": {"hybrid": {"pagination_depth": self.depth, "queries": self.legs}},
            **({"collapse": {"field": "product"}} if self.collapse else {}),
        }

    def leg_bodies(self) -> list[Body]:
        common = {"size": self.depth, "_source": False, "sort": ["_score", "_doc"], "docvalue_fields": ["product"]}
        return [{"query": leg, **common} for leg in self.legs]


class Maker:
    """Random documents and queries."""

    def __init__(self, place: str) -> None:
        self.random = random.Random(f"{SEED} {place}")

    def documents(self, count: int) -> list[Body]:
        made: list[Body] = []
        for _ in range(count):
            made.append(
                dict(self.random.choice(made)) if made and self.random.random() < 0.3 else self._document(count)
            )
        return made

    def case(self, number: int) -> Case:
        depth = self.random.choice((1, 2, 5, 10, 30, 100))
        legs = [self._leg(depth) for _ in range(self.random.randint(2, 4))]
        technique = TECHNIQUES[number % len(TECHNIQUES)]
        how = Fusion(*technique, self._weights(len(legs)), self.random.choice((1, 10, 60)))
        return Case(legs, how, depth, self.random.random() < 0.3)

    def _document(self, count: int) -> Body:
        made: Body = {"text": " ".join(self.random.choices(WORDS, k=self.random.randint(1, 6))), "kind": self._kind()}
        made |= {"product": f"p{self.random.randrange(count // 3)}"} if self.random.random() < 0.95 else {}
        made |= {"cosine": self._vector()} if self.random.random() < 0.9 else {}
        return made | ({"euclid": self._vector()} if self.random.random() < 0.5 else {})

    def _leg(self, depth: int) -> Body:
        some = " ".join(self.random.choices(WORDS, k=self.random.randint(1, 3)))
        only = {"term": {"kind": self._kind()}}
        k = self.random.choice((1, 2, depth, depth + 5))
        return self.random.choice(
            (
                {"match": {"text": some}},
                {"bool": {"must": [{"match": {"text": some}}], "filter": [only]}},
                {"bool": {"should": [{"match": {"text": some}}], "filter": [only]}},  # scores of 0 among them
                {"knn": {"cosine": {"vector": self._vector(), "k": k}}},
                {"knn": {"euclid": {"vector": self._vector(), "k": depth, "filter": only}}},
                {"constant_score": {"filter": only, "boost": self.random.choice((0.3, 1.0))}},
                {"match": {"text": "nowhere"}},
                {"match_none": {}},
            )
        )

    def _kind(self) -> str:
        return self.random.choice("abc")

    def _vector(self) -> list[float]:
        return [self.random.gauss(0, 1) for _ in range(DIMENSION)]

    def _weights(self, legs: int) -> tuple[float, ...]:
        """Thousandths that sum to 1; now and then one is 0."""
        cuts = sorted(self.random.choices(range(1001), k=legs - 1))
        parts = [(end - start) / 1000 for start, end in zip([0, *cuts], [*cuts, 1000], strict=True)]
        if self.random.random() < 0.3:
            parts[0], parts[1] = 0.0, round(parts[0] + parts[1], 3)
        return tuple(parts)


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest, client: OpenSearch) -> Iterator[str]:
    """An index of random documents."""
    name = str(request.param)
    shards, count, segments = SHAPES[name]
    vector = {"type": "knn_vector", "dimension": DIMENSION, "method": {"name": "hnsw", "engine": "lucene"}}
    fields = {
        "text": {"type": "text"},
        "kind": {"type": "keyword"},
        "product": {"type": "keyword"},
        "cosine": {**vector, "space_type": "cosinesimil"},
        "euclid": {**vector, "space_type": "l2"},
    }
    settings = {
        "index.knn": True,
        "index.number_of_shards": shards,
        "index.number_of_replicas": 0,
        "index.refresh_interval": -1,
        # where a shard is searched by several threads, each brings pagination_depth documents (docs/tuning.md)
        "index.search.concurrent_segment_search.mode": "none",
    }
    client.indices.create(index=f"fusion-{name}", body={"settings": settings, "mappings": {"properties": fields}})
    try:
        documents = Maker(name).documents(count)
        for part in range(segments):
            lines: list[Body] = []
            for number in range(part, count, segments):
                lines += [{"index": {"_id": f"d{number}"}}, documents[number]]
            assert not client.bulk(body=lines, index=f"fusion-{name}", refresh=True)["errors"]
        yield name
    finally:
        client.indices.delete(index=f"fusion-{name}", ignore_unavailable=True)


def answers(client: OpenSearch, place: str, cases: Sequence[Case]) -> Iterator[tuple[Body, list[list[LegAnswer]]]]:
    """Of each case what the engine answers, and what its legs find, in one `_msearch`."""
    index, shards = f"fusion-{place}", range(SHAPES[place][0])
    lines: list[Body] = []
    for case in cases:
        lines += [{"index": index}, case.body()]
        for body in case.leg_bodies():
            for shard in shards:
                lines += [{"index": index, "preference": f"_shards:{shard}"}, body]
    responses = iter(client.msearch(body=lines)["responses"])
    for case in cases:
        whole = next(responses)
        legs = []
        for _ in case.legs:
            legs.append([answer for shard in shards for answer in leg_answers(next(responses), shard)])
        yield whole, legs


def leg_answers(response: Body, shard: int) -> Iterator[LegAnswer]:
    for hit in response["hits"]["hits"]:
        score, doc = hit["sort"]
        yield LegAnswer(hit["_id"], score, shard, doc, hit.get("fields", {}).get("product", [None])[0])


def test_scores_and_order_are_the_engines(client: OpenSearch, place: str) -> None:
    maker = Maker(f"{place} queries")
    cases = [maker.case(number) for number in range(QUERIES)]
    seen: Counter[str] = Counter()
    for case, (whole, legs) in zip(cases, answers(client, place, cases), strict=True):
        hits = [(hit["_id"], hit["_score"]) for hit in whole["hits"]["hits"]]
        found = fuse(legs, case.how, collapse=case.collapse)
        told = f"seed {SEED}, {place}: {case}"
        assert [answer.id for answer in found] == [identity for identity, _ in hits], told
        assert all(abs(answer.score - score) <= TOLERANCE for answer, (_, score) in zip(found, hits, strict=True)), told
        scores = [score for _, score in hits]
        seen.update({"ties": len(set(scores)) < len(scores), "empty legs": any(not leg for leg in legs)})
        seen.update({"nothing": not hits, "single": any(len(leg) == 1 for leg in legs), "collapsed": case.collapse})
        seen.update({"cut": any(len(leg) >= case.depth for leg in legs), case.how.combination: 1})
    assert min(seen[what] for what in ("ties", "empty legs", "collapsed", "cut")) >= QUERIES // 10, seen
    assert seen["nothing"], seen
    assert seen["single"] or place == "three-shards", seen
    assert len({case.how.combination for case in cases}) == 4
