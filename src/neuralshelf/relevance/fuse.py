"""Hybrid queries without the engine: what OpenSearch makes of the legs' own answers, scores and order alike.

Each leg is searched once; any normalisation, combination and weights are then a matter of arrays. The arithmetic is
that of OpenSearch's normalization-processor and score-ranker-processor, in float32 and in their order, so that scores
agree to 1e-6. The rules, as 3.6.0 has them (tests/engine/relevance/test_fusion.py asks it):

    min_max    (score - least) / (greatest - least) of the leg; 0.001 instead of 0; all 1 where all are equal
    l2         score / √Σ score²
    z_score    (score - mean) / standard deviation (n - 1), 0.001 instead of 0 or less; a score that is the mean
               becomes the leg's greatest score
    rrf        1 / (rank_constant + rank), ranks from 1

A leg's statistics and ranks are taken over all shards. A document that a leg doesn't have counts as 0 in
arithmetic_mean and rrf; geometric_mean and harmonic_mean leave that leg out, its weight too. A score of 0 is as none.

Not covered: bounds of min_max; a shard searched by several threads, where each brings pagination_depth documents
(docs/tuning.md); the order of equal scores that are collapsed, where two legs' own scores are equal as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from neuralshelf.pipelines.spec import Combination, Normalization
from neuralshelf.relevance.run import Answer

FLOOR = np.float32(0.001)
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class LegAnswer(Answer):
    """One document of a leg's answer, and where it is: the engine lists equal scores by that.

    Attributes:
        shard: number of its shard.
        doc: its Lucene document number in the shard (`sort: ["_score", "_doc"]` tells it).
        group: what it is collapsed by, a product; None: it has none. All that have none are one group.
    """

    shard: int = 0
    doc: int = 0
    group: str | None = None


Leg = Sequence[LegAnswer]
"""What one sub-query finds, as many documents a shard as pagination_depth says, best first."""


@dataclass(frozen=True)
class Fusion:
    """How legs are joined (`SearchSpec`): a weight a leg; rank_constant is of rrf, which normalises nothing."""

    normalization: Normalization
    combination: Combination
    weights: tuple[float, ...]
    rank_constant: int = 60


def fuse(legs: Sequence[Leg], how: Fusion, *, collapse: bool = False) -> list[LegAnswer]:
    """The documents of all legs with their joined scores, as a hybrid query lists them.

    Args:
        collapse: of each group the best document only; legs are never collapsed themselves.

    Raises:
        ValueError: not as many weights as legs.
    """
    if len(how.weights) != len(legs):
        raise ValueError(f"{len(how.weights)} weights for {len(legs)} legs")
    found = Candidates.of(legs, collapse=collapse)
    scores = found.scores(how, np.asarray([how.weights], np.float32))[0]
    places = _best_of_groups(found.answers, scores) if collapse else np.argsort(-scores, kind="stable")
    return [_scored(found.answers[place], float(scores[place])) for place in places]


@dataclass(frozen=True, eq=False)
class Candidates:
    """The documents of all legs of one query, equals in the order in which the engine would list them.

    Attributes:
        answers: each document once; its score is that of one leg and means nothing here.
        raw: float32 [document, leg], the legs' own scores, 0 where a leg hasn't the document.
        ranks: int64 [document, leg], from 1, 0 where a leg hasn't the document.
        known: normalization or rank_constant -> what the legs give by it, when that was asked before.
    """

    answers: tuple[LegAnswer, ...]
    raw: Floats
    ranks: NDArray[np.int64]
    known: dict[str | int, list[Floats]] = field(default_factory=dict)

    @classmethod
    def of(cls, legs: Sequence[Leg], *, collapse: bool = False) -> "Candidates":
        """Of what each leg found."""
        legs = [[answer for answer in leg if np.float32(answer.score) > 0] for leg in legs]
        answers = _by_greatest(legs) if collapse else _by_hash(legs)
        places = {answer.id: place for place, answer in enumerate(answers)}
        raw = np.zeros((len(answers), len(legs)), np.float32)
        ranks = np.zeros((len(answers), len(legs)), np.int64)
        for number, leg in enumerate(legs):
            for rank, answer in enumerate(_ranked(leg), 1):
                raw[places[answer.id], number] = answer.score
                ranks[places[answer.id], number] = rank
        return cls(tuple(answers), raw, ranks)

    def scores(self, how: Fusion, weights: Floats) -> Floats:
        """Joined scores, float32 [weights, document], of several weights at once.

        Args:
            how: its own weights are not used.
            weights: float32 [weights, leg].
        """
        parts = self._parts(how)
        if how.combination == "rrf":
            return _sum(parts, weights)
        if how.combination == "arithmetic_mean":
            return _sum(parts, weights) / _sum([np.ones(len(self.answers), np.float32)] * len(parts), weights)
        return _mean(parts, weights, harmonic=how.combination == "harmonic_mean")

    def _parts(self, how: Fusion) -> list[Floats]:
        """What each leg gives to each document, float32 [document]; made once."""
        key = how.rank_constant if how.combination == "rrf" else how.normalization
        if key not in self.known:
            legs = zip(self.raw.T, self.ranks.T, strict=True)
            if how.combination == "rrf":
                self.known[key] = [_reciprocal(ranks, how.rank_constant) for _, ranks in legs]
            else:
                self.known[key] = [_normalised(raw, ranks, how.normalization) for raw, ranks in legs]
        return self.known[key]


def _scored(answer: LegAnswer, score: float) -> LegAnswer:
    return LegAnswer(answer.id, score, answer.shard, answer.doc, answer.group)


def _ranked(leg: Leg) -> list[LegAnswer]:
    """A leg over all shards, as score-ranker-processor ranks it: equals by Lucene's number, whatever the shard."""
    if len({answer.shard for answer in leg}) < 2:
        return list(leg)
    return sorted(leg, key=lambda answer: (-answer.score, answer.doc, answer.shard))


def _by_greatest(legs: Sequence[Leg]) -> list[LegAnswer]:
    """Shard by shard; within one by the greatest score of any leg: so the engine lists what it collapses."""
    greatest: dict[str, LegAnswer] = {}
    for answer in (answer for leg in legs for answer in leg):
        if answer.id not in greatest or answer.score > greatest[answer.id].score:
            greatest[answer.id] = answer
    return sorted(greatest.values(), key=lambda answer: (answer.shard, -answer.score, answer.doc))


def _best_of_groups(answers: Sequence[LegAnswer], scores: Floats) -> list[int]:
    """Places of the best of each group, best first; equals by shard, then as their groups were first met."""
    best: dict[str | None, int] = {}
    for place, answer in enumerate(answers):
        if answer.group not in best or scores[place] > scores[best[answer.group]]:
            best[answer.group] = place
    return sorted(best.values(), key=lambda place: (-scores[place], answers[place].shard))


def _by_hash(legs: Sequence[Leg]) -> list[LegAnswer]:
    """Shard by shard; within one as Java's HashMap lists its keys: the engine sorts such a list, stably."""
    shards: dict[int, dict[str, LegAnswer]] = {}
    for leg in legs:
        for answer in leg:
            shards.setdefault(answer.shard, {}).setdefault(answer.id, answer)
    found: list[LegAnswer] = []
    for _, documents in sorted(shards.items()):
        buckets = _buckets(len(documents))
        newest_first = reversed(documents.values())  # computeIfAbsent puts a key before others of its bucket
        found += sorted(newest_first, key=lambda answer: (answer.doc ^ answer.doc >> 16) & buckets - 1)
    return found


def _buckets(entries: int) -> int:
    """Size of a HashMap's table after so many entries: doubled whenever it gets over three quarters full."""
    size = 16
    while entries > size * 3 // 4:
        size *= 2
    return size


def _normalised(raw: Floats, ranks: NDArray[np.int64], how: Normalization) -> Floats:
    """float32 [document]; 0 where the leg hasn't the document."""
    there = ranks > 0
    if not there.any():
        return raw
    inside = raw[there]
    if how == "min_max":
        least, greatest = inside.min(), inside.max()
        made = np.ones_like(inside) if least == greatest else (inside - least) / (greatest - least)
        made[made == 0] = FLOOR
    elif how == "l2":
        best_first = inside[np.argsort(ranks[there])]
        made = inside / np.sqrt(np.cumsum(best_first * best_first, dtype=np.float32)[-1])
    else:
        mean = np.float32(inside.mean(dtype=np.float64))
        deviation = np.float32(inside.std(dtype=np.float64, ddof=1)) if len(inside) > 1 else np.float32(0)
        if deviation == 0:
            made = inside.copy()
        else:
            made = (inside - mean) / deviation
            made[made <= 0] = FLOOR
            made[inside == mean] = inside.max()
    scores = np.zeros_like(raw)
    scores[there] = made
    return scores


def _reciprocal(ranks: NDArray[np.int64], constant: int) -> Floats:
    """1 / (constant + rank), to ten decimals as the engine does it; 0 where there is no rank."""
    there = ranks > 0
    scores = np.zeros(len(ranks), np.float32)
    scores[there] = np.round(1 / (constant + ranks[there].astype(np.float64)), 10)
    return scores


def _sum(parts: Sequence[Floats], weights: Floats) -> Floats:
    """float32 [weights, document], leg after leg."""
    total = np.zeros((len(weights), len(parts[0])), np.float32)
    for leg, part in enumerate(parts):
        total += part[None, :] * weights[:, leg, None]
    return total


def _mean(parts: Sequence[Floats], weights: Floats, *, harmonic: bool) -> Floats:
    """Harmonic or geometric mean, float32 [weights, document], of the legs that have the document."""
    shape = (len(weights), len(parts[0]))
    total, weighed = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for leg, part in enumerate(parts):
        there = part > 0
        weight = weights[:, leg, None]
        weighed[:, there] += weight
        if harmonic:
            total[:, there] += weight / part[there]
        else:  # the engine adds in float64 and keeps float32
            total[:, there] = total[:, there] + weight.astype(np.float64) * np.log(part[there].astype(np.float64))
    with np.errstate(divide="ignore", invalid="ignore"):
        if harmonic:
            return np.where(total > 0, weighed / total, np.float32(0))
        return np.where(weighed > 0, np.exp((total / weighed).astype(np.float64)), 0).astype(np.float32)
