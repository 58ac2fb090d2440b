"""Why a hit stands where it stands in somebody's order: the parts of its score."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Why:
    """The score of a ranked hit is relevance ** (1 - weight) · preference ** weight.

    Attributes:
        search: the hit's own score, as it was before it was ranked.
        relevance: the same by min-max over the hits that were ranked, 0 to 1; None where it doesn't count, at weight 1.
        preference: how much such things are liked, 0 to 1; one half is as much as the average item.
        weight: of the preference, 0 to 1.
    """

    search: float
    relevance: float | None
    preference: float
    weight: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def why(hit: Mapping[str, Any], weight: float) -> Why | None:
    """The parts of one hit of a `_search` that said `explain`; None when it was not ranked: nobody was named, or no
    ranker answered.

    Args:
        weight: that the request brought, or else the configured one. Relevance follows from it, since hits beyond the
            page, which are not in the answer, were ranked as well.
    """
    search, preference = hit["_source"].get("search_score"), hit["_source"].get("preference")
    if not isinstance(search, int | float) or not isinstance(preference, int | float):
        return None
    relevance = None
    if weight < 1:
        relevance = round(min(1.0, (hit["_score"] / preference**weight) ** (1 / (1 - weight))), 6)
    return Why(float(search), relevance, float(preference), weight)
