"""Given vectors by document, on disk: files of vectors come in any order, and may be larger than memory."""

import os
import sqlite3
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import numpy as np

from neuralshelf.errors import InputError
from neuralshelf.ingestion.vectors.files import Faulty, Given

_AT_ONCE = 1000
_CACHE_KIB = 64 * 1024
_TABLES = """
    CREATE TABLE lines (
        id TEXT, field TEXT, slot INTEGER, made_from TEXT, file TEXT, line INTEGER, code TEXT, cause TEXT
    );
    CREATE TABLE documents (id TEXT PRIMARY KEY) WITHOUT ROWID;
"""


class VectorStore:
    """What the lines of vector files said, found again by the id of a document. Several threads may read at once.

    Numbers lie one after the other in a temporary file, 4 bytes each; where a document's are is in a temporary SQLite
    database. Both are in TMPDIR, without a name, so they are gone when this process is, however it ends.
    """

    def __init__(self, dimensions: Mapping[str, int]) -> None:
        """`dimensions`: vector field of the index -> length."""
        self._dimensions = dimensions
        self._numbers = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._books = sqlite3.connect("", check_same_thread=False)
        self._books.executescript(f"PRAGMA journal_mode = OFF; PRAGMA cache_size = -{_CACHE_KIB}; {_TABLES}")
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._numbers.close()
        self._books.close()

    def fill(self, lines: Iterable[Given | Faulty]) -> None:
        """Take in everything, once.

        Raises:
            InputError: the disk is full.
        """
        end = 0
        waiting: list[tuple[Any, ...]] = []
        with _room():
            for line in lines:
                if isinstance(line, Given):
                    self._numbers.write(line.vector.tobytes())
                    waiting.append((line.id, line.field, end, line.made_from, line.file, line.line, None, None))
                    end += line.vector.nbytes
                else:
                    cause = line.cause.encode("utf-8", "replace").decode("utf-8")
                    waiting.append((line.id, line.field, None, None, line.file, line.line, line.code, cause))
                if len(waiting) == _AT_ONCE:
                    self._books.executemany("INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?, ?, ?)", waiting)
                    waiting.clear()
            self._books.executemany("INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?, ?, ?)", waiting)
            self._books.execute("CREATE INDEX by_id ON lines (id, field)")
            self._numbers.flush()

    def of(self, identity: str) -> list[Given | Faulty]:
        """What was said of one document, in the order of reading."""
        question = "SELECT id, field, slot, made_from, file, line, code, cause FROM lines WHERE id = ? ORDER BY rowid"
        with self._lock:
            rows = self._books.execute(question, (identity,)).fetchall()
        return [self._line(*row) for row in rows]

    def fields(self, identity: str) -> set[str]:
        """Vector fields of which one document has a vector that can be used."""
        question = "SELECT DISTINCT field FROM lines WHERE id = ? AND slot IS NOT NULL"
        with self._lock:
            return {field for (field,) in self._books.execute(question, (identity,))}

    def faulty(self, *, nobodys: bool = False) -> Iterator[Faulty]:
        """Faulty lines; `nobodys`: those that don't say whose they are."""
        question = "SELECT id, field, code, cause, file, line FROM lines WHERE code IS NOT NULL"
        for identity, field, code, cause, file, line in self._books.execute(
            f"{question} AND id IS NULL" if nobodys else question
        ):
            yield Faulty(file, line, identity, field, code, cause)

    def met(self, identities: Iterable[str]) -> None:
        """These documents are in the catalogue."""
        with self._lock, _room():
            self._books.executemany("INSERT OR IGNORE INTO documents VALUES (?)", ((each,) for each in identities))

    def unknown(self, most: int) -> tuple[int, list[str]]:
        """How many ids lines speak of that no document has which was `met`, and the first of them by the alphabet."""
        condition = "FROM lines WHERE id IS NOT NULL AND id NOT IN (SELECT id FROM documents)"
        (count,) = self._books.execute(f"SELECT COUNT(DISTINCT id) {condition}").fetchone()
        found = self._books.execute(f"SELECT DISTINCT id {condition} ORDER BY id LIMIT ?", (most,))
        return count, [identity for (identity,) in found]

    def counts(self) -> dict[str, int]:
        """`vectors` that can be used; of these, `repeated` are of a document and field that had one already. Of what is
        `faulty`, `nobodys` does not say whose it is."""
        question = "SELECT COUNT(slot), COUNT(code), COUNT(*) - COUNT(id) FROM lines"
        vectors, faulty, nobodys = self._books.execute(question).fetchone()
        question = "SELECT COUNT(*) FROM (SELECT 1 FROM lines WHERE slot IS NOT NULL GROUP BY id, field)"
        (different,) = self._books.execute(question).fetchone()
        return {"vectors": vectors, "repeated": vectors - different, "faulty": faulty, "nobodys": nobodys}

    def _line(
        self,
        identity: str,
        field: str,
        slot: int | None,
        made_from: str | None,
        file: str,
        line: int,
        code: str,
        cause: str,
    ) -> Given | Faulty:
        if slot is None:
            return Faulty(file, line, identity, field, code, cause)
        numbers = os.pread(self._numbers.fileno(), 4 * self._dimensions[field], slot)
        return Given(file, line, identity, field, np.frombuffer(numbers, np.float32), made_from)


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.OperationalError) as fault:
        raise InputError(
            f"the vectors can't be kept in {tempfile.gettempdir()}: {fault}",
            hint="set TMPDIR to a folder with room for 4 bytes a number",
        ) from None
