"""Ranking after the search (method: rerank) against a leg of what is liked (method: leg), live, in one run.

    ./inv up && ./inv ingest samples/catalogue.jsonl && ./inv cluster && ./inv apply     # reranks by clusters
    python tests/bench/ranking.py --config FILE --quality
    python tests/bench/ranking.py --config FILE --latency        # on a machine that does nothing else

Beside the stack's own pipeline a second one is made, with a leg, for the same index and ranker; both are asked the same
questions in turn, and both go at the end, with the people.

Quality: people of personas.py ask questions of questions.py; nDCG@10 of what they pick, against the same search for
nobody. Each way has its own scale, so each gets the weight of preference that is best for the people of other folds
(trial.py). "Vector" is a kNN leg in the place of the one that there is: by a user vector, the mean of the clusters'
centroids weighted by what is liked of them, among what the words find.
"""

import argparse
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
from personal import Index, shop
from personas import Behaviour, Person, Shop
from questions import FACETS
from ratio import seconds
from stack import ROOT
from tabulate import tabulate
from tqdm import tqdm
from trial import MEASURE, PAGE, WEIGHTS, Outcome, Part
from ways import Ask, Ways, ways

from neuralshelf.relevance.measures import Measurer
from neuralshelf.relevance.run import Answer
from neuralshelf.relevance.statistics import interval

Pages = Mapping[tuple[str, str], Sequence[Answer]]
"""Person and question -> the first page."""


def quality(found: Ways, goods: Shop, people: Sequence[Person], sizes: Sequence[int]) -> str:
    """Gains of each group, and hits off the question, at a weight chosen on others and at each weight."""
    picks = {f"{p.name}|{ask.question}": ask.picks for p in people for ask in p.asks}
    measurer, rows, by_weight, parts = Measurer(picks, [MEASURE]), [], [], list[Part]()
    for size in sizes:
        for name, way in found.all.items():
            if name != "rerank" and size != sizes[0]:
                continue  # what a leg finds does not hang on the page
            runs = {w: _pages(way if w else found.rerank, people, w, size, f"{name} {w}") for w in WEIGHTS}
            outcome = Outcome(people, {w: _values(measurer, run) for w, run in runs.items()})
            title, best, parts = f"{name}, page of {size}", outcome.chosen, list(outcome.parts)
            cells = [title, "–".join(f"{w:g}" for w in sorted({*best.values()}))]
            for part in parts:
                change = outcome.gain(part, best)
                cells.append(f"{outcome.before(part):.2f} {change.mean:+.3f} [{change.low:+.3f}, {change.high:+.3f}]")
                off = [
                    _off(goods, runs, outcome.parts[part], part, weights)
                    for weights in (dict.fromkeys(best, 0.0), best)
                ]
                cells.append(f"{off[0]:.0%} → {off[1]:.0%}")
            rows.append(cells)
            gains = [[f"{outcome.gain(part, w).mean:+.2f}" for part in parts] for w in WEIGHTS[1:]]
            by_weight.append([title, *map(" ".join, gains)])
    titles = [f"{group}, precise" if precise else group for group, precise in parts]
    headers = ["way", "weight", *(f"{title}: {each}" for title in titles for each in (MEASURE, "off"))]
    first = tabulate(rows, headers, tablefmt="github", disable_numparse=True)
    second = tabulate(by_weight, ["weight", *map(str, WEIGHTS[1:])], tablefmt="github", disable_numparse=True)
    return f"{first}\n\nGains by weight ({'; '.join(titles)}):\n\n{second}"


def _pages(way: Ask, people: Sequence[Person], weight: float, size: int, title: str) -> Pages:
    pairs = [(person.name, ask.question) for person in people for ask in person.asks]
    found: dict[tuple[str, str], Sequence[Answer]] = {}
    nobody: dict[str, Sequence[Answer]] = {}
    for name, text in tqdm(pairs, desc=title, disable=not sys.stderr.isatty()):
        if weight or text not in nobody:
            hits = way(text, name if weight else "", weight, size)[:PAGE]
            nobody[text] = [Answer(hit["_id"], -float(place)) for place, hit in enumerate(hits)]
        found[name, text] = nobody[text]
    return found


def _values(measurer: Measurer, pages: Pages) -> dict[tuple[str, str], float]:
    values = measurer.per_query({"|".join(pair): list(page) for pair, page in pages.items()})[MEASURE]
    return {pair: values["|".join(pair)] for pair in pages}


def _off(
    goods: Shop, runs: Mapping[float, Pages], people: Sequence[Person], part: Part, weights: Mapping[str, float]
) -> float:
    """Share of hits of first pages that don't answer the question."""
    wrong = []
    for person in people:
        for ask in person.asks:
            if ask.precise is part[1]:
                right = goods.judged[ask.question] if ask.precise else goods.questions[ask.question]
                page = runs[weights[person.name]][person.name, ask.question]
                wrong += [answer.id not in right for answer in page]
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


def main() -> int:
    """Print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=ROOT / "neuralshelf.yaml")
    parser.add_argument("--environment", default="local")
    parser.add_argument("--catalogue", type=Path, default=ROOT / "samples" / "catalogue.jsonl")
    parser.add_argument("--name", choices=tuple(FACETS), default="sample", help="what is asked (questions.py)")
    parser.add_argument("--category", default="kind", help="field that tells how various answers are")
    parser.add_argument("--taste", nargs="+", default=["kind"], help="fields that people have a taste in")
    parser.add_argument("--queries", type=Path, help="a judged set, whose questions are asked too")
    parser.add_argument("--qrels", type=Path)
    parser.add_argument("--quality", action="store_true")
    parser.add_argument("--latency", action="store_true")
    parser.add_argument("--people", type=int, default=40, help="of each group")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[10], help="of a page; rerank looks at `oversample` times as many"
    )
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(namespace=argparse.Namespace(half=None))  # all questions, for `shop`
    goods = shop(Index.found(options), options)
    people = [_ours(p) for p in goods.population(Behaviour(options.people, seed=options.seed)) if p.group != "changed"]
    with ways(options.config, options.environment, people) as found:
        load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
        questions = f"{len(goods.questions)} broad questions, {len(goods.judged)} precise ones"
        print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, load {load}; {questions}")
        if options.quality:
            print(f"\n{quality(found, goods, people, options.sizes)}")
        if options.latency:
            print(f"\n{latency(found, people, options.rounds, options.sizes[0])}")
    return 0


def _ours(person: Person) -> Person:
    """Under a name that nobody else has in the live store."""
    name = f"bench-{person.name}"
    return replace(person, name=name, history=tuple(each._replace(user=name) for each in person.history))


if __name__ == "__main__":
    sys.exit(main())
