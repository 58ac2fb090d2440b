"""What ranking for a person is worth: nDCG@10 of what people with a taste, and people without one, went on to choose.

    ./inv up && ./inv ingest … && ./inv cluster && ./inv apply
    python tests/bench/personal.py --queries samples/queries.jsonl --qrels samples/qrels.txt

People are simulated, as retail demo data sets do it: somebody with a taste likes three clusters of products, the first
most; of what they do, seven tenths are with these, in proportion 6 : 2.5 : 1.5, views, carts and purchases as 7 : 2 : 1;
somebody without one does anything alike. Each asks queries and wants products that answer them (grade 1 or more), those
of their taste seven times in ten. What they did before is the ranker's; what they want after it judges. The weight of
preference is chosen on other people than it is judged on, in five folds. Each query is asked once; all else is reckoned
offline, as the cluster does (personalisation/blending.py).
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from neuralshelf.deployment import Deployment
from neuralshelf.local.interactions import ranking_of
from neuralshelf.local.stack import Stack
from neuralshelf.model_packages.ranker.ranking import DAY, Ranker
from neuralshelf.model_packages.ranker.store import Interaction, Interactions
from neuralshelf.personalisation.blending import blended
from neuralshelf.relevance.judgements import read_qrels
from neuralshelf.relevance.queries import read_queries
from neuralshelf.settings import Folders
from tabulate import tabulate
from tqdm import tqdm

NOW = 1_800_000_000.0
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
LIKED = (6.0, 2.5, 1.5)
LIKING = 0.7
FUNNEL = {"view": 0.7, "cart": 0.2, "purchase": 0.1}
DEPTH, CANDIDATES, FOLDS = 10, 30, 5


@dataclass(frozen=True)
class Hit:
    """A product of an answer: its id, its own score, and its cluster."""

    id: str
    score: float
    item: str


@dataclass(frozen=True)
class Person:
    """Somebody who likes some clusters, or (an empty `likes`) none more than others."""

    name: str
    likes: tuple[str, ...]


def people(clusters: Sequence[str], number: int, chance: random.Random) -> list[Person]:
    """Half with a taste, half without."""
    return [
        Person(f"person-{n}", tuple(chance.sample(clusters, len(LIKED))) if n % 2 == 0 else ()) for n in range(number)
    ]


def choose(person: Person, products: Mapping[str, str], chance: random.Random) -> str | None:
    """One of the products (id -> cluster): of those in a liked cluster seven times in ten."""
    if not products:
        return None
    if person.likes and chance.random() < LIKING:
        cluster = chance.choices(person.likes, LIKED)[0]
        liked = [product for product, its in products.items() if its == cluster]
        liked = liked or [product for product, its in products.items() if its in person.likes]
        if liked:
            return chance.choice(liked)
    return chance.choice(list(products))


def history(person: Person, products: Mapping[str, str], events: int, chance: random.Random) -> list[Interaction]:
    """What they did in the ninety days before, told by cluster."""
    found = []
    for _ in range(events):
        product = choose(person, products, chance)
        assert product is not None
        event = chance.choices(list(FUNNEL), list(FUNNEL.values()))[0]
        found.append(Interaction(person.name, products[product], event, NOW - chance.uniform(1, 90) * DAY))
    return found


def ndcg(order: Sequence[str], wanted: Mapping[str, float]) -> float:
    """nDCG@10 with gains of `wanted` (Järvelin and Kekäläinen, "Cumulated gain-based evaluation", 2002)."""
    discounts = 1 / np.log2(np.arange(2, DEPTH + 2))
    gains = np.array([wanted.get(product, 0.0) for product in order[:DEPTH]])
    best = np.array(sorted(wanted.values(), reverse=True)[:DEPTH])
    return float((gains * discounts[: len(gains)]).sum() / (best * discounts[: len(best)]).sum())
