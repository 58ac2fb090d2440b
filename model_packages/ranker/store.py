"""Interactions of people with items, kept in one SQLite file: those of a person can be found and forgotten at once."""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

SCHEMA = """
CREATE TABLE IF NOT EXISTS interactions (
  user TEXT NOT NULL, item TEXT NOT NULL, event TEXT NOT NULL, at REAL NOT NULL, value REAL,
  PRIMARY KEY (user, at, item, event)
) WITHOUT ROWID, STRICT;
CREATE INDEX IF NOT EXISTS by_time ON interactions (at);
"""
SELECT = "SELECT user, item, event, at, value FROM interactions"
BUSY_SECONDS = 10.0


class Interaction(NamedTuple):
    """Somebody did something with an item.

    Attributes:
        event: what they did, such as view or purchase.
        at: seconds since 1970, UTC.
        value: what the event says besides, such as a rating or a price; Personalize's EVENT_VALUE.
    """

    user: str
    item: str
    event: str
    at: float
    value: float | None = None


@dataclass(frozen=True)
class Summary:
    """What a store holds; `first` and `last` are times, None in an empty one."""

    interactions: int
    users: int
    items: int
    first: float | None
    last: float | None


class Interactions:
    """The store. One interaction is there once, however often it is added. Several threads and processes may use it."""

    def __init__(self, path: Path) -> None:
        """Open it, or make it, readable for its owner alone.

        Raises:
            sqlite3.DatabaseError: the file is no such store.
            OSError: it can't be made there.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        self._path = path
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA secure_delete=ON")  # what is forgotten is overwritten
        self._connection.executescript(SCHEMA)

    def close(self) -> None:
        """The store can't be used afterwards."""
        self._connection.close()

    def add(self, interactions: Iterable[Interaction]) -> int:
        """Keep all of them or, if one can't be kept, none; returns how many are new."""
        with self._lock:
            before = self._connection.total_changes
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(
                    "INSERT INTO interactions (user, item, event, at, value) VALUES (?, ?, ?, ?, ?)"
                    " ON CONFLICT DO NOTHING",
                    interactions,
                )
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
            return self._connection.total_changes - before

    def of_user(self, user: str, limit: int) -> list[Interaction]:
        """The newest ones of a person, the newest first."""
        statement = f"{SELECT} WHERE user = ? ORDER BY at DESC LIMIT ?"
        return [Interaction(*row) for row in self._rows(statement, user, limit)]

    def everything(self, since: float = float("-inf")) -> Iterator[Interaction]:
        """All from `since` on, as they are now, ordered by person, then time; one after another, not all at once.

        They are read by a connection of their own, so that the store can be used meanwhile.
        """
        # +at: else SQLite goes by time and sorts all of them before it gives the first
        statement = f"{SELECT} WHERE +at >= ? ORDER BY user, at"
        with closing(sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            for row in connection.execute(statement, (since,)):
                yield Interaction(*row)
            _empty_log(connection)  # what was forgotten meanwhile stayed there for us

    def version(self) -> tuple[int, int]:
        """Another one once something was added or forgotten, by us or by another process."""
        ((others,),) = self._rows("PRAGMA data_version")
        return others, self._connection.total_changes

    def forget(self, user: str) -> int:
        """Delete all of a person; returns how many there were. Their bytes are overwritten."""
        return self._delete("DELETE FROM interactions WHERE user = ?", user)

    def prune(self, before: float) -> int:
        """Delete all that is older than a time; returns how many there were."""
        return self._delete("DELETE FROM interactions WHERE at < ?", before)

    def summary(self) -> Summary:
        """What is in it."""
        (found,) = self._rows(
            "SELECT count(*), count(DISTINCT user), count(DISTINCT item), min(at), max(at) FROM interactions"
        )
        return Summary(*found)

    def _delete(self, statement: str, value: str | float) -> int:
        with self._lock:
            count = self._connection.execute(statement, (value,)).rowcount
            _empty_log(self._connection)
            return count

    def _rows(self, statement: str, *values: object) -> list[Any]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()


def _empty_log(connection: sqlite3.Connection) -> None:
    """It holds old pages. Who reads for longer than a second keeps them, and comes here at the end."""
    connection.execute("PRAGMA busy_timeout=1000")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")
