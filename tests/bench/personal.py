"""What ranking for a person is worth: nDCG@10 of what people with a taste, and people without one, went on to choose.

    ./inv up && ./inv ingest … && ./inv cluster && ./inv apply
    python tests/bench/personal.py --queries samples/queries.jsonl --qrels samples/qrels.txt

People are simulated, as retail demo data sets do it: somebody with a taste likes three clusters of products, the
first most; of what they do, seven tenths are with these, in proportion 6 : 2.5 : 1.5; views, carts and purchases as 7
: 2 : 1; somebody without one does anything alike. Each asks queries and wants products that answer them (grade 1 or
more), those of their taste seven times in ten. What they did before is the ranker's; what they want after it judges.
The weight of preference is chosen on other people than it is judged on, in five folds. Each query is asked once; all
else is reckoned offline, as the cluster does (personalisation/blending.py).
"""

import argparse
import random
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from stack import ROOT
from tabulate import tabulate
from tqdm import tqdm

from neuralshelf.deployment import Deployment
from neuralshelf.local.interactions import ranking_of
from neuralshelf.local.stack import Stack
from neuralshelf.model_packages.ranker.ranking import DAY, Ranker
from neuralshelf.model_packages.ranker.store import Interaction, Interactions
from neuralshelf.personalisation.blending import blended
from neuralshelf.relevance.judgements import read_qrels
from neuralshelf.relevance.measures import Measurer
from neuralshelf.relevance.queries import read_queries
from neuralshelf.relevance.run import Answer
from neuralshelf.relevance.system import System
from neuralshelf.settings import Folders

NOW = 1_800_000_000.0
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
LIKED = (6.0, 2.5, 1.5)
LIKING = 0.7
FUNNEL = {"view": 0.7, "cart": 0.2, "purchase": 0.1}
CANDIDATES, FOLDS = 100, 5
BROAD = 5
"""Clusters among the answers of a question that taste can answer: with fewer there is little to choose."""


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


def wants(person: Person, relevant: Mapping[str, str], number: int, chance: random.Random) -> dict[str, int]:
    """Products that they want of those that answer a query (id -> cluster); how often each was chosen is its grade."""
    chosen = Counter(choose(person, relevant, chance) for _ in range(number))
    return {product: grade for product, grade in chosen.items() if product is not None}


@dataclass(frozen=True)
class Trial:
    """Everybody's answers and what they want: pairs of person and query, `PERSON|QUERY`."""

    people: Sequence[Person]
    wanted: Mapping[str, Mapping[str, int]]
    liked: Mapping[str, Mapping[str, float]]
    answers: Mapping[str, Sequence[Answer]]
    items: Mapping[str, str]

    def values(self, weight: float) -> dict[str, float]:
        """nDCG@10 of each pair at a weight of preference."""
        run = {pair: self._ranked(pair, weight) for pair in self.wanted}
        return Measurer(self.wanted, ["nDCG@10"]).per_query(run)["nDCG@10"]

    def _ranked(self, pair: str, weight: float) -> list[Answer]:
        answers = self.answers[pair.split("|", 1)[1]]
        items, scores = [self.items[answer.id] for answer in answers], [answer.score for answer in answers]
        return [answers[hit.place] for hit in blended(items, scores, self.liked[pair], weight)]


def simulate(
    answers: Mapping[str, Sequence[Answer]],
    judged: Mapping[str, Mapping[str, int]],
    products: Mapping[str, str],
    options: argparse.Namespace,
) -> Trial:
    """People, what they did, and what they want.

    Args:
        answers: query id -> products with their scores, the candidates of ranking.
        products: id -> cluster, of the whole catalogue.
    """
    chance = random.Random(options.seed)
    everybody = people(sorted(set(products.values())), options.people, chance)
    with tempfile.TemporaryDirectory() as folder:
        store = Interactions(Path(folder) / "interactions.db")
        for person in everybody:
            store.add(history(person, products, options.events, chance))
        ranker = Ranker(store, clock=lambda: NOW)
        wanted, liked = {}, {}
        for person in tqdm(everybody, desc="people", disable=not sys.stderr.isatty()):
            for query in chance.sample(sorted(answers), min(options.queries_each, len(answers))):
                relevant = {doc: products[doc] for doc, grade in judged[query].items() if grade > 0 and doc in products}
                pair = f"{person.name}|{query}"
                wanted[pair] = wants(person, relevant, 5, chance)
                liked[pair] = dict(ranker.rank(person.name, [products[answer.id] for answer in answers[query]]))
        store.close()
    return Trial(everybody, wanted, liked, answers, products)


def judge(trial: Trial, weight: float | None) -> list[tuple[str, float, float, float, float, float]]:
    """For people with a taste and without: nDCG@10 before and after, the gain with its 95 % interval, the weight.

    Args:
        weight: for everybody; None chooses it, fold by fold, on the people of the other folds.
    """
    values = {each: trial.values(each) for each in WEIGHTS}
    fold = {person.name: number // 2 % FOLDS for number, person in enumerate(trial.people)}
    tasteful = {person.name for person in trial.people if person.likes}
    chosen = {
        n: weight if weight is not None else max(WEIGHTS, key=lambda w: _mean(values[w], fold, n, tasteful))
        for n in range(FOLDS)
    }
    rows = []
    for label, inside in (("with a taste", True), ("without", False)):
        gains: dict[str, list[float]] = defaultdict(list)
        before, after = [], []
        for pair in trial.wanted:
            name = pair.split("|", 1)[0]
            if (name in tasteful) is inside:
                was, now = values[0.0][pair], values[chosen[fold[name]]][pair]
                before.append(was)
                after.append(now)
                gains[name].append(now - was)
        means = np.array([np.mean(each) for each in gains.values()])
        drawn = np.random.default_rng(0).choice(means, (2_000, len(means))).mean(axis=1)
        low, high = np.percentile(drawn, (2.5, 97.5))
        rows.append(
            (label, float(np.mean(before)), float(np.mean(after)), float(means.mean()), float(low), float(high))
        )
    print(f"weight by fold: {', '.join(map(str, chosen.values()))}", file=sys.stderr)
    return rows


def _mean(values: Mapping[str, float], fold: Mapping[str, int], left_out: int, tasteful: set[str]) -> float:
    """Of people with a taste and without alike, but of one fold."""
    sides: dict[bool, list[float]] = {True: [], False: []}
    for pair, value in values.items():
        name = pair.split("|", 1)[0]
        if fold[name] != left_out:
            sides[name in tasteful].append(value)
    return float(np.mean([np.mean(side) for side in sides.values()]))


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=ROOT / "neuralshelf.yaml")
    parser.add_argument("--environment", default="local")
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--qrels", type=Path, required=True)
    parser.add_argument("--item", help="what is ranked (default: ranking.item)")
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--events", type=int, default=40, help="of each person before they search")
    parser.add_argument("--queries-each", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    deployment = Deployment.load(options.config, options.environment)
    config, stack = deployment.config, Stack(options.config, options.environment, Folders.default(options.config))
    judged = read_qrels(options.qrels)
    queries = {
        name: query
        for name, query in read_queries(options.queries).items()
        if query.image is None and any(grade > 0 for grade in judged.get(name, {}).values())
    }
    system = System.configured(stack.client(deployment), config.index, config.search, depth=CANDIDATES)
    answers = system.run(queries, lambda query: "")
    asked = {answer.id for found in answers.values() for answer in found} | {
        d for each in judged.values() for d in each
    }
    item = options.item or ranking_of(deployment).item
    products = {name: fields[item] for name, fields in system.fields(asked, [item]).items() if item in fields}
    print(f"{len(products)} products in {len(set(products.values()))} of {item}")
    clusters = {
        name: {products[doc] for doc, grade in judged[name].items() if grade > 0 and doc in products}
        for name in queries
    }
    broad = {name: found for name, found in answers.items() if len(clusters[name]) >= BROAD}
    narrow = {name: found for name, found in answers.items() if name not in broad and clusters[name]}
    headers = ("people", "nDCG@10", "ranked", "gain", "from", "to")
    for label, some in ((f"answers in {BROAD} clusters and more", broad), ("answers in fewer", narrow)):
        trial = simulate(some, judged, products, options)
        for title, weight in (("weight chosen on others", None), ("weight 0.5", 0.5)):
            rows = judge(trial, weight)
            print(f"\n{len(some)} queries, {label}, {title}")
            print(tabulate(rows, headers, floatfmt=".3f", tablefmt="github"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
