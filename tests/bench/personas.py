"""People who do not exist: what they did with the products of a shop, and what they pick of answers later.

As the interactions of AWS's Retail Demo Store are generated: somebody likes three categories, the first most (0.6,
0.25, 0.15). There they do nothing else; here a share `liking` of what they do is with these, the rest with any product.
Views, carts and purchases as 7 : 2 : 1.

What they ask follows "Learning a hierarchical embedding model for personalized product search" (Ai et al., SIGIR
2017): first comes the product that somebody will pick, then a question that it answers. Of all products that answer it
they pick some more, by the same taste. Picks are drawn after and apart from the history; neither knows what is ranked,
nor how.
"""

import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from neuralshelf.model_packages.ranker.ranking import DAY
from neuralshelf.model_packages.ranker.store import Interaction

NOW = 1_780_000_000.0
"""2026-05-28."""

AFFINITY = (0.6, 0.25, 0.15)
FUNNEL = {"view": 0.7, "cart": 0.2, "purchase": 0.1}
DAYS = 90

Group = Literal["taste", "neutral", "changed", "real"]
"""With a taste; without one, who does and picks anything alike; with another taste by now than in their history."""


@dataclass(frozen=True)
class Ask:
    """One question of somebody.

    Attributes:
        picks: product -> grade: how often they picked it of the answers.
        precise: they want what the question says, whatever they like; `picks` are its judgements.
    """

    question: str
    at: float
    picks: Mapping[str, int]
    precise: bool = False


@dataclass(frozen=True)
class Person:
    """Somebody.

    Attributes:
        likes: categories that they like when they ask.
        history: what they did before, with products.
    """

    name: str
    group: Group
    likes: tuple[str, ...]
    history: tuple[Interaction, ...]
    asks: tuple[Ask, ...]


@dataclass(frozen=True)
class Behaviour:
    """How people are.

    Attributes:
        people: of each group.
        liking: share of what they do that is with what they like.
        events: of each in their history.
        asks: questions of each; fewer where there are fewer.
        picks: products that they pick of an answer.
        now: when they stop doing things and begin to ask, seconds since 1970.
    """

    people: int = 100
    liking: float = 0.7
    events: int = 40
    asks: int = 10
    picks: int = 5
    now: float = NOW
    seed: int = 0


@dataclass(frozen=True)
class Shop:
    """What there is.

    Attributes:
        categories: product -> what it can be liked for, `FIELD=VALUE`: its kind, or its kind, colour and maker.
        questions: text -> products that answer it; broad ones.
        judged: text -> product -> grade; precise ones.
    """

    categories: Mapping[str, frozenset[str]]
    questions: Mapping[str, Collection[str]]
    judged: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def population(self, behaviour: Behaviour) -> list[Person]:
        """As many people of each group; the same behaviour gives the same people."""
        groups: tuple[Group, ...] = ("taste", "neutral", "changed")
        return [self._person(group, n, behaviour) for group in groups for n in range(behaviour.people)]

    def _person(self, group: Group, number: int, behaviour: Behaviour) -> Person:
        name = f"{group}-{number}"
        chance = random.Random(f"{behaviour.seed} {name}")
        every = sorted({category for each in self.categories.values() for category in each})
        before, later = (_likes(every, chance) if group != "neutral" else () for _ in range(2))
        if group == "taste":
            later = before
        chooser = _Chooser(self.categories, behaviour.liking, chance)
        history = tuple(
            Interaction(name, chooser.one(before, sorted(self.categories)), _event(chance), at)
            for at in sorted(behaviour.now - chance.uniform(0.01, DAYS) * DAY for _ in range(behaviour.events))
        )
        precise = chance.sample(sorted(self.judged), min(behaviour.asks, len(self.judged)))
        asks = [Ask(text, behaviour.now + 1.0, self.judged[text], precise=True) for text in precise]
        return Person(name, group, later, history, (*self._asks(later, chooser, behaviour), *asks))

    def _asks(self, likes: Sequence[str], chooser: "_Chooser", behaviour: Behaviour) -> tuple[Ask, ...]:
        answered: dict[str, list[str]] = {}
        for text, products in self.questions.items():
            for product in products:
                answered.setdefault(product, []).append(text)
        found: dict[str, Ask] = {}
        for number in range(5 * behaviour.asks):  # some questions come twice
            if len(found) == behaviour.asks:
                break
            wanted = chooser.one(likes, sorted(answered))
            text = chooser.chance.choice(sorted(answered[wanted]))
            if text not in found:
                relevant = sorted(self.questions[text])
                more = [chooser.one(likes, relevant) for _ in range(behaviour.picks - 1)]
                found[text] = Ask(text, behaviour.now + number + 1.0, Counter([wanted, *more]))
        return tuple(found.values())


@dataclass(frozen=True)
class _Chooser:
    """Chooses products by a taste."""

    categories: Mapping[str, frozenset[str]]
    liking: float
    chance: random.Random

    def one(self, likes: Sequence[str], products: Sequence[str]) -> str:
        """Of a liked category in a share `liking` of choices, if there is one; otherwise any."""
        if likes and self.chance.random() < self.liking:
            (category,) = self.chance.choices(likes, AFFINITY)
            liked = [product for product in products if category in self.categories[product]]
            liked = liked or [product for product in products if self.categories[product] & set(likes)]
            if liked:
                return self.chance.choice(liked)
        return self.chance.choice(products)


def _likes(categories: Sequence[str], chance: random.Random) -> tuple[str, ...]:
    """Three categories, `FIELD=VALUE`; where they are of several fields, each field is as likely."""
    by_field: dict[str, list[str]] = {}
    for category in categories:
        by_field.setdefault(category.split("=", 1)[0], []).append(category)
    found: list[str] = []
    while len(found) < len(AFFINITY):
        category = chance.choice(by_field[chance.choice(sorted(by_field))])
        if category not in found:
            found.append(category)
    return tuple(found)


def _event(chance: random.Random) -> str:
    return chance.choices(list(FUNNEL), list(FUNNEL.values()))[0]
