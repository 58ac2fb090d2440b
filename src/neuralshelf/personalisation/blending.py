"""What a ranking does to an answer, offline: the arithmetic of `templates/connectors/ranking-scores.painless.j2`."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from neuralshelf.connectors.ranking import LEAST


class Blended(NamedTuple):
    """One hit as the ranking leaves it.

    Attributes:
        place: in the answer before, from 0.
        score: weighted geometric mean of the hit's own score, by min-max over the hits, and of the preference.
        preference: 0 to 1; one half is as much as the average item.
    """

    place: int
    score: float
    preference: float


def blended(items: Sequence[str], scores: Sequence[float], liked: Mapping[str, float], weight: float) -> list[Blended]:
    """An answer in the order of a person.

    Args:
        items: what is ranked of each hit.
        scores: each hit's own, in the same order.
        liked: item -> score, as Personalize answers; one without, or with 0, is as much liked as the average.
        weight: of the preference, 0 to 1; 0 leaves the order as it is.
    """
    if not items:
        return []
    least, most = min(scores), max(scores)
    known = {item: score for item, score in liked.items() if score > 0}
    average = sum(known.values()) / max(len(known), 1)
    found = []
    for place, (item, score) in enumerate(zip(items, scores, strict=True)):
        own = (score - least) / (most - least) if most > least else 1.0
        lift = known[item] / average if item in known else 1.0
        preference = lift / (1 + lift)
        found.append(Blended(place, max(own, LEAST) ** (1 - weight) * preference**weight, preference))
    return sorted(found, key=lambda hit: -hit.score)
