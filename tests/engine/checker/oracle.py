"""What a search means, worked out by brute force: every document's score in every leg, then conditions, then ranks.

The scores of a leg are those that the engine gives to all documents when it is asked for that leg alone, those of
vectors held against exact cosines in numpy. All else is done here: conditions, the k nearest of each shard, the
candidates, fusion (`relevance.fuse`, which has its own tests), collapsing, sorting, counting, paging.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from opensearchpy import OpenSearch, TransportError

from neuralshelf.client import reason
from neuralshelf.relevance.fuse import Fusion, LegAnswer, fuse

Json = Any
Document = Mapping[str, Any]
ALL = 10_000
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Leg:
    """One sub-query without conditions.

    Attributes:
        query: for the engine.
        k: of a vector, how many nearest a shard; 0 for words.
        least: of a vector, its radial min_score; 0 for none.
        depth: candidates a shard where it is not that of the search.
    """

    query: Json
    k: int = 0
    least: float = 0.0
    depth: int = 0


@dataclass(frozen=True)
class Meaning:
    """What somebody wants who sends a search.

    Attributes:
        keep: the condition on a document.
        depth: candidates a leg and shard.
        least: of the joined score.
        group, sort, counts: fields to collapse by, to sort by, to count.
        counted: the condition of what is counted, where it is another one.
        total: hits.total is told.
    """

    legs: tuple[Leg, ...]
    weights: tuple[float, ...] = (1.0,)
    normalization: Any = "min_max"
    combination: Any = "arithmetic_mean"
    keep: Callable[[Document], bool] = lambda _: True
    depth: int = ALL
    start: int = 0
    size: int = 10
    least: float | None = None
    group: str | None = None
    sort: str | None = None
    counts: str | None = None
    total: bool = True
    hybrid: bool = True


@dataclass
class Answer:
    """An answer of the engine, or of the oracle; `error` when it was refused.

    Attributes:
        hits: (id, score or value sorted by), best first.
        beyond: of the oracle, the whole ranking: hits that tie with the last of the page may stand for it.
    """

    hits: list[tuple[str, float]] = field(default_factory=list)
    total: int | None = None
    counts: dict[str, int] | None = None
    error: str = ""
    beyond: list[tuple[str, float]] = field(default_factory=list)

    def differs(self, wanted: "Answer") -> str:
        """What is not as `wanted`; nothing when all is."""
        if self.error:
            return self.error
        if len(self.hits) != len(wanted.hits):
            return f"{len(self.hits)} hits instead of {len(wanted.hits)}"
        if len({identity for identity, _ in self.hits}) < len(self.hits):
            return "the same hit twice"
        ties: dict[str, float] = dict(wanted.beyond)
        for (identity, score), (_, expected) in zip(self.hits, wanted.hits, strict=True):
            if not abs(score - expected) <= TOLERANCE:
                return f"score {score:.6g} instead of {expected:.6g}"
            if abs(ties.get(identity, np.inf) - expected) > TOLERANCE:
                return "other hits"
        if self.total != wanted.total:
            return f"total {self.total} instead of {wanted.total}"
        if self.counts != wanted.counts:
            return f"counts {self.counts} instead of {wanted.counts}"
        return ""


class Oracle:
    """Of one index that no longer changes, of one segment a shard."""

    def __init__(self, client: OpenSearch, index: str, documents: Mapping[str, Document], shards: int) -> None:
        self.client = client
        self.index = index
        self.documents = documents
        self.shards = shards
        self._legs: dict[str, list[LegAnswer]] = {}

    def answer(self, meaning: Meaning) -> Answer:
        """What a search of this meaning has to answer."""
        every = [self._kept(leg, meaning) for leg in meaning.legs]
        matched = {one.id for leg in every for one in leg}
        if meaning.sort is not None:
            pairs = [(identity, float(self.documents[identity][meaning.sort])) for identity in matched]
            ranking = sorted(pairs, key=lambda pair: pair[1])
        elif meaning.hybrid:
            cut = [
                self._deepest(leg, spec.depth or meaning.depth) for leg, spec in zip(every, meaning.legs, strict=True)
            ]
            fusion = Fusion(meaning.normalization, meaning.combination, meaning.weights)
            ranking = [(one.id, one.score) for one in fuse(cut, fusion)]
        else:
            ranking = [(one.id, one.score) for one in every[0]]
        if meaning.least is not None:
            ranking = [pair for pair in ranking if pair[1] >= meaning.least]
        total = len(ranking) if meaning.least is not None else len(matched)
        if meaning.group is not None:
            ranking = self._best_of_each(ranking, meaning.group)
        return Answer(
            ranking[meaning.start : meaning.start + meaning.size],
            total if meaning.total else None,
            self._counted(matched, meaning.counts),
            beyond=ranking,
        )

    def ask(self, body: Json, target: str = "", params: Mapping[str, str] | None = None) -> Answer:
        """What the engine answers."""
        try:
            found = self.client.search(index=target or self.index, body=body, params=dict(params or {}))
        except TransportError as fault:
            return Answer(error=f"{fault.status_code}: {reason(fault)}")
        by_field = any("sort" in hit and hit["_score"] is None for hit in found["hits"]["hits"])
        hits = [(hit["_id"], _number(hit["sort"][0] if by_field else hit["_score"])) for hit in found["hits"]["hits"]]
        total = found["hits"]["total"]["value"] if "total" in found["hits"] else None
        counts = None
        for counted in found.get("aggregations", {}).values():
            counts = {bucket["key"]: bucket["doc_count"] for bucket in counted["buckets"]}
        return Answer(hits, total, counts)

    def scores(self, query: Json) -> list[LegAnswer]:
        """Every document that a leg matches, best first, equals in Lucene's order, shard after shard."""
        key = json.dumps(query, sort_keys=True)
        if key not in self._legs:
            found = [one for shard in range(self.shards) for one in self._shard(query, shard)]
            self._legs[key] = sorted(found, key=lambda one: (-one.score, one.shard, one.doc))
            self._hold_against_cosines(query, self._legs[key])
        return self._legs[key]

    def _shard(self, query: Json, shard: int) -> list[LegAnswer]:
        body = {"size": ALL, "_source": False, "query": query, "sort": ["_score", "_doc"], "track_scores": True}
        params = {"preference": f"_shards:{shard}", "search_pipeline": "_none"}
        hits = self.client.search(index=self.index, body=body, params=params)["hits"]["hits"]
        return [LegAnswer(hit["_id"], float(hit["_score"]), shard, int(hit["sort"][1])) for hit in hits]

    def _hold_against_cosines(self, query: Json, found: Sequence[LegAnswer]) -> None:
        if "knn" not in query:
            return
        ((name, options),) = query["knn"].items()
        assert len(found) == len(self.documents), "the leg alone gives every document its score"
        vectors = np.asarray([self.documents[one.id][name] for one in found], dtype=np.float64)
        asked = np.asarray(options["vector"], dtype=np.float64)
        cosines = vectors @ asked / np.linalg.norm(vectors, axis=1) / np.linalg.norm(asked)
        assert np.abs((1 + cosines) / 2 - [one.score for one in found]).max() < TOLERANCE

    def _kept(self, leg: Leg, meaning: Meaning) -> list[LegAnswer]:
        """All that a leg matches under the condition; of a vector, the k nearest of each shard that fulfil it."""
        found = [one for one in self.scores(leg.query) if one.score > 0 and meaning.keep(self.documents[one.id])]
        if leg.k:
            found = self._deepest(found, leg.k)
        return [one for one in found if one.score >= leg.least]

    def _deepest(self, found: Sequence[LegAnswer], depth: int) -> list[LegAnswer]:
        """The best of each shard."""
        left = Counter(dict.fromkeys(range(self.shards), depth))
        kept = []
        for one in found:
            if left[one.shard]:
                left[one.shard] -= 1
                kept.append(one)
        return kept

    def _best_of_each(self, ranking: Sequence[tuple[str, float]], group: str) -> list[tuple[str, float]]:
        best: dict[Any, tuple[str, float]] = {}
        for identity, score in ranking:
            best.setdefault(self.documents[identity][group], (identity, score))
        return list(best.values())

    def _counted(self, matched: set[str], counts: str | None) -> dict[str, int] | None:
        return None if counts is None else dict(Counter(self.documents[identity][counts] for identity in matched))


def _number(value: Any) -> float:
    """A score or a value sorted by; one that is no number equals none."""
    return float(value) if isinstance(value, int | float) else np.nan
