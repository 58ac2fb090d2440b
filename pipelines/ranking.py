"""Hits in the order of the person who asks: what search pipeline, ingest pipeline and index need for it."""

from dataclasses import dataclass
from typing import Self

from neuralshelf.connectors.ranking import RankingSpec, ranking_name
from neuralshelf.resource import Kind, ref

BASE_FIELD = "rank_base"
"""A 1 in every document. OpenSearch 3.6 hands a hit's score to no processor but `rerank`, which, asked to sort by a
field, keeps it as `previous_score`; by a field that is the same everywhere the order stays."""


@dataclass(frozen=True)
class Ranking:
    """How hits are ranked.

    Attributes:
        model: placeholder for the id of the model that ranks.
        item: field with what is ranked.
        oversample: so many times the hits of the page are ranked.
    """

    model: str
    item: str
    oversample: int
    base: str = BASE_FIELD

    @classmethod
    def of(cls, spec: RankingSpec | None, prefix: str) -> Self | None:
        """None when nothing is ranked."""
        if spec is None:
            return None
        return cls(ref(Kind.MODEL, ranking_name(prefix)), spec.item, spec.oversample)
