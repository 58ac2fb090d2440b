"""What each leg finds by itself and what the configured search makes of them, on a judged set, by sort of query.

    python tests/relevance_sets/baselines.py QUERIES QRELS --catalogue FILE [--config FILE] [--environment NAME]

The stack has to be up and the catalogue ingested. A sort is the id of a query up to its last hyphen. Values are nDCG@10
with 95 % bootstrap intervals over queries. Legs are asked by themselves where there is a text; a picture without one is
a single leg anyway. Said as well: how many words of the texts stand in titles of what answers them.
"""

import argparse
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from neuralshelf.cli.context import context
from neuralshelf.local.evaluation import Asked, Judged, query_picture
from neuralshelf.relevance.legs import LegSearcher, raw_order
from neuralshelf.relevance.measures import per_query
from neuralshelf.relevance.run import Run
from neuralshelf.relevance.statistics import interval

MEASURE = "nDCG@10"
#: Words that say nothing of a product.
STOP = re.compile(
    r"\b(a|an|and|at|by|de|do|for|from|i|in|into|is|it|my|of|on|or|that|the|this|to|up|what|where|while|with|without)\b"
)


def runs(words: argparse.Namespace, judged: Judged) -> dict[str, Run]:
    """System → its run; a leg's has the queries with a text only."""
    stack, deployment = context(words)
    config = deployment.config
    searcher = LegSearcher(stack.client(deployment), config.index, config.search, stack.folders.state / "tune")

    def picture(query: Any) -> str:
        return query_picture(query, deployment)

    legs = searcher.search_all(judged.queries, (), picture)
    found: dict[str, Run] = {
        "keyword": {name: raw_order(each.keyword[config.search.keyword]) for name, each in legs.items()}
    }
    for number, vector in enumerate(config.index.vectors):
        found[vector] = {name: raw_order(each.vectors[number]) for name, each in legs.items()}
    found["configured"] = Asked(stack, deployment).system().run(judged.queries, picture)
    return found


def by_sort(names: Sequence[str], judged: Judged) -> dict[str, list[str]]:
    """Sort of query → its queries, after all of them and all of each kind."""
    found: dict[str, list[str]] = {"all": list(names), "with a text": [n for n in names if judged.queries[n].text]}
    for name in names:
        found.setdefault(name.rpartition("-")[0], []).append(name)
    return found


def table(found: Mapping[str, Run], judged: Judged) -> Iterator[list[str]]:
    """A line a sort: its queries, and each system's mean with its interval."""
    values = {}
    for system, run in found.items():
        asked = {name: judged.judgements[name] for name in judged.queries if name in run}
        values[system] = per_query(run, asked, [MEASURE])[MEASURE]
    for sort, names in by_sort(list(judged.queries), judged).items():
        cells = []
        for of_system in values.values():
            if all(name in of_system for name in names):
                mean = interval([of_system[name] for name in names])
                cells.append(f"{mean.mean:.3f} [{mean.low:.3f}, {mean.high:.3f}]")
            else:
                cells.append("")
        yield [sort, str(len(names)), *cells]


def overlap(judged: Judged, titles: Mapping[str, str]) -> tuple[float, float]:
    """Of the words of the texts (stop words aside): the share that stands in a title graded 2 or 3; and the share of
    texts of which no word does."""
    seen = alone = total = queries = 0
    for name, query in judged.queries.items():
        asked = set(re.findall(r"\w+", STOP.sub(" ", query.text.lower())))
        if query.kind != "text" or not asked:
            continue
        relevant = " ".join(titles[id] for id, grade in judged.judgements[name].items() if grade >= 2)
        shared = asked & set(re.findall(r"\w+", relevant.lower()))
        seen, total, queries, alone = seen + len(shared), total + len(asked), queries + 1, alone + (not shared)
    return seen / total, alone / queries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("queries", type=Path)
    parser.add_argument("qrels", type=Path)
    parser.add_argument("--catalogue", type=Path, required=True, metavar="FILE")
    parser.add_argument("--config", type=Path, default=Path("neuralshelf.yaml"), metavar="FILE")
    parser.add_argument("--environment", default="local", metavar="NAME")
    words = parser.parse_args()
    judged = Judged.read(words.queries, words.qrels, None)
    rows = map(json.loads, words.catalogue.read_text(encoding="utf-8").splitlines())
    found = runs(words, judged)
    print(tabulate(table(found, judged), headers=("sort", "queries", *found), tablefmt="github", disable_numparse=True))
    shared, alone = overlap(judged, {row["id"]: row["title"] for row in rows})
    print(
        f"\n{shared:.0%} of the texts' words stand in a title graded 2 or 3; {alone:.0%} of texts share none with one"
    )


if __name__ == "__main__":
    main()
