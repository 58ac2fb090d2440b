"""What ranking for a person is worth: nDCG@10 of what people with a taste, and people without one, pick later.

    ./inv up && ./inv ingest samples/catalogue.jsonl && ./inv cluster && ./inv apply     # with a configuration that ranks
    python tests/bench/personal.py sample --config FILE --catalogue samples/catalogue.jsonl --taste kind

People are of personas.py, questions of questions.py (and of a judged set, with --queries and --qrels). Each question is
asked once, of the live index; all else is reckoned offline with the ranker itself and as the cluster does
(personalisation/blending.py). --live asks some people's questions of the live index too, ranked by it.

What people did before is the ranker's, what they pick after it judges. "Chosen" is the weight of preference that is best
for the people of the other four folds, those with a taste and those without counting alike. Intervals are 95 %
bootstraps over people.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from personas import NOW, Behaviour, Person, Shop
from questions import FACETS, Breadth, Question, Row, broad
from stack import ROOT
from tabulate import tabulate
from tqdm import tqdm

from neuralshelf.deployment import Deployment
from neuralshelf.local.stack import Stack
from neuralshelf.model_packages.ranker.ranking import Ranker, Taste
from neuralshelf.model_packages.ranker.store import Interactions
from neuralshelf.personalisation import clusters
from neuralshelf.personalisation.blending import blended
from neuralshelf.personalisation.clusters import Clusters
from neuralshelf.relevance.judgements import read_qrels
from neuralshelf.relevance.measures import Measurer
from neuralshelf.relevance.queries import Query, read_queries
from neuralshelf.relevance.run import Answer
from neuralshelf.relevance.statistics import Interval, interval
from neuralshelf.relevance.system import System
from neuralshelf.settings import Folders

MEASURE = "nDCG@10"
PAGE = 10
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
FOLDS = 5

Values = Mapping[str, Mapping[str, float]]
"""Person -> question -> nDCG@10."""


@dataclass(frozen=True)
class Index:
    """What the live index answers.

    Attributes:
        rows: id of a product -> its line of the catalogue.
        answers: text of a question -> products with their scores, the candidates of ranking.
    """

    system: System
    rows: Mapping[str, Row]
    answers: Mapping[str, Sequence[Answer]]

    def items(self, spec: str) -> dict[str, str]:
        """Product -> what is ranked of it.

        Args:
            spec: a field; VECTOR or VECTOR:K, clusters found here, K of them or as many as fit best; or "id".
        """
        if spec == "id":
            return {product: product for product in self.rows}
        name, _, number = spec.partition(":")
        fields = self.system.fields(self.rows, [name])
        if name not in self.system.index.vectors:
            return {product: str(found[name]) for product, found in fields.items() if name in found}
        products = sorted(product for product, found in fields.items() if name in found)
        vectors = np.array([fields[product][name] for product in products], np.float32)
        k = int(number) if number else clusters.best(clusters.measure(vectors, clusters.candidates(len(vectors)))).k
        found = Clusters.of(clusters.fit(vectors, k).keep("", name))
        return {product: found.ids[place] for product, place in zip(products, found.nearest(vectors)[0], strict=True)}


@dataclass(frozen=True)
class Trial:
    """Everybody's questions, ranked for them.

    Attributes:
        items: product -> what is ranked of it.
        candidates: answers that are ranked.
        graded: judge by taste instead of by picks: 3 what answers and is liked, 1 what only answers.
    """

    index: Index
    shop: Shop
    people: Sequence[Person]
    items: Mapping[str, str]
    taste: Taste = Taste()
    candidates: int = 30
    graded: bool = False

    def values(self, history_of: Mapping[str, str] | None = None) -> dict[float, Values]:
        """Weight of preference -> values.

        Args:
            history_of: whose history the ranker takes for somebody's, by name; their own if None.
        """
        liked = self._liked(history_of or {})
        found: dict[float, Values] = {}
        measurer = Measurer(
            {f"{p.name}|{ask.question}": self._grades(p, ask.question, ask.picks) for p in self.people for ask in p.asks},
            [MEASURE],
        )
        for weight in WEIGHTS:
            run = {pair: self._ranked(pair, each, weight) for pair, each in liked.items()}
            by_person: dict[str, dict[str, float]] = {}
            for pair, value in measurer.per_query(run)[MEASURE].items():
                name, question = pair.split("|", 1)
                by_person.setdefault(name, {})[question] = value
            found[weight] = by_person
        return found

    def _grades(self, person: Person, question: str, picks: Mapping[str, int]) -> Mapping[str, int]:
        if not self.graded:
            return picks
        likes = set(person.likes)
        return {each: 3 if self.shop.categories[each] & likes else 1 for each in self.shop.questions[question]}

    def _liked(self, history_of: Mapping[str, str]) -> dict[str, Mapping[str, float]]:
        with tempfile.TemporaryDirectory() as folder:
            store = Interactions(Path(folder) / "interactions.db")
            for person in self.people:
                store.add(one._replace(item=self.items[one.item]) for one in person.history if one.item in self.items)
            ranker = Ranker(store, self.taste, clock=lambda: NOW)
            found = {}
            for person in tqdm(self.people, desc="people", disable=not sys.stderr.isatty()):
                whose = history_of.get(person.name, person.name)
                for ask in person.asks:
                    ranked = [self.items.get(each.id, "") for each in self._candidates(ask.question)]
                    found[f"{person.name}|{ask.question}"] = dict(ranker.rank(whose, ranked))
            store.close()
        return found

    def _candidates(self, question: str) -> Sequence[Answer]:
        return self.index.answers[question][: self.candidates]

    def _ranked(self, pair: str, liked: Mapping[str, float], weight: float) -> list[Answer]:
        answers = self._candidates(pair.split("|", 1)[1])
        items, scores = [self.items.get(answer.id, "") for answer in answers], [answer.score for answer in answers]
        return [answers[hit.place] for hit in blended(items, scores, liked, weight)][:PAGE]


def means(values: Values, people: Sequence[Person]) -> np.ndarray:
    """Of each person's questions."""
    return np.array([np.mean(list(values[person.name].values())) for person in people])


def chosen(values: Mapping[float, Values], people: Sequence[Person]) -> dict[str, float]:
    """Person -> the weight that is best for the people of other folds, each group counting alike."""
    groups = [group for group in _groups(people).values() if group[0].group in ("taste", "neutral", "real")]
    found = {}
    for fold in range(FOLDS):
        others = [[person for n, person in enumerate(group) if n % FOLDS != fold] for group in groups]
        best = max(WEIGHTS, key=lambda weight: np.mean([means(values[weight], each).mean() for each in others]))
        for group in _groups(people).values():
            found |= {person.name: best for person in group[fold::FOLDS]}
    return found


def gain(values: Mapping[float, Values], people: Sequence[Person], weights: Mapping[str, float]) -> Interval:
    """Of a group: each person's mean at their weight minus that at weight 0."""
    after = {person.name: values[weights[person.name]][person.name] for person in people}
    return interval((means(after, people) - means(values[0.0], people)).tolist())


def _groups(people: Sequence[Person]) -> dict[str, list[Person]]:
    found: dict[str, list[Person]] = {}
    for person in people:
        found.setdefault(person.group, []).append(person)
    return found


def line(values: Mapping[float, Values], people: Sequence[Person], weight: float) -> list[str]:
    """Cells: nDCG@10 before, then each group's gain at `weight`, then the chosen weights and the gains with them."""
    groups = _groups(people)
    fixed, best = {person.name: weight for person in people}, chosen(values, people)
    first = next(iter(groups.values()))
    cells = [f"{means(values[0.0], first).mean():.3f}"]
    cells += [_shown(gain(values, group, fixed)) for group in groups.values()]
    cells.append("–".join(f"{each:g}" for each in sorted({min(best.values()), max(best.values())})))
    return cells + [_shown(gain(values, group, best)) for group in list(groups.values())[:2]]


def _shown(of: Interval) -> str:
    return f"{of.mean:+.3f} [{of.low:+.3f}, {of.high:+.3f}]"


def asked(options: argparse.Namespace) -> tuple[Index, dict[str, Question]]:
    """The live index, and the questions that it was asked."""
    rows = {row["id"]: row for row in map(json.loads, options.catalogue.read_text(encoding="utf-8").splitlines())}
    kinds = {product: str(row[options.category]).lower() for product, row in rows.items()}
    questions = broad(rows, FACETS[options.name], kinds, Breadth())
    if options.queries:
        judged = read_qrels(options.qrels)
        for query in read_queries(options.queries).values():
            products = frozenset(each for each, grade in judged.get(query.id, {}).items() if grade > 0 and each in rows)
            if query.kind == "text" and Breadth().fits(products, kinds, len(rows)):
                questions[query.text] = Question(query.text, products)
    deployment = Deployment.load(options.config, options.environment)
    stack = Stack(options.config, options.environment, Folders.default(options.config))
    config = deployment.config
    system = System.configured(stack.client(deployment), config.index, config.search, depth=100)
    answers = system.run({text: Query(text, text) for text in questions}, lambda query: "")
    return Index(system, rows, answers), questions


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=tuple(FACETS), help="what is asked of the catalogue (questions.py)")
    parser.add_argument("--config", type=Path, default=ROOT / "neuralshelf.yaml")
    parser.add_argument("--environment", default="local")
    parser.add_argument("--catalogue", type=Path, required=True)
    parser.add_argument("--category", default="kind", help="field that tells how various answers are")
    parser.add_argument("--queries", type=Path, help="a judged set, whose broad questions are asked too")
    parser.add_argument("--qrels", type=Path)
    parser.add_argument("--taste", nargs="+", default=["kind"], help="fields that people have a taste in")
    parser.add_argument("--item", nargs="+", default=["cluster"], help="what is ranked")
    parser.add_argument("--liking", nargs="+", type=float, default=[0.7])
    parser.add_argument("--events", nargs="+", type=int, default=[40])
    parser.add_argument("--candidates", nargs="+", type=int, default=[30])
    parser.add_argument("--people", type=int, default=100, help="of each group")
    parser.add_argument("--weight", type=float, default=0.5)
    parser.add_argument("--graded", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    index, questions = asked(options)
    tastes = {
        product: frozenset(f"{field}={str(row[field]).lower()}" for field in options.taste if row.get(field))
        for product, row in index.rows.items()
    }
    shop = Shop(tastes, {text: question.products for text, question in questions.items()})
    print(f"{len(questions)} questions, {np.mean([len(each.products) for each in questions.values()]):.0f} answers each")
    table = []
    for item in options.item:
        items = index.items(item)
        for liking in options.liking:
            for events in options.events:
                people = shop.population(Behaviour(options.people, liking, events, seed=options.seed))
                for candidates in options.candidates:
                    trial = Trial(index, shop, people, items, candidates=candidates, graded=options.graded)
                    cells = line(trial.values(), people, options.weight)
                    table.append([f"{item} ({len(set(items.values()))})", liking, events, candidates, *cells])
    headers = ("item", "liking", "events", "of", "before", "taste", "neutral", "changed", "chosen", "taste", "neutral")
    print(tabulate(table, headers, tablefmt="github", disable_numparse=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
