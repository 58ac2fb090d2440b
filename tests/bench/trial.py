"""Everybody's questions, each ranked for who asks it, and what came of it."""

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from personas import NOW, Ask, Person, Shop
from tqdm import tqdm

from neuralshelf.connectors.ranking import LEAST
from neuralshelf.model_packages.ranker.ranking import Ranker, Taste
from neuralshelf.model_packages.ranker.store import Interactions
from neuralshelf.personalisation.blending import blended
from neuralshelf.relevance.measures import Measurer
from neuralshelf.relevance.run import Answer
from neuralshelf.relevance.statistics import Interval, interval

MEASURE = "nDCG@10"
PAGE = 10
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
FOLDS = 5

Column = NDArray[np.float64]
Part = tuple[str, bool]
"""A group of people, and whether their questions are precise."""


def linear(own: Column, preference: Column, weight: float) -> Column:
    """Weighted mean of a hit's own score and of the preference, both 0 to 1."""
    return (1 - weight) * own + weight * preference


def geometric(own: Column, preference: Column, weight: float) -> Column:
    """Weighted geometric mean of both: what hardly answers the question stays down, however liked."""
    return np.asarray(np.maximum(own, LEAST) ** (1 - weight) * preference**weight)


BLENDS: Mapping[str, Callable[[Column, Column, float], Column]] = {"linear": linear, "geometric": geometric}


@dataclass(frozen=True)
class Outcome:
    """nDCG@10 by weight of preference, person and question.

    Everybody asks broad questions, and either all of a group ask precise ones or none.
    """

    people: Sequence[Person]
    values: Mapping[float, Mapping[tuple[str, str], float]]

    @cached_property
    def parts(self) -> dict[Part, list[Person]]:
        """The people of each group that asked broad and precise questions, in their order."""
        found: dict[Part, list[Person]] = {}
        for precise in (False, True):
            for person in self.people:
                if any(ask.precise is precise for ask in person.asks):
                    found.setdefault((person.group, precise), []).append(person)
        return found

    def before(self, part: Part) -> float:
        """Mean over the people of a part, unranked."""
        return float(self._means[part][0].mean())

    def gain(self, part: Part, weights: Mapping[str, float] | float) -> Interval:
        """Of each person's mean over their questions.

        Args:
            weights: of each person, or of all.
        """
        people, means = self.parts[part], self._means[part]
        own = [weights if isinstance(weights, float) else weights[person.name] for person in people]
        rows = [WEIGHTS.index(weight) for weight in own]
        return interval((means[rows, np.arange(len(people))] - means[0]).tolist())

    @cached_property
    def chosen(self) -> dict[str, float]:
        """Person -> the weight that is best for people of the other folds.

        Those with a taste and those without, broad and precise questions count alike.
        """
        folds = {part: np.arange(len(people)) % FOLDS for part, people in self.parts.items()}
        found: dict[str, float] = {}
        for fold in range(FOLDS):
            others = [self._means[part][:, folds[part] != fold] for part in self.parts if part[0] != "changed"]
            best = np.mean([each.mean(axis=1) for each in others], axis=0).argmax()
            for people in self.parts.values():
                found |= {person.name: WEIGHTS[best] for person in people[fold::FOLDS]}
        return found

    @cached_property
    def _means(self) -> dict[Part, Column]:
        """Of each person's questions; shape (weights, people)."""
        return {
            (group, precise): np.array(
                [
                    [
                        np.mean([of_weight[p.name, ask.question] for ask in p.asks if ask.precise is precise])
                        for p in people
                    ]
                    for of_weight in (self.values[weight] for weight in WEIGHTS)
                ]
            )
            for (group, precise), people in self.parts.items()
        }


@dataclass(frozen=True)
class Trial:
    """A way to rank.

    Attributes:
        answers: text of a question -> products with their scores, the candidates of ranking.
        items: product -> what is ranked of it.
        candidates: answers that are ranked.
        graded: judge by taste instead of by picks: 3 what answers and is liked, 1 what only answers.
    """

    shop: Shop
    answers: Mapping[str, Sequence[Answer]]
    items: Mapping[str, str]
    blend: Callable[[Column, Column, float], Column] = geometric
    candidates: int = 100
    graded: bool = False
    taste: Taste = field(default_factory=Taste)
    now: float = NOW

    def outcome(self, people: Sequence[Person], history_of: Mapping[str, str] | None = None) -> Outcome:
        """What the people get.

        Args:
            history_of: whose history the ranker takes for somebody's, by name; their own if None.
        """
        asks = {(person.name, ask.question): self._grades(person, ask) for person in people for ask in person.asks}
        liked = self.liked(people, history_of or {})
        names = {pair: "|".join(pair) for pair in asks}
        measurer = Measurer({names[pair]: grades for pair, grades in asks.items()}, [MEASURE])
        pages: dict[float, dict[str, list[Answer]]] = {weight: {} for weight in WEIGHTS}
        for pair, name in names.items():
            for weight, page in self.pages(pair[1], liked[pair], WEIGHTS).items():
                pages[weight][name] = page
        values = {}
        for weight in WEIGHTS:
            found = measurer.per_query(pages[weight])[MEASURE]
            values[weight] = {pair: found[name] for pair, name in names.items()}
        return Outcome(people, values)

    def liked(self, people: Sequence[Person], history_of: Mapping[str, str]) -> dict[tuple[str, str], dict[str, float]]:
        """What the ranker answers to each person's questions: item -> score."""
        with tempfile.TemporaryDirectory() as folder:
            store = Interactions(Path(folder) / "interactions.db")
            for person in people:
                store.add(one._replace(item=self.items[one.item]) for one in person.history if one.item in self.items)
            ranker = Ranker(store, self.taste, clock=lambda: self.now)
            found = {}
            for person in tqdm(people, desc="people", disable=not sys.stderr.isatty()):
                whose = history_of.get(person.name, person.name)
                for ask in person.asks:
                    items = [self.items.get(each.id, "") for each in self.answers[ask.question][: self.candidates]]
                    found[person.name, ask.question] = dict(ranker.rank(whose, items))
            store.close()
        return found

    def pages(self, question: str, liked: Mapping[str, float], weights: Sequence[float]) -> dict[float, list[Answer]]:
        """The page at each weight."""
        answers = self.answers[question][: self.candidates]
        items, scores = [self.items.get(each.id, "") for each in answers], [each.score for each in answers]
        hits = sorted(blended(items, scores, liked, 0.0), key=lambda hit: hit.place)
        own, preference = (np.array([getattr(hit, name) for hit in hits]) for name in ("score", "preference"))
        return {
            weight: [answers[place] for place in np.argsort(-self.blend(own, preference, weight), kind="stable")[:PAGE]]
            for weight in weights
        }

    def _grades(self, person: Person, ask: Ask) -> Mapping[str, int]:
        if not self.graded or ask.precise:
            return ask.picks
        likes = set(person.likes)
        return {each: 3 if self.shop.categories[each] & likes else 1 for each in self.shop.questions[ask.question]}
