"""Lines of a file, plain or gzip, each within a limit."""

import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from neuralshelf.errors import InputError

MAX_LINE_BYTES = 1_000_000

Row = tuple[int, Mapping[str, Any] | str]
"""A row's number, and its values by column or why it can't be read."""


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
def opened(path: Path) -> Iterator[Lines]:
    """Lines of the file `path`.

    Raises:
        InputError: it can't be opened, or is no UTF-8.
    """
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


def require_id(path: Path, columns: Sequence[str]) -> None:
    """Raises InputError when no column is called `id`: then no row could be a product."""
    if "id" not in columns:
        there = ", ".join(ascii(name[:40])[1:-1] for name in columns[:20])
        raise InputError(f"catalogue {path} has no column id, but {there}", hint="call the products' ids id")
