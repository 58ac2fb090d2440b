"""Hits in the order of the person who asks: what search pipeline, ingest pipeline and index need for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from neuralshelf.connectors.ranking import SHARE, RankingSpec, ranking_name
from neuralshelf.resource import Kind, ref

BASE_FIELD = "rank_base"
"""A 1 in every document. OpenSearch 3.6 hands a hit's score to no processor but `rerank`, which, asked to sort by a
field, keeps it as `previous_score`; by a field that is the same everywhere the order stays."""

PREFERENCE_LEG = "preference"

HALF = 3.0
"""The score of words (BM25) with which what is liked counts half. 1, 10 and 30 do as well, with other weights of
preference (on the sample catalogue, by tests/bench/ranking.py); with 3, one half is a good weight."""


@dataclass(frozen=True)
class Ranking:
    """How hits are ranked.

    Attributes:
        model: placeholder for the id of the model that ranks.
        item: field with what is ranked.
        leg: what is liked is a leg of the hybrid query, the last; otherwise hits are put into order after the search.
        oversample: so many times the hits of the page are ranked.
        items: all that there are, of the leg; empty until clusters are known, and then nothing is liked.
    """

    model: str
    item: str
    leg: bool
    oversample: int
    items: Sequence[str]
    base: str = BASE_FIELD
    half: float = HALF

    @classmethod
    def of(cls, spec: RankingSpec | None, prefix: str, clusters: Sequence[str] = ()) -> Self | None:
        """None when nothing is ranked.

        Args:
            clusters: ids of all, if they are what is ranked.
        """
        if spec is None:
            return None
        model = ref(Kind.MODEL, ranking_name(prefix))
        return cls(model, spec.item, spec.method == "leg", spec.oversample, spec.items or clusters)


def all_weights(ranking: Ranking | None, weights: Sequence[float]) -> list[float]:
    """Weights of all legs, of those of keyword and vectors.

    The leg of preference has `SHARE`, so that it can outweigh the others. What it brings is small, and as large as the
    request's weight makes it: bounds keep its scores from being stretched (templates/pipelines/search_processors).
    """
    if ranking is None or not ranking.leg:
        return list(weights)
    return [*(round(weight * (1 - SHARE), 9) for weight in weights), SHARE]
