"""Ranking after the search (method: rerank) against a leg of what is liked (method: leg), live, in one run.

    ./inv up && ./inv ingest samples/catalogue.jsonl && ./inv cluster && ./inv apply     # reranks by clusters
    python tests/bench/ranking.py --config FILE --quality
    python tests/bench/ranking.py --config FILE --latency        # on a machine that does nothing else

Beside the stack's own pipeline a second one is made, with a leg, for the same index and ranker; both are asked the same
questions in turn, and both go at the end, with the people.

Quality: people of personas.py ask questions of questions.py; nDCG@10 of what they pick, against the same search for
nobody. Each way has its own scale, so each gets the weight of preference that is best for the people of other folds
(personal.py). "Vector" is a kNN leg in the place of the one that there is: by a user vector, the mean of the clusters'
centroids weighted by what is liked of them, among what the words find.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from personal import MEASURE, PAGE, WEIGHTS, chosen, gain
from personas import Behaviour, Person, Shop
from questions import FACETS, Breadth, Question, broad
from ratio import seconds
from stack import ROOT
from tabulate import tabulate
from tqdm import tqdm
from ways import Ask, Ways, ways

from neuralshelf.relevance.judgements import read_qrels
from neuralshelf.relevance.measures import Measurer
from neuralshelf.relevance.queries import read_queries
from neuralshelf.relevance.run import Answer
from neuralshelf.relevance.statistics import interval


def quality(found: Ways, shop: Shop, people: Sequence[Person], sizes: Sequence[int]) -> str:
    """Gains with a taste and without, and hits off the question, at a weight chosen on others and at each weight."""
    groups = {name: [person for person in people if person.group == name] for name in ("taste", "neutral")}
    picks = {f"{p.name}|{ask.question}": ask.picks for p in people for ask in p.asks}
    measurer, rows, by_weight = Measurer(picks, [MEASURE]), [], []
    for size in sizes:
        for name, ask in found.all.items():
            if name != "rerank" and size != sizes[0]:
                continue  # what a leg finds does not hang on the page
            runs = {w: _run(ask if w else found.rerank, people, w, size, f"{name} {w}") for w in WEIGHTS}
            values = {w: _by_person(measurer.per_query(run)[MEASURE]) for w, run in runs.items()}
            best, title = chosen(values, people), f"{name}, page of {size}"
            cells = [title, "–".join(f"{w:g}" for w in sorted({*best.values()}))]
            for group in groups.values():
                nobody = dict.fromkeys(best, 0.0)
                change = gain(values, group, best)
                cells.append(f"{change.mean:+.3f} [{change.low:+.3f}, {change.high:+.3f}]")
                cells.append(f"{_off(shop, runs, group, nobody):.0%} → {_off(shop, runs, group, best):.0%}")
            rows.append(cells)
            each = [
                [gain(values, group, dict.fromkeys(best, w)).mean for w in WEIGHTS[1:]] for group in groups.values()
            ]
            by_weight.append([title, *(f"{a:+.2f} {b:+.2f}" for a, b in zip(*each, strict=True))])
    headers = ["way", "weight", *(f"{group}: {each}" for group in groups for each in (f"{MEASURE} gain", "off"))]
    first = tabulate(rows, headers, tablefmt="github", disable_numparse=True)
    second = tabulate(by_weight, ["weight", *map(str, WEIGHTS[1:])], tablefmt="github", disable_numparse=True)
    return f"{first}\n\nGains by weight, people with a taste and without:\n\n{second}"


def _run(ask: Ask, people: Sequence[Person], weight: float, size: int, title: str) -> dict[str, list[Answer]]:
    """`PERSON|QUESTION` -> the first page."""
    pairs = [(person.name, ask.question) for person in people for ask in person.asks]
    run: dict[str, list[Answer]] = {}
    nobody: dict[str, list[Answer]] = {}
    for name, text in tqdm(pairs, desc=title, disable=not sys.stderr.isatty()):
        if not weight and text in nobody:
            run[f"{name}|{text}"] = nobody[text]
            continue
        hits = ask(text, name if weight else "", weight, size)[:PAGE]
        run[f"{name}|{text}"] = [Answer(hit["_id"], -float(place)) for place, hit in enumerate(hits)]
        nobody[text] = run[f"{name}|{text}"]
    return run


def _by_person(values: Mapping[str, float]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for pair, value in values.items():
        name, question = pair.split("|", 1)
        found.setdefault(name, {})[question] = value
    return found


def _off(
    shop: Shop, runs: Mapping[float, Mapping[str, list[Answer]]], group: Sequence[Person], weights: Mapping[str, float]
) -> float:
    """Share of hits of first pages that don't answer the question."""
    wrong = []
    for person in group:
        for ask in person.asks:
            answers = runs[weights[person.name]][f"{person.name}|{ask.question}"]
            wrong += [answer.id not in shop.questions[ask.question] for answer in answers]
    return float(np.mean(wrong))


def latency(found: Ways, people: Sequence[Person], rounds: int, size: int) -> str:
    """Milliseconds of a search for nobody, reranked, and with a leg, in turn, of the same questions and people."""
    asked = [(ask.question, person.name) for person in people for ask in person.asks]
    every: dict[str, Callable[[str, str], Any]] = {
        "nobody": lambda text, user: found.rerank(text, "", 0.0, size),
        "rerank": lambda text, user: found.rerank(text, user, 0.5, size),
        "leg": lambda text, user: found.with_leg(text, user, 0.5, size),
        "leg, nobody": lambda text, user: found.with_leg(text, "", 0.0, size),
    }
    times: dict[str, list[float]] = {name: [] for name in every}
    for number in tqdm(range(rounds + 20), desc="latency", disable=not sys.stderr.isatty()):
        text, user = asked[number % len(asked)]
        names = list(every)
        for name in names[number % 4 :] + names[: number % 4]:
            took = 1000 * seconds(partial(every[name], text, user))
            if number >= 20:
                times[name].append(took)
    rows = []
    for name, each in times.items():
        p50, p95 = statistics.median(each), float(np.percentile(each, 95))
        added = interval([a - b for a, b in zip(each, times["nobody"], strict=True)])
        ratio = statistics.median(a / b for a, b in zip(each, times["nobody"], strict=True))
        mean = f"{added.mean:+.1f} [{added.low:+.1f}, {added.high:+.1f}]"
        more = p95 - float(np.percentile(times["nobody"], 95))
        rows.append([name, f"{p50:.1f}", f"{p95:.1f}", f"{more:+.1f}", mean, f"{ratio:.2f}"])
    headers = ("way", "p50 ms", "p95 ms", "p95 against nobody", "added, mean of pairs", "÷ nobody, median")
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def of_judged(options: argparse.Namespace, rows: Mapping[str, Any]) -> dict[str, Question]:
    """Questions of a judged set that more than one product answers."""
    qrels, found = read_qrels(options.qrels), {}
    for query in read_queries(options.queries).values():
        products = frozenset(each for each, grade in qrels.get(query.id, {}).items() if grade > 0 and each in rows)
        if query.text and query.image is None and len(products) > 1:
            found[query.text] = Question(query.text, products)
    return found


def main() -> int:
    """Print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=ROOT / "neuralshelf.yaml")
    parser.add_argument("--environment", default="local")
    parser.add_argument("--catalogue", type=Path, default=ROOT / "samples" / "catalogue.jsonl")
    parser.add_argument("--questions", choices=tuple(FACETS), default="sample")
    parser.add_argument("--queries", type=Path, help="a judged set, whose questions are asked instead")
    parser.add_argument("--qrels", type=Path)
    parser.add_argument("--quality", action="store_true")
    parser.add_argument("--latency", action="store_true")
    parser.add_argument("--people", type=int, default=40, help="of each group")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[33, 10], help="of a page; rerank looks at three times as many"
    )
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = {row["id"]: row for row in map(json.loads, options.catalogue.read_text(encoding="utf-8").splitlines())}
    kinds = {product: str(row["kind"]) for product, row in rows.items()}
    questions = (
        of_judged(options, rows) if options.queries else broad(rows, FACETS[options.questions], kinds, Breadth())
    )
    tastes = {product: frozenset({f"kind={kind}"}) for product, kind in kinds.items()}
    shop = Shop(tastes, {text: question.products for text, question in questions.items()})
    people = [p for p in shop.population(Behaviour(options.people, seed=options.seed)) if p.group != "changed"]
    people = [replace(person, name=f"bench-{person.name}") for person in people]
    people = [
        replace(person, history=tuple(each._replace(user=person.name) for each in person.history)) for person in people
    ]

    with ways(options.config, options.environment, people) as found:
        load_average = ", ".join(f"{value:.1f}" for value in os.getloadavg())
        print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, load {load_average}; {len(questions)} questions")
        if options.quality:
            print(f"\n{quality(found, shop, people, options.sizes)}")
        if options.latency:
            print(f"\n{latency(found, people, options.rounds, options.sizes[0])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
