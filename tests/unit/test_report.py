"""The page: whole in one file, escaped, with what is worth seeing; tests/browser/test_report.py opens it."""

import re
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from neuralshelf.relevance import plots
from neuralshelf.relevance.evaluation import Comparison, Evaluation, compare, evaluate
from neuralshelf.relevance.queries import Query
from neuralshelf.relevance.report import EXAMPLES, Product, page, thumbnail
from neuralshelf.relevance.run import Answer

HOSTILE = "<script>document.title='owned'</script>\"'&"
GREY = np.full((300, 200, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def queries() -> dict[str, Query]:
    found = {f"t{n}": Query(f"t{n}", f"{HOSTILE} {n}") for n in range(40)}
    found |= {f"p{n}": Query(f"p{n}", image=Path("p.jpg"), box=(0.5, 0.5, 0.5, 0.5)) for n in range(12)}
    return found


@pytest.fixture(scope="module")
def judged(queries: dict[str, Query]) -> dict[str, dict[str, int]]:
    return {query: {"right": 3, "wrong": 0} for query in queries}


@pytest.fixture(scope="module")
def compared(queries: dict[str, Query], judged: dict[str, dict[str, int]]) -> Comparison:
    def at(rank: int) -> list[Answer]:
        answers = [Answer(f"other-{place}", 1 - place / 10) for place in range(6)]
        return [*answers[:rank], Answer("right", 0.5), Answer("wrong", 0.4)]

    before = {query: at(number % 4) for number, query in enumerate(queries)}
    after = {query: at(number % 3) for number, query in enumerate(queries)}
    found: list[Evaluation] = [
        evaluate(name, run, queries, judged, ["nDCG@10", "RR"])
        for name, run in ((f"before {HOSTILE}", before), ("after", after))
    ]
    return compare(found[0], found[1], queries)


def written(
    after: Evaluation, both: Comparison | None, queries: dict[str, Query], judged: dict[str, dict[str, int]]
) -> str:
    return page(
        after,
        both,
        queries,
        judged,
        title="products",
        products=lambda ids: {key: Product(HOSTILE, GREY if key == "right" else None) for key in ids},
        picture=lambda query: None if query.image is None else GREY,
        today=date(2026, 11, 27),
    )


def test_nothing_is_asked_from_anywhere_and_nothing_hostile_gets_through(
    compared: Comparison, queries: dict[str, Query], judged: dict[str, dict[str, int]]
) -> None:
    for both in (compared, None):
        html = written(compared.after, both, queries, judged)
        assert "<script" not in html
        assert "&lt;script&gt;document.title=&#39;owned&#39;&lt;/script&gt;" in html
        assert "default-src 'none'" in html
        links = set(re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')>\s]{1,30})""", html))
        assert {link for link in links if not link.startswith(("data:", "#"))} == set()


def test_wins_and_losses_are_shown_the_biggest_first_and_of_each_kind(
    compared: Comparison, queries: dict[str, Query], judged: dict[str, dict[str, int]]
) -> None:
    html = written(compared.after, compared, queries, judged)
    wins, losses = html.split("<h2>Biggest wins</h2>")[1].split("<h2>Biggest losses</h2>")
    changes = dict(compared.changes("nDCG@10"))
    for part, sign in ((wins, 1), (losses, -1)):
        shown = re.findall(r"([tp]\d+) · (text|crop)", part)
        assert len(shown) == EXAMPLES
        assert {kind for _, kind in shown} == {"text", "crop"}
        by_size = [sign * changes[query] for query, _ in shown]
        assert by_size == sorted(by_size, reverse=True)
        assert min(by_size) > 0
    assert "grade 3" in wins
    assert "grade 0" in wins
    assert "not judged" in wins
    assert wins.count("data:image/jpeg;base64,") >= EXAMPLES


def test_of_one_system_the_worst_and_the_best_are_shown_each_query_once(
    compared: Comparison, queries: dict[str, Query], judged: dict[str, dict[str, int]]
) -> None:
    html = written(compared.after, None, queries, judged)
    shown = re.findall(r"([tp]\d+) · (?:text|crop)", html)
    assert len(shown) == len(set(shown)) == 2 * EXAMPLES
    few = {query: queries[query] for query in list(queries)[:3]}
    alone = evaluate("few", compared.after.run, few, judged, ["RR"])
    html = written(alone, None, few, judged)
    assert len(re.findall(r"t\d+ · text", html)) == 3
    assert "Best answers" not in html


def test_plots_are_whole_svg_in_the_pages_own_colours(compared: Comparison, judged: dict[str, dict[str, int]]) -> None:
    both = [compared.before, compared.after]
    for svg in (plots.curve(both, judged), plots.by_kind(both, "RR"), plots.changes(compared, "nDCG@10")):
        root = ElementTree.fromstring(svg.replace("<svg ", '<svg xmlns:xlink="http://www.w3.org/1999/xlink" ', 1))
        assert root.get("aria-label")
        assert not re.findall(r"#[0-9a-f]{6}\b|<style|<metadata|\bid=\"\w+_\d+\"", svg)
        assert "var(--after)" in svg or "var(--win)" in svg
    assert plots.curve(both, judged) == plots.curve(both, judged)


def test_a_thumbnail_is_small_and_shows_the_box() -> None:
    plain, boxed = thumbnail(GREY), thumbnail(GREY, (0.5, 0.5, 0.5, 0.5))
    assert plain.startswith("data:image/jpeg;base64,")
    assert len(plain) < 3_000
    assert plain != boxed
