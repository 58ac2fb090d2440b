"""What a person likes, from what people did: implicit feedback with recency, over items or clusters of items.

A person's profile is how much they did with each item, newer things weighing more and those of the running session
most. What is often liked together counts for each other. The fewer there is to go by, the nearer are all scores to each
other: somebody unknown likes everything alike.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from neuralshelf.model_packages.ranker.store import Interaction, Interactions

DAY = 86_400.0
STRENGTHS: Mapping[str, float] = {
    **{"view": 1.0, "click": 2.0, "favourite": 4.0, "favorite": 4.0, "like": 4.0, "download": 4.0},
    **{"cart": 4.0, "purchase": 8.0, "dislike": -4.0},
}
"""How much an event says; any other one counts as a view."""


@dataclass(frozen=True)
class Taste:
    """How interactions become scores.

    Attributes:
        half_life: seconds before a person's newest interaction at which one counts half: taste outlasts an absence.
        session: seconds after which what an interaction counts more while it is fresh has halved; `fresh` is how many
            times more at first.
        together: how much of a score comes from what others liked together with it, against what the person did.
        doubt: how much everybody likes any item before they did anything: the larger, the more interactions it takes
            until scores differ.
        newest: interactions of a person that are looked at.
        most_items: items between which likeness is known, those with the most interactions.
        refresh: seconds for which likenesses are kept although there is news; then they are learnt again beside the
            rankings, which go by the old ones meanwhile. With 0 each ranking learns first.
    """

    half_life: float = 30 * DAY
    session: float = 3_600.0
    fresh: float = 3.0
    together: float = 0.5
    doubt: float = 1.0
    newest: int = 1_000
    most_items: int = 2_000
    refresh: float = 60.0


@dataclass(frozen=True)
class _Likeness:
    """Cosine of two items' interactions, 0 on the diagonal, float32, shape (items, items)."""

    place: Mapping[str, int]
    cosines: NDArray[np.float32]
    version: tuple[int, int]
    made: float


@dataclass
class Ranker:
    """Ranks items for people.

    Attributes:
        clock: now, in seconds since 1970.
    """

    store: Interactions
    taste: Taste = Taste()
    clock: Callable[[], float] = time.time
    _likeness: _Likeness | None = field(default=None, init=False)
    _learning: threading.Lock = field(default_factory=threading.Lock, init=False)

    def rank(self, user: str, items: Sequence[str]) -> list[tuple[str, float]]:
        """Each item once with its score, the most liked first; equally liked ones as they came.

        Scores are positive and sum to 1; what is asked besides does not change how two items compare. Of somebody
        unknown they are all the same.
        """
        distinct = tuple(dict.fromkeys(items))
        if not distinct:
            return []
        profile = self._profile(user)
        liked = np.array([max(profile.get(item, 0.0), 0.0) for item in distinct])
        if profile:
            liked += self.taste.together * self._together(profile, distinct)
        scores = (liked + self.taste.doubt) / (liked.sum() + self.taste.doubt * len(distinct))
        return [(distinct[place], float(scores[place])) for place in np.argsort(-scores, kind="stable")]

    def _profile(self, user: str) -> Mapping[str, float]:
        return self._weighed(self.store.of_user(user, self.taste.newest), self.clock())

    def _weighed(self, interactions: Iterable[Interaction], now: float) -> Mapping[str, float]:
        found: defaultdict[str, float] = defaultdict(float)
        listed = list(interactions)
        newest = max((one.at for one in listed), default=now)
        for one in listed:
            fresh = self.taste.fresh * 0.5 ** (max(now - one.at, 0.0) / self.taste.session)
            weight = 0.5 ** ((newest - one.at) / self.taste.half_life) + fresh
            found[one.item] += STRENGTHS.get(one.event.lower(), 1.0) * weight
        return found

    def _together(self, profile: Mapping[str, float], items: Sequence[str]) -> NDArray[np.float64]:
        """How much each item is liked together with those of the profile."""
        known = self._known()
        mine = np.zeros(len(known.place))
        for item, weight in profile.items():
            if (place := known.place.get(item)) is not None:
                mine[place] = max(weight, 0.0)
        all_scores = known.cosines @ mine
        places = [known.place.get(item) for item in items]
        return np.array([0.0 if place is None else float(all_scores[place]) for place in places])

    def _known(self) -> _Likeness:
        kept, version, now = self._likeness, self.store.version(), self.clock()
        if kept is not None and (kept.version == version or now - kept.made < self.taste.refresh):
            return kept
        if kept is None or not self.taste.refresh:
            kept = self._likeness = self._learn(version, now)
        elif self._learning.acquire(blocking=False):
            threading.Thread(target=self._learn_again, args=(version, now), daemon=True).start()
        return kept

    def _learn_again(self, version: tuple[int, int], now: float) -> None:
        try:
            self._likeness = self._learn(version, now)
        finally:
            self._learning.release()

    def _learn(self, version: tuple[int, int], now: float) -> _Likeness:
        profiles: defaultdict[str, list[Interaction]] = defaultdict(list)
        counts: defaultdict[str, int] = defaultdict(int)
        for one in self.store.everything(since=now - 8 * self.taste.half_life):
            profiles[one.user].append(one)
            counts[one.item] += 1
        often = sorted(counts, key=lambda item: (-counts[item], item))[: self.taste.most_items]
        place = {item: number for number, item in enumerate(often)}
        products = np.zeros((len(often), len(often)), np.float32)
        for interactions in profiles.values():
            weighed = self._weighed(interactions, now)
            here = [place[item] for item in weighed if item in place and weighed[item] > 0]
            liked = np.log1p(np.array([weighed[often[number]] for number in here], np.float32))
            products[np.ix_(here, here)] += np.outer(liked, liked)
        lengths = np.sqrt(products.diagonal())
        cosines = products / np.maximum(np.outer(lengths, lengths), np.finfo(np.float32).tiny)
        np.fill_diagonal(cosines, 0.0)
        return _Likeness(place, cosines, version, now)
