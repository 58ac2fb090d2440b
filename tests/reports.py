"""A report of a made-up comparison, full of hostile texts, for tests of its markup and of how a browser shows it."""

from datetime import date
from functools import cache
from pathlib import Path

import numpy as np

from neuralshelf.relevance.evaluation import Comparison, Evaluation, compare, evaluate
from neuralshelf.relevance.queries import Query
from neuralshelf.relevance.report import Product, page
from neuralshelf.relevance.run import Answer

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">'&"
GREY = np.full((300, 200, 3), 128, np.uint8)
QUERIES = {f"t{n}": Query(f"t{n}", f"{HOSTILE} {n}") for n in range(40)} | {
    f"p{n}": Query(f"p{n}", image=Path("p.jpg"), box=(0.5, 0.5, 0.5, 0.5)) for n in range(12)
}
JUDGED = {query: {"right": 3, "wrong": 0} for query in QUERIES}


@cache
def compared() -> Comparison:
    """Two systems that put the one right answer at ranks 1 to 4, and 1 to 3."""

    def at(rank: int) -> list[Answer]:
        answers = [Answer(f"other-{place}", 1 - place / 10) for place in range(6)]
        return [*answers[:rank], Answer("right", 0.5), Answer("wrong", 0.4)]

    before = {query: at(number % 4) for number, query in enumerate(QUERIES)}
    after = {query: at(number % 3) for number, query in enumerate(QUERIES)}
    found: list[Evaluation] = [
        evaluate(name, run, QUERIES, JUDGED, ["nDCG@10", "RR"])
        for name, run in ((f"before {HOSTILE}", before), ("after", after))
    ]
    return compare(found[0], found[1], QUERIES)


@cache
def report(*, both: bool = True) -> str:
    """The page of the comparison, or of its second system alone."""
    return written(compared().after, compared() if both else None, QUERIES)


def written(after: Evaluation, both: Comparison | None, queries: dict[str, Query]) -> str:
    """The page of any of them; one answer of all has a picture."""
    return page(
        after,
        both,
        queries,
        JUDGED,
        title=HOSTILE,
        products=lambda ids: {key: Product(HOSTILE, GREY if key == "right" else None) for key in ids},
        picture=lambda query: None if query.image is None else GREY,
        today=date(2026, 11, 27),
    )
