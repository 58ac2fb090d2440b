"""What the checker says of a search: each thing it found, and the verdict that follows."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Json = Any
FORMAT_VERSION = 1


class Grade(StrEnum):
    """How much a finding matters."""

    NOTE = "note"
    REWRITE = "rewrite"
    REFUSAL = "refusal"


@dataclass(frozen=True)
class Finding:
    """One thing about a search.

    Attributes:
        path: JSON path in the body as it was given, such as `query.hybrid.queries[1].knn.vec.k`, or `?NAME` of a URL
            parameter.
        reason: what OpenSearch would do, and what to do or what was done about it.
        issue: where it is discussed in public, such as `neural-search #325`; empty where nobody has reported it.
    """

    grade: Grade
    path: str
    reason: str
    issue: str = ""


@dataclass(frozen=True)
class Verdict:
    """What became of one search.

    Attributes:
        findings: in the order in which they were made.
        body: the search that is right; as it was given when nothing had to change; None when it is refused.
        params: URL parameters that belong to `body`.
    """

    findings: tuple[Finding, ...]
    body: Mapping[str, Json] | None
    params: Mapping[str, str]

    @property
    def word(self) -> str:
        """`correct`, `rewritten` or `refused`."""
        grades = {finding.grade for finding in self.findings}
        if Grade.REFUSAL in grades:
            return "refused"
        return "rewritten" if Grade.REWRITE in grades else "correct"

    def as_dict(self) -> dict[str, Json]:
        """For `--json`."""
        findings = [
            {"grade": str(f.grade), "path": f.path, "reason": f.reason, "issue": f.issue or None} for f in self.findings
        ]
        return {
            "format_version": FORMAT_VERSION,
            "verdict": self.word,
            "findings": findings,
            "body": self.body,
            "params": dict(self.params),
        }


def note(path: str, reason: str, issue: str = "") -> Finding:
    """The search is right; people should know all the same."""
    return Finding(Grade.NOTE, path, reason, issue)


def rewrite(path: str, reason: str, issue: str = "") -> Finding:
    """The body was changed."""
    return Finding(Grade.REWRITE, path, reason, issue)


def refusal(path: str, reason: str, issue: str = "") -> Finding:
    """The search would fail or answer something else, and what is meant can't be told."""
    return Finding(Grade.REFUSAL, path, reason, issue)
