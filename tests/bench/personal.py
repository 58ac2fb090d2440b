"""What ranking for a person is worth: nDCG@10 of what people with a taste, and people without one, pick later.

    python tests/bench/personal.py sample --config FILE --catalogue samples/catalogue.jsonl \\
        --queries samples/queries.jsonl --qrels samples/qrels.txt    # FILE: see personal.md

People are of personas.py. Broad questions are of questions.py and those of the judged set that are as broad; all its
other texts are precise ones, which people ask for what they say, whatever they like. Each is asked once, of the live
index; all else is reckoned offline, with the ranker itself. --live asks some people's questions of the live index
ranked for them and compares.

What people did before is the ranker's, what they pick after it judges. "Chosen" is the weight of preference that is
best for the people of the other four folds. Intervals are 95 % bootstraps over people.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from personas import Behaviour, Shop
from questions import FACETS, Breadth, Row, broad
from stack import ROOT
from tabulate import tabulate
from trial import BLENDS, MEASURE, PAGE, Outcome, Trial

from neuralshelf.deployment import Deployment
from neuralshelf.local.interactions import opened, ranking_of
from neuralshelf.local.stack import Stack
from neuralshelf.model_packages.ranker.ranking import Taste
from neuralshelf.personalisation import clusters
from neuralshelf.personalisation.clusters import Clusters
from neuralshelf.relevance.judgements import read_qrels
from neuralshelf.relevance.measures import per_query
from neuralshelf.relevance.queries import Query, read_queries
from neuralshelf.relevance.run import Answer
from neuralshelf.relevance.statistics import Interval
from neuralshelf.relevance.system import System
from neuralshelf.settings import Folders

MOST = 100


@dataclass(frozen=True)
class Index:
    """The live index and the catalogue that is in it: id of a product -> its line."""

    stack: Stack
    deployment: Deployment
    rows: Mapping[str, Row]

    @classmethod
    def found(cls, options: argparse.Namespace) -> "Index":
        """As the options name it."""
        rows = [json.loads(line) for line in options.catalogue.read_text(encoding="utf-8").splitlines()]
        stack = Stack(options.config, options.environment, Folders.default(options.config))
        deployment = Deployment.load(options.config, options.environment)
        return cls(stack, deployment, {row["id"]: row for row in rows})

    def system(self, depth: int = MOST, **params: object) -> System:
        """Its search."""
        config = self.deployment.config
        client = self.stack.client(self.deployment)
        return System.configured(client, config.index, config.search, depth=depth, params=params)

    def answers(self, texts: Sequence[str], system: System | None = None) -> dict[str, list[Answer]]:
        """Text -> answers."""
        return (system or self.system()).run({text: Query(text, text) for text in texts}, lambda query: "")

    def items(self, spec: str) -> dict[str, str]:
        """Product -> what is ranked of it.

        Args:
            spec: a field; VECTOR or VECTOR:K, clusters found here, K of them or as many as fit best; or "id".
        """
        if spec == "id":
            return {product: product for product in self.rows}
        name, _, number = spec.partition(":")
        fields = self.system().fields(self.rows, [name])
        if name not in self.deployment.config.index.vectors:
            return {product: str(found[name]) for product, found in fields.items() if name in found}
        products = sorted(product for product, found in fields.items() if name in found)
        vectors = np.array([fields[product][name] for product in products], np.float32)
        k = int(number) if number else clusters.best(clusters.measure(vectors, clusters.candidates(len(vectors)))).k
        found = Clusters.of(clusters.fit(vectors, k).keep("", name))
        return {product: found.ids[place] for product, place in zip(products, found.nearest(vectors)[0], strict=True)}


def shop(index: Index, options: argparse.Namespace) -> Shop:
    """What can be asked and liked."""
    kinds = {product: str(row[options.category]).lower() for product, row in index.rows.items()}
    questions = {
        text: each.products for text, each in broad(index.rows, FACETS[options.name], kinds, Breadth()).items()
    }
    precise = {}
    judged = read_qrels(options.qrels) if options.qrels else {}
    for query in read_queries(options.queries).values() if options.queries else ():
        grades = {each: grade for each, grade in judged.get(query.id, {}).items() if grade > 0 and each in index.rows}
        if query.kind != "text" or not grades:
            continue
        if Breadth().fits(frozenset(grades), kinds, len(index.rows)):
            questions[query.text] = frozenset(grades)
        else:
            precise[query.text] = grades
    tastes = {
        product: frozenset(f"{field}={str(row[field]).lower()}" for field in options.taste if row.get(field))
        for product, row in index.rows.items()
    }

    def asked(text: str) -> bool:
        return options.half is None or crc32(text.encode()) % 2 == options.half

    return Shop(
        tastes,
        {text: products for text, products in questions.items() if asked(text)},
        {text: grades for text, grades in precise.items() if asked(text)},
    )


def cells(outcome: Outcome, weight: float) -> list[str]:
    """nDCG@10 before, each group's gain at a weight with broad and precise questions, and with chosen weights."""
    parts = list(outcome.parts)
    found = [f"{outcome.before(parts[0]):.3f}", *(shown(outcome.gain(part, weight)) for part in parts if not part[1])]
    for precise in [part for part in parts if part[1] and part[0] != "changed"]:
        found.append(shown(outcome.gain(precise, weight)))
    best = outcome.chosen
    found.append(" ".join(f"{each:g}" for each in sorted(set(best.values()))))
    return found + [shown(outcome.gain(part, best)) for part in parts[:2] if not part[1]]


def shown(of: Interval) -> str:
    """A gain and its interval."""
    return f"{of.mean:+.3f} [{of.low:+.3f}, {of.high:+.3f}]"


def table(index: Index, options: argparse.Namespace) -> Iterator[list[object]]:
    """A row for each setting."""
    where = shop(index, options)
    answers = index.answers([*where.questions, *where.judged])
    sizes = np.mean([len(each) for each in where.questions.values()])
    print(f"{len(where.questions)} broad questions with {sizes:.0f} answers each, {len(where.judged)} precise ones")
    for item in options.item:
        items = index.items(item)
        for liking in options.liking:
            for events in options.events:
                people = where.population(Behaviour(options.people, liking, events, seed=options.seed))
                for blend in options.blend:
                    for candidates, weight in zip(options.candidates, options.weight, strict=True):
                        trial = Trial(
                            where, answers, items, BLENDS[blend], candidates, options.graded, Taste(doubt=options.doubt)
                        )
                        what = f"{item} ({len(set(items.values()))})"
                        yield [what, liking, events, blend, candidates, weight, *cells(trial.outcome(people), weight)]


def live(index: Index, options: argparse.Namespace) -> int:
    """Ask the live index as some people and compare with what is reckoned offline; 1 if they differ."""
    spec, where = ranking_of(index.deployment), shop(index, options)
    now = time.time() - 86_400
    people = where.population(Behaviour(options.live, options.liking[0], options.events[0], asks=5, now=now))
    items = index.items(spec.item)
    texts = sorted({ask.question for person in people for ask in person.asks})
    answers = index.answers(texts, index.system(PAGE * spec.oversample))
    trial = Trial(
        where,
        answers,
        items,
        BLENDS[options.blend[0]],
        PAGE * spec.oversample,
        taste=Taste(doubt=options.doubt),
        now=time.time(),
    )
    liked = trial.liked(people, {})
    same, pairs = 0, 0
    values: tuple[list[float], list[float]] = ([], [])
    with opened(index.stack) as store:
        try:
            for person in people:
                store.add(one._replace(item=items[one.item]) for one in person.history if one.item in items)
            for person in people:
                system = index.system(PAGE, user=person.name, user_weight=options.weight[0])
                ranked = index.answers([ask.question for ask in person.asks], system)
                for ask in person.asks:
                    weights = options.weight[:1]
                    expected = trial.pages(ask.question, liked[person.name, ask.question], weights)[weights[0]]
                    pairs += 1
                    same += [each.id for each in expected] == [each.id for each in ranked[ask.question]]
                    for run, kept in zip((ranked[ask.question], expected), values, strict=True):
                        kept.append(per_query({"q": run}, {"q": ask.picks}, [MEASURE])[MEASURE]["q"])
        finally:
            for person in people:
                store.forget(person.name)
    print(
        f"{pairs} answers, {same} in the same order;"
        f" {MEASURE} live {np.mean(values[0]):.4f}, offline {np.mean(values[1]):.4f}"
    )
    return int(same < pairs)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=tuple(FACETS), help="what is asked of the catalogue (questions.py)")
    parser.add_argument("--config", type=Path, default=ROOT / "neuralshelf.yaml")
    parser.add_argument("--environment", default="local")
    parser.add_argument("--catalogue", type=Path, required=True)
    parser.add_argument("--category", default="kind", help="field that tells how various answers are")
    parser.add_argument("--queries", type=Path, help="a judged set")
    parser.add_argument("--qrels", type=Path)
    parser.add_argument("--taste", nargs="+", default=["kind"], help="fields that people have a taste in")
    parser.add_argument("--item", nargs="+", default=["cluster"], help="what is ranked")
    parser.add_argument("--liking", nargs="+", type=float, default=[0.7])
    parser.add_argument("--events", nargs="+", type=int, default=[40])
    parser.add_argument("--blend", nargs="+", default=["geometric"], choices=tuple(BLENDS))
    parser.add_argument(
        "--candidates", nargs="+", type=int, default=[100], help="answers that are ranked, a number a table row"
    )
    parser.add_argument(
        "--weight", nargs="+", type=float, default=[0.6], help="of preference, one for each --candidates"
    )
    parser.add_argument("--doubt", type=float, default=Taste().doubt, help="of the ranker")
    parser.add_argument("--people", type=int, default=100, help="of each group")
    parser.add_argument("--half", type=int, choices=(0, 1), help="ask one half of the questions: choose on the other")
    parser.add_argument("--graded", action="store_true", help="judge by taste instead of by picks")
    parser.add_argument("--live", type=int, metavar="N", help="N people of each group ask the live index")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    index = Index.found(options)
    if options.live:
        return live(index, options)
    headers = ["item", "liking", "events", "blend", "of", "weight", "before", "taste", "neutral", "changed"]
    if options.queries:
        headers += ["precise, taste", "precise, neutral"]
    headers += ["chosen", "taste", "neutral"]
    print(tabulate(table(index, options), headers, tablefmt="github", disable_numparse=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
