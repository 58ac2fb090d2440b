"""Files of rows: JSON lines, CSV and Parquet, read row by row so that memory does not grow with the file."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from neuralshelf.errors import InputError
from neuralshelf.ingestion.rows.lines import Lines, Row, TooLong, opened
from neuralshelf.ingestion.rows.table import Table

FormatName = Literal["jsonl", "csv", "tsv", "parquet"]
FORMATS: tuple[FormatName, ...] = get_args(FormatName)


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


def open_format(path: Path, fields: Mapping[str, str], *, name: FormatName | None = None) -> Format:
    """What reads `path`: as `name` says, else as its suffix does (`.gz` behind it is all right).

    Args:
        fields: columns that are wanted -> type; only Parquet looks at them.

    Raises:
        InputError: it is none of them, or can't be read.
    """
    if not path.is_file():
        raise InputError(f"catalogue {path} does not exist", hint="give the path of a .jsonl, .csv or .parquet file")
    kind = name or _SUFFIXES.get(path.name.lower().removesuffix(".gz").rpartition(".")[2])
    if kind == "jsonl":
        return JsonLines(path)
    if kind == "parquet":
        from neuralshelf.ingestion.rows.parquet import Parquet

        return Parquet(path, fields)
    if kind is None:
        raise InputError(f"catalogue {path} has no suffix that says what it is", hint=f"--format {'|'.join(FORMATS)}")
    return Table(path, "\t") if kind == "tsv" else Table(path)


_SUFFIXES: Mapping[str, FormatName] = {
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "csv": "csv",
    "tsv": "tsv",
    "parquet": "parquet",
}


class JsonLines:
    """An object a line. Rows have the numbers of their lines."""

    text = False
    unread: Sequence[str] = ()

    def __init__(self, path: Path) -> None:
        self._path = path
        with opened(path):
            pass

    def rows(self) -> Iterator[Row]:
        """See `Format`."""
        with opened(self._path) as lines:
            for number, line in _numbered(lines):
                yield number, line if isinstance(line, str) else _object(line)

    def count(self) -> int:
        """See `Format`."""
        with opened(self._path) as lines:
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
        if line.strip():
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
