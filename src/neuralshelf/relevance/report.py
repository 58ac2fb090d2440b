"""An evaluation as one page: a file that needs nothing else, can be sent by mail and asks for nothing from anywhere."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from neuralshelf.relevance import plots
from neuralshelf.relevance.evaluation import ALL, FINDINGS, Comparison, Evaluation
from neuralshelf.relevance.judgements import Judgements
from neuralshelf.relevance.queries import Query
from neuralshelf.templates import render_text
from neuralshelf.thumbnails import Picture, thumbnail

SHOWN = 5
"""Answers of a query that the page shows."""
EXAMPLES = 8
"""Queries of a sort that the page shows: wins, losses; or the worst and the best."""


@dataclass(frozen=True)
class Product:
    """What the page shows of an answer: its title, and its picture where there is one."""

    title: str
    picture: Picture | None = None


Products = Callable[[Sequence[str]], Mapping[str, Product]]
"""Ids -> what is known of each; ids that nothing is known of may be missing."""


def page(
    after: Evaluation,
    compared: Comparison | None,
    queries: Mapping[str, Query],
    judgements: Judgements,
    *,
    title: str,
    products: Products,
    picture: Callable[[Query], Picture | None],
    today: date,
) -> str:
    """HTML of the report.

    Args:
        compared: with the system before, whose `after` is `after`.
        products: see `Products`; asked once.
        picture: of a query, whole.
        today: when it was measured.

    Raises:
        MissingDependencyError: the extra `relevance` is not there.
    """
    main = next(iter(after.measures))
    runs = [compared.before, after] if compared else [after]
    sections = _sections(compared, after, main, queries)
    shown = {query for _, rows in sections for query, _ in rows}
    wanted = sorted({a.id for each in runs for query in shown for a in each.run.get(query, ())[:SHOWN]})
    known = {key: _card(key, product) for key, product in products(wanted).items()}
    return render_text(
        "report/evaluation.html.j2",
        title=title,
        day=f"{today:%Y-%m-%d}",
        main=main,
        all=ALL,
        after=after,
        compared=compared,
        curve=plots.curve(runs, judgements),
        by_kind=plots.by_kind(runs, main),
        changes=plots.changes(compared, main) if compared else "",
        sections=[
            (name, [_example(query, value, runs, main, queries, judgements, known, picture) for query, value in rows])
            for name, rows in sections
            if rows
        ],
        shown=SHOWN,
        findings=FINDINGS,
    )


def _sections(
    compared: Comparison | None, after: Evaluation, main: str, queries: Mapping[str, Query]
) -> list[tuple[str, list[tuple[str, float]]]]:
    """Heading -> queries with their change (or, of one system, their value)."""
    if compared is not None:
        changes = compared.changes(main)
        wins, losses = [pair for pair in changes if pair[1] > 0], [pair for pair in changes if pair[1] < 0]
        return [("Biggest wins", _first(wins, queries)), ("Biggest losses", _first(losses[::-1], queries))]
    values = sorted(after.per_query[main].items(), key=lambda pair: pair[1])
    worst = _first(values, queries)
    best = _first([pair for pair in values[::-1] if pair not in worst], queries)
    return [("Worst answers", worst), ("Best answers", best)]


def _first(rows: Sequence[tuple[str, float]], queries: Mapping[str, Query]) -> list[tuple[str, float]]:
    """The first EXAMPLES, of each kind of query in turn; in the order of `rows`."""
    turns: Counter[str] = Counter()
    places = []
    for place, (query, _) in enumerate(rows):
        kind = queries[query].kind
        places.append((turns[kind], place))
        turns[kind] += 1
    return [rows[place] for place in sorted(place for _, place in sorted(places)[:EXAMPLES])]


def _example(
    identity: str,
    value: float,
    runs: Sequence[Evaluation],
    main: str,
    queries: Mapping[str, Query],
    judgements: Judgements,
    known: Mapping[str, Mapping[str, str]],
    picture: Callable[[Query], Picture | None],
) -> dict[str, Any]:
    """What the template needs of one query."""
    query, grades = queries[identity], judgements[identity]
    pixels = None if query.image is None else picture(query)
    answers = [
        [{**known.get(a.id, _unknown(a.id)), "grade": grades.get(a.id)} for a in each.run.get(identity, ())[:SHOWN]]
        for each in runs
    ]
    return {
        "query": query,
        "picture": "" if pixels is None else thumbnail(pixels, query.box),
        "value": value,
        "values": [each.per_query[main][identity] for each in runs],
        "answers": answers,
    }


def _card(identity: str, product: Product) -> dict[str, str]:
    return {
        "id": identity,
        "title": product.title or identity,
        "picture": "" if product.picture is None else thumbnail(product.picture),
    }


def _unknown(identity: str) -> dict[str, str]:
    return {"id": identity, "title": identity, "picture": ""}
