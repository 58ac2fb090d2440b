"""Ranking after the search (method: rerank) against a leg of what is liked (method: leg), live, in one run.

    ./inv up && ./inv ingest samples/catalogue.jsonl && ./inv cluster && ./inv apply     # a configuration that reranks
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
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from opensearchpy import OpenSearch
from personal import MEASURE, PAGE, WEIGHTS, chosen, gain
from personas import Behaviour, Person, Shop
from questions import FACETS, Breadth, Question, broad
from ratio import seconds
from stack import ROOT
from tabulate import tabulate
from tqdm import tqdm

from neuralshelf.deployment import Config, Deployment
from neuralshelf.local.interactions import opened
from neuralshelf.local.stack import Stack
from neuralshelf.model_packages.ranker.ranking import Ranker
from neuralshelf.pipelines.search import search_pipeline_name
from neuralshelf.provision.apply import apply
from neuralshelf.provision.observe import observe
from neuralshelf.provision.plan import plan, plan_destroy
from neuralshelf.relevance.judgements import read_qrels
from neuralshelf.relevance.measures import Measurer
from neuralshelf.relevance.queries import read_queries
from neuralshelf.relevance.run import Answer
from neuralshelf.relevance.statistics import interval
from neuralshelf.resource import Kind
from neuralshelf.settings import Folders
from neuralshelf.yamlfile import load

SETTLED = 65.0
"""Seconds after which a ranker knows what is liked together (Taste.refresh)."""

Ask = Callable[[str, str, float, int], list[Mapping[str, Any]]]
"""(text, user, weight, size) -> hits."""


@dataclass(frozen=True)
class Ways:
    """The ways of searching for somebody."""

    client: OpenSearch
    deployment: Deployment
    leg: Deployment
    ranker: Ranker

    @cached_property
    def all(self) -> dict[str, Ask]:
        found: dict[str, Ask] = {"rerank": self.rerank, "leg": self.with_leg}
        if self.deployment.centroids is not None:
            found["vector"] = self.vector
        return found

    def rerank(self, text: str, user: str, weight: float, size: int) -> list[Mapping[str, Any]]:
        """By the stack's own template."""
        params: dict[str, Any] = {"text": text, "size": size} | ({"user": user, "user_weight": weight} if user else {})
        return self._ask(self.deployment.config.search.template, params)

    def with_leg(self, text: str, user: str, weight: float, size: int) -> list[Mapping[str, Any]]:
        """By the one with a leg."""
        params: dict[str, Any] = {"text": text, "size": size} | ({"user": user, "user_weight": weight} if user else {})
        return self._ask(self.leg.config.search.template, params, search_pipeline=self._pipeline_name)

    def vector(self, text: str, user: str, weight: float, size: int) -> list[Mapping[str, Any]]:
        """By a user vector among what the words find; weight 0 to 1 in the mean of the legs."""
        body = {"id": self.leg.config.search.template, "params": {"text": text, "size": size}}
        body = self.client.transport.perform_request("POST", "/_render/template", body=body)["template_output"]
        legs, centroids = body["query"]["hybrid"]["queries"], self.deployment.centroids
        assert centroids is not None
        found = {"filter": legs[0], "k": 100, "vector": self._user_vector(user).tolist()}
        legs[-1] = {"knn": {centroids.vector: found}}
        weights = [w * (1 - weight) for w in self.deployment.config.search.weights.values()]
        body["search_pipeline"] = {
            "request_processors": self._pipeline["request_processors"][1:],
            "phase_results_processors": [
                {
                    "normalization-processor": {
                        "normalization": {"technique": "min_max"},
                        "combination": {"technique": "arithmetic_mean", "parameters": {"weights": [*weights, weight]}},
                    }
                }
            ],
        }
        answer = self.client.search(index=self.deployment.config.index.name, body=body)
        return list(answer["hits"]["hits"])

    def _user_vector(self, user: str) -> np.ndarray:
        """Shape (dimension,), of length 1."""
        centroids = self.deployment.centroids
        assert centroids is not None
        liked = dict(self.ranker.rank(user, centroids.ids))
        rows = np.array(centroids.centroids) / np.array(centroids.lengths)[:, None]
        mean = np.array([liked[each] for each in centroids.ids]) @ rows
        return np.asarray(mean / np.linalg.norm(mean))

    @property
    def _pipeline_name(self) -> str:
        return search_pipeline_name(self.leg.config.index, self.leg.generation)

    @cached_property
    def _pipeline(self) -> Mapping[str, Any]:
        pipeline: Mapping[str, Any] = self.client.search_pipeline.get(id=self._pipeline_name)[self._pipeline_name]
        return pipeline

    def _ask(self, template: str, params: Mapping[str, Any], **url: str) -> list[Mapping[str, Any]]:
        body, path = {"id": template, "params": params}, f"/{self.deployment.config.index.name}/_search/template"
        answer = self.client.transport.perform_request("POST", path, params=url, body=body)
        return list(answer["hits"]["hits"])


@contextmanager
def ways(
    options: argparse.Namespace, people: Sequence[Person], items: Callable[[Ways], Mapping[str, str]]
) -> Iterator[Ways]:
    """A second pipeline beside the stack's own, and a ranker that knows these people; both end with the block."""
    deployment = Deployment.load(options.config, options.environment)
    values = load(options.config)
    values["project"] = f"legs-{values['project']}"
    values["search"] = {**values["search"], "template": "legs-search"}
    values["ranking"] = {"item": values["ranking"]["item"], "method": "leg"}
    leg = replace(deployment, config=Config.parse(values, str(options.config)))
    if deployment.centroids is not None:
        leg = replace(leg, centroids=deployment.centroids.model_copy(update={"generation": leg.generation}))
    stack = Stack(options.config, options.environment, Folders.default(options.config))
    client, prefix = stack.client(deployment), leg.prefix
    left_out = (Kind.INDEX, Kind.INGEST_PIPELINE)
    wanted = [each for each in leg.resources(stack.runtime(deployment)) if each.kind not in left_out]
    try:
        apply(client, plan(wanted, observe(client, wanted, prefix=prefix), prefix=prefix))
        with opened(stack) as store:
            found = Ways(client, deployment, leg, Ranker(store))
            ranked = items(found)
            try:
                for person in people:
                    store.add(each._replace(item=ranked[each.item]) for each in person.history if each.item in ranked)
                for wait in (SETTLED, 5.0):  # the first question afterwards makes it learn
                    time.sleep(wait)
                    found.rerank("something", people[0].name, 0.5, PAGE)
                yield found
            finally:
                for person in people:
                    store.forget(person.name)
    finally:
        apply(client, plan_destroy(observe(client, wanted, prefix=prefix), prefix=prefix))


def quality(found: Ways, shop: Shop, people: Sequence[Person], sizes: Sequence[int]) -> str:
    """For each way: gain for people with a taste and without, at the weight chosen on others; hits off the question."""
    groups = {name: [person for person in people if person.group == name] for name in ("taste", "neutral")}
    judged = {f"{p.name}|{ask.question}": ask.picks for p in people for ask in p.asks}
    measurer, rows = Measurer(judged, [MEASURE]), []
    for size in sizes:
        for name, ask in found.all.items():
            if name != "rerank" and size != sizes[0]:
                continue  # what is ranked does not hang on the page
            runs = {w: _run(ask if w else found.rerank, people, w, size, f"{name} {w}") for w in WEIGHTS}
            values = {w: _by_person(measurer.per_query(run)[MEASURE]) for w, run in runs.items()}
            best = chosen(values, people)
            off = {w: {pair: _off(shop, pair, answers) for pair, answers in run.items()} for w, run in runs.items()}
            cells = [f"{name}, page of {size}", "–".join(f"{w:g}" for w in sorted({*best.values()}))]
            for group in groups.values():
                names = {person.name for person in group}
                before = np.mean([np.mean(list(values[0.0][each].values())) for each in names])
                change = gain(values, group, best)
                pairs = [pair for pair in judged if pair.split("|", 1)[0] in names]
                was = np.mean([off[0.0][pair] for pair in pairs])
                now = np.mean([off[best[pair.split("|", 1)[0]]][pair] for pair in pairs])
                cells += [f"{before:.3f}", f"{change.mean:+.3f} [{change.low:+.3f}, {change.high:+.3f}]"]
                cells.append(f"{was:.1%} → {now:.1%}")
            rows.append(cells)
            by_weight = ", ".join(
                f"{w:g}: {gain(values, groups['taste'], dict.fromkeys(best, w)).mean:+.3f}"
                f"/{gain(values, groups['neutral'], dict.fromkeys(best, w)).mean:+.3f}"
                for w in WEIGHTS[1:]
            )
            print(f"{name}, page of {size}; gain by weight, taste/neutral: {by_weight}", file=sys.stderr)
    headers = ["way", "weight", *(f"{group}: {each}" for group in groups for each in ("before", "gain", "off"))]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


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


def _off(shop: Shop, pair: str, answers: Sequence[Answer]) -> float:
    """Share of a page that doesn't answer the question."""
    right = shop.questions[pair.split("|", 1)[1]]
    return sum(answer.id not in right for answer in answers) / max(len(answers), 1)


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

    def items(found: Ways) -> dict[str, str]:
        spec, index = found.leg.config.ranking, found.deployment.config.index.name
        assert spec is not None
        asked = {"size": 10_000, "_source": [spec.item], "query": {"match_all": {}}}
        hits = found.client.search(index=index, body=asked, params={"search_pipeline": "_none"})["hits"]["hits"]
        return {hit["_id"]: hit["_source"][spec.item] for hit in hits if spec.item in hit["_source"]}

    with ways(options, people, items) as found:
        load_average = ", ".join(f"{value:.1f}" for value in os.getloadavg())
        print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, load {load_average}; {len(questions)} questions")
        if options.quality:
            print(f"\n{quality(found, shop, people, options.sizes)}")
        if options.latency:
            print(f"\n{latency(found, people, options.rounds, options.sizes[0])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
