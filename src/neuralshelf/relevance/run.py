"""Runs: what a search answered to each query of a set; as TREC's run files, which other tools read and write too.

QUERY Q0 DOCUMENT RANK SCORE TAG          a line an answer, ids without white space
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from neuralshelf.errors import InputError
from neuralshelf.files import write_files

_LINE = "lines are QUERY Q0 DOCUMENT RANK SCORE TAG"


@dataclass(frozen=True)
class Answer:
    """One document (or product) of an answer with its score; NaN where the engine gave none."""

    id: str
    score: float


Run = Mapping[str, Sequence[Answer]]
"""Query id -> answers, best first."""


def distinct(answers: Sequence[Answer]) -> list[Answer]:
    """Each id once, where it is first."""
    found: dict[str, Answer] = {}
    for answer in answers:
        found.setdefault(answer.id, answer)
    return list(found.values())


def folded(run: Run, product: Callable[[str], str]) -> dict[str, list[Answer]]:
    """Products instead of documents: each product once, where its best document is."""
    return {
        query: distinct([Answer(product(answer.id), answer.score) for answer in answers])
        for query, answers in run.items()
    }


def product_of(document: str) -> str:
    """The product of a document by its id, `PRODUCT` or `PRODUCT/N` (`ingestion.catalogue.view_id`)."""
    product, slash, number = document.rpartition("/")
    return product if slash and product and number.isascii() and number.isdecimal() else document


def read_run(path: Path) -> dict[str, list[Answer]]:
    """A run file, in the order of its scores; equal scores in that of its ranks.

    trec_eval breaks ties by id, so that it may give a run with ties other values.

    Raises:
        InputError: the file or a line of it can't be used; says which line.
    """
    found: dict[str, list[tuple[float, int, str]]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(f"run {path}: {fault}", hint="give a file in TREC's run format") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            query, _, document, rank, score, _ = line.split()
            value = float(score)
            if math.isnan(value):
                raise ValueError(f"the score of {document} is no number")
            found.setdefault(query, []).append((-value, int(rank), document))
        except ValueError as fault:
            raise InputError(f"{path}, line {number}: {fault}", hint=_LINE) from None
    if not found:
        raise InputError(f"run {path} is empty", hint=_LINE)
    return {query: [Answer(each[2], -each[0]) for each in sorted(answers)] for query, answers in found.items()}


def write_run(path: Path, run: Run, tag: str = "neuralshelf") -> None:
    """A run file that `read_run` reads back in the same order. Queries without an answer leave no line.

    Where scores don't fall from answer to answer (a search that sorts by a field has none), ranks stand in for them.

    Raises:
        InputError: an id has white space, for which the format has no place; or the file can't be written.
    """
    lines = []
    for query, answers in run.items():
        scores = [answer.score for answer in answers]
        if not all(first >= second for first, second in pairwise([math.inf, *scores])):
            scores = [-float(rank) for rank in range(1, len(answers) + 1)]
        for rank, (answer, score) in enumerate(zip(answers, scores, strict=True), 1):
            if any(part.split() != [part] for part in (query, answer.id)):
                raise InputError(
                    f"query {query!r}, document {answer.id!r}: white space in an id", hint="a run file can't hold it"
                )
            lines.append(f"{query} Q0 {answer.id} {rank} {score!r} {tag}\n")
    write_files({path.name: "".join(lines)}, path.parent)
