"""Whether offline fusion gives here what the engine gives: asked of it before anything is tuned."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from neuralshelf.connectors.ranking import SHARE
from neuralshelf.pipelines.spec import candidates
from neuralshelf.relevance.fuse import fuse
from neuralshelf.relevance.legs import Legs, LegSearcher, refusals
from neuralshelf.relevance.queries import Query
from neuralshelf.relevance.scoring import Setting
from neuralshelf.relevance.system import PictureOf

QUERIES = 20
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Agreement:
    """How many of some queries have the same documents with the same scores, fused offline and by the engine."""

    queries: int
    same: int
    worst: float

    def as_dict(self) -> dict[str, float | None]:
        """For `--json`, which has no infinity: `worst` is null where documents differ."""
        return {"queries": self.queries, "same": self.same, "worst": self.worst if math.isfinite(self.worst) else None}


def agreement(
    searcher: LegSearcher, queries: Mapping[str, Query], legs: Mapping[str, Legs], how: Setting, picture: PictureOf
) -> Agreement:
    """Search some of the queries as they are configured, with and without pictures, and fuse them.

    They differ where another configuration is applied than the one at hand, where OpenSearch is another than this was
    made for, and where it searches a shard by several threads, each of which brings pagination_depth documents.

    Raises:
        SearchError: the cluster refused a search; EngineError: it can't be reached.
    """
    pictured = [name for name in legs if queries[name].image is not None]
    some = _spread(pictured, QUERIES // 2)
    some += _spread([name for name in legs if queries[name].image is None], QUERIES - len(some))
    worst = [_difference(searcher, queries[name], legs[name], how, picture) for name in some]
    return Agreement(len(worst), sum(each <= TOLERANCE for each in worst), max(worst, default=0.0))


def _spread(names: Sequence[str], most: int) -> list[str]:
    """So many of them, from first to last."""
    count = min(most, len(names))
    return [names[number * len(names) // count] for number in range(count)]


def _difference(searcher: LegSearcher, query: Query, legs: Legs, how: Setting, picture: PictureOf) -> float:
    """The greatest difference of a score; infinite where one has a document that the other hasn't."""
    depth = candidates(searcher.index, searcher.search)
    body = searcher.rendered(query, picture, size=depth)
    fusion = how.fusion_of(pictured=query.image is not None)
    fused = fuse((legs.keyword[how.keyword], *legs.vectors), fusion, collapse="collapse" in body)
    with refusals(f"query {query.id}"):
        hits = searcher.client.search(index=searcher.index.name, body={**body, "_source": False})["hits"]["hits"]
    preference = len(body["query"]["hybrid"]["queries"]) > 1 + len(legs.vectors)  # finds nothing for nobody, but weighs
    mine = {answer.id: answer.score * (1 - SHARE if preference else 1) for answer in fused}
    if len(hits) != min(len(fused), depth) or any(hit["_id"] not in mine for hit in hits):
        return math.inf
    return max((abs(mine[hit["_id"]] - float(hit["_score"])) for hit in hits), default=0.0)
