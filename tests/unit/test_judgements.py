"""Judgements in TREC's format, and runs to and from files."""

import math
from pathlib import Path

import pytest

from neuralshelf.errors import InputError
from neuralshelf.relevance.judgements import read_qrels
from neuralshelf.relevance.run import Answer, distinct, folded, product_of, read_run, write_run


def test_qrels_are_read_as_grades(tmp_path: Path) -> None:
    path = tmp_path / "qrels"
    path.write_text("q1 0 a 3\nq1\t0\tb\t0\n\nq2 0 a -1\n")
    assert read_qrels(path) == {"q1": {"a": 3, "b": 0}, "q2": {"a": -1}}


@pytest.mark.parametrize("line", ["q 0 a", "q 0 a 1 x", "q 0 a good", "q 0 a 1.5", "q1 0 a 1"])
def test_a_bad_line_of_qrels_is_told_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "qrels"
    path.write_text(f"q1 0 a 1\n{line}\n")
    with pytest.raises(InputError, match="line 2"):
        read_qrels(path)


def test_qrels_that_are_away_or_empty_are_told(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    for name in ("empty", "away"):
        with pytest.raises(InputError, match=name):
            read_qrels(tmp_path / name)


def test_a_run_comes_back_from_its_file_in_the_same_order_ties_and_all(tmp_path: Path) -> None:
    run = {
        "q1": [Answer("b", 0.5), Answer("a", 0.5), Answer("c", 0.1 + 0.2)],
        "q2": [Answer("x", 1e-300), Answer("y", -3.0)],
    }
    write_run(tmp_path / "run.trec", run)
    assert read_run(tmp_path / "run.trec") == run
    assert (tmp_path / "run.trec").read_text().splitlines()[0] == "q1 Q0 b 1 0.5 neuralshelf"


def test_answers_without_scores_keep_their_order_in_a_file(tmp_path: Path) -> None:
    write_run(tmp_path / "run.trec", {"q": [Answer("b", math.nan), Answer("a", math.nan), Answer("c", 2.0)]})
    assert [answer.id for answer in read_run(tmp_path / "run.trec")["q"]] == ["b", "a", "c"]


def test_a_run_file_holds_no_white_space_in_ids(tmp_path: Path) -> None:
    for run in ({"q 1": [Answer("a", 1.0)]}, {"q": [Answer("a b", 1.0)]}, {"q": [Answer("", 1.0)]}):
        with pytest.raises(InputError, match="white space"):
            write_run(tmp_path / "run.trec", run)
    with pytest.raises(InputError, match="can't be written"):
        write_run(tmp_path / "file" / "run.trec", {}) if (tmp_path / "file").write_text("") == 0 else None


@pytest.mark.parametrize("line", ["q Q0 a 1 nan t", "q Q0 a 1 high t", "q Q0 a first 1 t", "q Q0 a 1 1"])
def test_a_bad_line_of_a_run_is_told_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "run.trec"
    path.write_text(f"q Q0 a 1 2.0 t\n{line}\n")
    with pytest.raises(InputError, match="line 2"):
        read_run(path)


def test_documents_are_folded_to_products_where_the_best_one_is() -> None:
    run = {"q": [Answer("shoe/2", 0.9), Answer("hat", 0.8), Answer("shoe", 0.7), Answer("hat/3", 0.6)]}
    assert folded(run, product_of) == {"q": [Answer("shoe", 0.9), Answer("hat", 0.8)]}
    assert distinct([Answer("a", 3), Answer("b", 2), Answer("a", 1)]) == [Answer("a", 3), Answer("b", 2)]


@pytest.mark.parametrize(
    ("document", "product"), [("a", "a"), ("a/2", "a"), ("a/b", "a/b"), ("a/2/3", "a/2"), ("/2", "/2"), ("a/", "a/")]
)
def test_the_product_of_a_document_is_what_stands_before_its_number(document: str, product: str) -> None:
    assert product_of(document) == product
