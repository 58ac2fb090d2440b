"""Catalogues in CSV."""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from neuralshelf.errors import InputError
from neuralshelf.ingestion.rows.lines import MAX_LINE_BYTES, Lines, Row, TooLong, opened, require_id


class Table:
    """CSV in UTF-8 with a header. Rows have the numbers that a spreadsheet shows: the header is row 1.

    A row has at most MAX_LINE_BYTES, a cell 131,072 characters, which is Python's own limit.
    """

    text = True
    unread: Sequence[str] = ()

    def __init__(self, path: Path, delimiters: str = ",;\t|") -> None:
        """
        Args:
            delimiters: what may stand between cells; it is the one that the header has most of.

        Raises:
            InputError: no header, or one without `id` or with a name twice.
        """
        self._path = path
        with opened(path) as lines:
            self._delimiter, self.header = self._begin(lines, delimiters)
        require_id(path, self.header)

    def rows(self) -> Iterator[Row]:
        """See `Format`."""
        wanted = len(self.header)
        for number, cells in self._records():
            if isinstance(cells, str):
                yield number, cells
            elif len(cells) == wanted:
                yield number, dict(zip(self.header, cells, strict=True))
            else:
                yield number, f"row of {len(cells)} cells, the header has {wanted}"

    def count(self) -> int:
        """See `Format`."""
        return sum(1 for _ in self._records())

    def _records(self) -> Iterator[tuple[int, list[str] | str]]:
        with opened(self._path) as lines:
            source = _RecordLines(lines)
            reader = csv.reader(source, delimiter=self._delimiter, strict=True)
            number = 0
            while True:
                first = source.begin()
                try:
                    cells: list[str] | str = next(reader)
                except StopIteration:
                    return
                except (csv.Error, TooLong) as fault:
                    cells = str(fault)
                number += 1
                if number == 1 or not any(cells):
                    continue  # the header, or an empty row
                if lines.number > first and (isinstance(cells, str) or len(cells) != len(self.header)):
                    what = cells if isinstance(cells, str) else f"row of {len(cells)} cells"
                    cells = f"{what}; it goes from line {first} to {lines.number}: is a closing quote missing?"
                yield number, cells

    def _begin(self, lines: Lines, delimiters: str) -> tuple[str, list[str]]:
        say = f"catalogue {self._path}"
        source = _RecordLines(lines)
        try:
            line = next(source, "")
            delimiter = max(delimiters, key=re.sub(r'"[^"]*"', "", line).count)
            header = next(csv.reader(iter([line]), delimiter=delimiter, strict=True), [])
        except (csv.Error, TooLong) as fault:
            raise InputError(f"{say}: its first line is no header: {fault}", hint="write one line of names") from None
        names = [name.strip() for name in header]
        if not any(names):
            raise InputError(f"{say} has no header", hint="write names of columns into its first line")
        for name in names:
            if name and names.count(name) > 1:
                raise InputError(f"{say} has two columns {name[:40]!a}", hint="rename or remove one of them")
        return delimiter, names


class _RecordLines:
    """Text of lines for `csv`, which may take several for a record; too many in all are TooLong."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._bytes = 0

    def begin(self) -> int:
        """A record begins; the number of its first line."""
        self._bytes = 0
        return self._lines.number + 1

    def __iter__(self) -> "_RecordLines":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._bytes += len(line)
        if self._bytes > MAX_LINE_BYTES + 1:
            raise TooLong(f"row of more than {MAX_LINE_BYTES} bytes")
        return line.decode("utf-8", "surrogateescape")
