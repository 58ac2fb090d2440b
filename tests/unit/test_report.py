"""The page: whole in one file, escaped, with what is worth seeing; tests/browser/test_report.py opens it."""

import re
from xml.etree import ElementTree

from neuralshelf.relevance import plots
from neuralshelf.relevance.evaluation import compare, evaluate
from neuralshelf.relevance.report import EXAMPLES
from neuralshelf.relevance_tables import evaluation_text
from neuralshelf.thumbnails import thumbnail
from tests.reports import GREY, JUDGED, QUERIES, assert_harmless, compared, report, written


def test_nothing_is_asked_from_anywhere_and_nothing_hostile_gets_through() -> None:
    for html in (report(), report(both=False)):
        assert_harmless(html)


def test_wins_and_losses_are_shown_the_biggest_first_and_of_each_kind() -> None:
    wins, losses = report().split("<h2>Biggest wins</h2>")[1].split("<h2>Biggest losses</h2>")
    changes = dict(compared().changes("nDCG@10"))
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


def test_of_one_system_the_worst_and_the_best_are_shown_each_query_once() -> None:
    shown = re.findall(r"([tp]\d+) · (?:text|crop)", report(both=False))
    assert len(shown) == len(set(shown)) == 2 * EXAMPLES
    few = {query: QUERIES[query] for query in list(QUERIES)[:3]}
    html = written(evaluate("few", compared().after.run, few, JUDGED, ["RR"]), None, few)
    assert len(re.findall(r"t\d+ · text", html)) == 3
    assert "Best answers" not in html


def test_of_a_single_query_there_is_a_page_without_intervals() -> None:
    one = {"t1": QUERIES["t1"], "p1": QUERIES["p1"]}
    before, after = (
        evaluate(each.system, each.run, one, JUDGED, ["RR"]) for each in (compared().before, compared().after)
    )
    html = written(after, compare(before, after, one), one)
    assert "No significant difference" in html
    assert "nan" not in html.lower()
    assert "nan" not in evaluation_text(after, None, None)


def test_plots_are_whole_svg_in_the_pages_own_colours() -> None:
    both = [compared().before, compared().after]
    for svg in (plots.curve(both, JUDGED), plots.by_kind(both, "RR"), plots.changes(compared(), "nDCG@10")):
        root = ElementTree.fromstring(svg.replace("<svg ", '<svg xmlns:xlink="http://www.w3.org/1999/xlink" ', 1))
        assert root.get("aria-label")
        assert not re.findall(r"#[0-9a-f]{6}\b|<style|<metadata|\bid=\"\w+_\d+\"", svg)
        assert "var(--after)" in svg or "var(--win)" in svg


def test_a_thumbnail_is_small_and_shows_the_box() -> None:
    plain, boxed = thumbnail(GREY), thumbnail(GREY, (0.5, 0.5, 0.5, 0.5))
    assert plain.startswith("data:image/jpeg;base64,")
    assert len(plain) < 3_000
    assert plain != boxed
