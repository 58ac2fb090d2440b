"""Files of rows: JSON lines, CSV and Parquet, read row by row so that memory does not grow with the file."""

import csv
import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, Protocol, get_args

from neuralshelf.errors import InputError

MAX_LINE_BYTES = 1_000_000
"""Of a line of JSON, or of a CSV row. A CSV cell has at most 131,072 characters, which is Python's own limit."""

FormatName = Literal["jsonl", "csv", "tsv", "parquet"]
FORMATS: tuple[FormatName, ...] = get_args(FormatName)

Row = tuple[int, Mapping[str, Any] | str]
"""A row's number, and its values by column or why it can't be read."""


class Format(Protocol):
    """One file.

    Attributes:
        text: values are the text of cells, yet to be understood; else they have types.
        unread: columns that rows leave out, since nobody wants them.
    """

    text: bool
    unread: Sequence[str]

    def rows(self) -> Iterator[Row]:
        """Every row that is not empty, in order.

        Raises:
            InputError: the file can't be read on.
        """

    def count(self) -> int:
        """Rows that `rows` gives."""


def open_format(
    path: Path, fields: Mapping[str, str], *, name: FormatName | None = None, delimiter: str | None = None
) -> Format:
    """What reads `path`: as `name` says, else as its suffix does (`.gz` behind it is all right).

    Args:
        fields: columns that are wanted -> type; only Parquet looks at them.
        delimiter: between the cells of CSV; default: a tab for TSV, else what the header has most of: `,` `;` or tab.

    Raises:
        InputError: it is none of them, or can't be read.
    """
    if not path.is_file():
        raise InputError(f"catalogue {path} does not exist", hint="give the path of a .jsonl, .csv or .parquet file")
    kind = name or _SUFFIXES.get(path.name.lower().removesuffix(".gz").rpartition(".")[2])
    if delimiter is not None and kind not in ("csv", "tsv"):
        raise InputError(f"catalogue {path} is no CSV, so it has no delimiter", hint="leave out --delimiter")
    if kind == "jsonl":
        return JsonLines(path)
    if kind == "parquet":
        from neuralshelf.ingestion.parquet import Parquet

        return Parquet(path, fields)
    if kind is None:
        raise InputError(f"catalogue {path} has no suffix that says what it is", hint=f"--format {'|'.join(FORMATS)}")
    return Table(path, "\t" if kind == "tsv" and delimiter is None else delimiter)


_SUFFIXES: Mapping[str, FormatName] = {
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "csv": "csv",
    "tsv": "tsv",
    "parquet": "parquet",
}


class Lines:
    """Lines of a file, unpacked if it is gzip, without a byte order mark. `number` is that of the last one, from 1."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.number = 0
        self._path = path
        self._file = file

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> bytes:
        """Raises TooLong for a line over the limit, which is skipped, and InputError when nothing more can be read."""
        line = self._read(MAX_LINE_BYTES + 1)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            size, rest = len(line), line
            while rest and not rest.endswith(b"\n"):
                rest = self._read(MAX_LINE_BYTES)
                size += len(rest)
            raise TooLong(f"line of {size} bytes, the limit is {MAX_LINE_BYTES}")
        return line.removeprefix(b"\xef\xbb\xbf") if self.number == 1 else line

    def _read(self, limit: int) -> bytes:
        try:
            return self._file.readline(limit)
        except (OSError, EOFError, zlib.error) as fault:
            raise InputError(
                f"catalogue {self._path} can't be read after line {self.number}: {fault}",
                hint="make or copy the file again",
            ) from None


class TooLong(ValueError):
    """A line or a CSV row is over the limit."""


@contextmanager
def _opened(path: Path) -> Iterator[Lines]:
    try:
        file: IO[bytes] = path.open("rb")
    except OSError as fault:
        raise InputError(f"catalogue {path} can't be read: {fault.strerror}", hint="mend its permissions") from None
    with file:
        start = file.read(2)
        file.seek(0)
        if start in (b"\xff\xfe", b"\xfe\xff"):
            raise InputError(f"catalogue {path} is UTF-16", hint="save it as UTF-8")
        unpacked: Any = gzip.GzipFile(fileobj=file) if start == b"\x1f\x8b" else file
        yield Lines(path, unpacked)


class JsonLines:
    """An object a line. Rows have the numbers of their lines."""

    text = False
    unread: Sequence[str] = ()

    def __init__(self, path: Path) -> None:
        self._path = path
        with _opened(path):
            pass

    def rows(self) -> Iterator[Row]:
        """See `Format`."""
        with _opened(self._path) as lines:
            for number, line in _numbered(lines):
                yield number, line if isinstance(line, str) else _object(line)

    def count(self) -> int:
        """See `Format`."""
        with _opened(self._path) as lines:
            return sum(1 for _ in _numbered(lines))


def _numbered(lines: Lines) -> Iterator[tuple[int, bytes | str]]:
    """Lines that are not blank; text says why one can't be read."""
    while True:
        try:
            line = next(lines)
        except StopIteration:
            return
        except TooLong as fault:
            yield lines.number, str(fault)
            continue
        if not line.isspace():
            yield lines.number, line


def _object(line: bytes) -> Mapping[str, Any] | str:
    try:
        found = json.loads(line.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_unique)
    except UnicodeDecodeError:
        return "not JSON: not UTF-8"
    except (ValueError, RecursionError) as fault:
        return f"not JSON: {fault}"
    return found if isinstance(found, dict) else "not a JSON object"


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:40]!a} is there twice")
    return found


class Table:
    """CSV in UTF-8 with a header. Rows have the numbers that a spreadsheet shows: the header is row 1."""

    text = True
    unread: Sequence[str] = ()

    def __init__(self, path: Path, delimiter: str | None = None) -> None:
        """
        Raises:
            InputError: no header, a header with a name twice, or no such delimiter.
        """
        self._path = path
        self._delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter) if delimiter else None
        if self._delimiter is not None and (len(self._delimiter) != 1 or self._delimiter in '"\r\n '):
            raise InputError(f"{delimiter!a} can't be a delimiter", hint="give one character, such as ;")
        with _opened(path) as lines:
            self.header = self._header(lines)

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
        with _opened(self._path) as lines:
            source = _RecordLines(lines)
            reader = csv.reader(source, delimiter=self._delimiter or ",", strict=True)
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
                if number == 1 or not cells:
                    continue  # the header, or an empty line
                if lines.number > first and (isinstance(cells, str) or len(cells) != len(self.header)):
                    what = cells if isinstance(cells, str) else f"row of {len(cells)} cells"
                    cells = f"{what}; it goes from line {first} to {lines.number}: is a closing quote missing?"
                yield number, cells

    def _header(self, lines: Lines) -> list[str]:
        say = f"catalogue {self._path}"
        source = _RecordLines(lines)
        try:
            line = next(source, "")
            if self._delimiter is None:
                outside = re.sub(r'"[^"]*"', "", line)
                self._delimiter = max(",;\t", key=outside.count)
            header = next(csv.reader(iter([line]), delimiter=self._delimiter, strict=True), [])
        except (csv.Error, TooLong) as fault:
            raise InputError(f"{say}: its first line is no header: {fault}", hint="write one line of names") from None
        names = [name.strip() for name in header]
        if not any(names):
            raise InputError(f"{say} has no header", hint="write names of columns into its first line")
        for name in names:
            if name and names.count(name) > 1:
                raise InputError(f"{say} has two columns {name[:40]!a}", hint="rename or remove one of them")
        return names


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
