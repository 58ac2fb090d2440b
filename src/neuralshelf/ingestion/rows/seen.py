"""Ids seen before: on disk when they are many, so that a million of them takes no more memory than a thousand."""

import sqlite3
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from neuralshelf.errors import InputError

CACHE_KIB = 16_384
"""Of the table in memory; the rest is in a temporary file, which SQLite deletes at once from its folder."""


class Seen:
    """Document id -> the row that has it. One thread at a time may use it."""

    def __init__(self) -> None:
        self._table = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for setting in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{CACHE_KIB}"):
            self._table.execute(f"PRAGMA {setting}")
        self._table.execute("CREATE TABLE seen (id TEXT PRIMARY KEY, row INTEGER) WITHOUT ROWID")
        self._table.execute("BEGIN")

    def claim(self, ids: Sequence[str], row: int) -> tuple[str, int] | None:
        """Note that `ids` are those of `row`, unless one of them was claimed: then that one and its row are returned.

        Raises:
            InputError: there is no room on disk.
        """
        try:
            if len(ids) > 1:
                for identity in ids:
                    if found := self._row(identity):
                        return identity, found
            for identity in ids:
                done = self._table.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (identity, row))
                if not done.rowcount:
                    return identity, self._row(identity)
        except sqlite3.OperationalError as fault:
            raise InputError(
                f"ids can't be noted on disk: {fault}", hint="make room, or name another folder with SQLITE_TMPDIR"
            ) from None
        return None

    def _row(self, identity: str) -> int:
        found = self._table.execute("SELECT row FROM seen WHERE id = ?", (identity,)).fetchone()
        return int(found[0]) if found else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._table.close()
