"""Runs: what a search answered to each query of a set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """One document (or product) of an answer with its score."""

    id: str
    score: float


Run = Mapping[str, Sequence[Answer]]
"""Query id -> answers, best first."""


def distinct(answers: Sequence[Answer]) -> list[Answer]:
    """Each id once, where it is first."""
    return list({answer.id: answer for answer in reversed(answers)}.values())[::-1]
