"""Judgements: how well each document (or product) answers each query. 0 is wrong, more is better."""

from collections.abc import Mapping
from pathlib import Path

from neuralshelf.errors import InputError

Judgements = Mapping[str, Mapping[str, int]]
"""Query id -> id of a document or product -> grade, 0 or more. What is not judged counts as 0."""


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Judgements in TREC's format: QUERY 0 DOCUMENT GRADE, a line each (trec.nist.gov/data/qrels_eng).

    Raises:
        InputError: the file or a line of it can't be used; says which line.
    """
    found: dict[str, dict[str, int]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(f"judgements {path}: {fault}", hint="give a file in TREC's qrels format") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            query, _, document, grade = line.split()
            if document in found.setdefault(query, {}):
                raise ValueError(f"{document} is judged twice for {query}")
            found[query][document] = int(grade)
        except ValueError as fault:
            raise InputError(
                f"{path}, line {number}: {fault}", hint="lines are QUERY 0 DOCUMENT GRADE, grade a whole number"
            ) from None
    if not found:
        raise InputError(f"judgements {path} are empty", hint="lines are QUERY 0 DOCUMENT GRADE")
    return found
