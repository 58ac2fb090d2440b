"""The file that Personalize learns from, looked at before anything is paid for."""

import csv
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from neuralshelf.errors import InputError

FEWEST = 1_000
"""Interactions of an import and of a solution version (Amazon Personalize developer guide, "Endpoints and quotas")."""

FEWEST_PEOPLE = 25
"""People with two interactions or more (the same)."""

MOST_EVENTS = 10
"""Kinds of events (the same)."""


@dataclass(frozen=True)
class Data:
    """Interactions as a file has them.

    Attributes:
        sha256: of the file, 64 hex digits.
        rows: without the header.
        people: with two interactions or more.
    """

    file: Path
    sha256: str
    rows: int
    people: int

    @property
    def mark(self) -> str:
        """8 hex digits that stand for the content."""
        return self.sha256[:8]

    @classmethod
    def read(cls, file: Path, columns: tuple[str, ...]) -> Self:
        """Count and check.

        Raises:
            InputError: no such file, not with these columns, or less in it than Personalize takes.
        """
        people: Counter[str] = Counter()
        events: set[str] = set()
        try:
            with file.open(newline="", encoding="utf-8") as lines:
                for row in _rows(file, lines, columns):
                    people[row["USER_ID"]] += 1
                    events.add(row["EVENT_TYPE"])
            with file.open("rb") as content:
                sha256 = hashlib.file_digest(content, "sha256").hexdigest()
        except (OSError, UnicodeDecodeError, csv.Error) as fault:
            raise InputError(
                f"{file} can't be read: {fault}", hint="neuralshelf interactions export makes one"
            ) from None
        found = cls(file, sha256, people.total(), sum(count > 1 for count in people.values()))
        found._check(events)
        return found

    def _check(self, events: set[str]) -> None:
        if self.rows < FEWEST:
            hint = "bring more: neuralshelf interactions import FILE; until then the local ranker does with few"
            raise InputError(f"{self.rows} interactions: Amazon Personalize wants {FEWEST:,}", hint=hint)
        if self.people < FEWEST_PEOPLE:
            hint = "bring more people: neuralshelf interactions import FILE"
            said = f"{self.people} people with two interactions or more: Amazon Personalize wants {FEWEST_PEOPLE}"
            raise InputError(said, hint=hint)
        if len(events) > MOST_EVENTS:
            hint = "join some of them in the log, then import it again"
            raise InputError(f"{len(events)} kinds of events: Amazon Personalize takes {MOST_EVENTS}", hint=hint)


def _rows(file: Path, lines: Any, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    reader = csv.DictReader(lines, strict=True)
    if sorted(reader.fieldnames or []) != sorted(columns):
        hint = "neuralshelf interactions export makes one"
        raise InputError(f"{file}: the columns must be {', '.join(columns)}", hint=hint)
    for number, row in enumerate(reader, 2):
        if None in row or None in row.values() or not row["USER_ID"] or not row["ITEM_ID"]:
            raise InputError(f"{file}, line {number}: a value is missing, or one too many", hint="export it anew")
        yield row
