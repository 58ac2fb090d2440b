"""How far an ingest has come, on disk: killed at any moment, the next run goes on from there."""

import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from neuralshelf.errors import InputError

EVERY_SECONDS = 1.0


@dataclass(frozen=True)
class Progress:
    """What a checkpoint holds: rows up to `row` are settled, and so many documents and letters came of them."""

    row: int = 0
    indexed: int = 0
    dead_letters: int = 0


class Frontier:
    """Which rows are settled: all of their documents are in the index, or have a letter."""

    def __init__(self, start: Progress) -> None:
        self.progress = start
        self._rows: dict[int, list[int]] = {}  # row -> documents under way, indexed, dead; in the order of reading

    def add(self, row: int, documents: int) -> None:
        """A row was read that makes that many documents, 1 or more."""
        self._rows[row] = [documents, 0, 0]

    def done(self, row: int, *, dead: bool) -> None:
        """One document of that row is settled."""
        counts = self._rows[row]
        counts[0] -= 1
        counts[2 if dead else 1] += 1
        while self._rows:
            first = next(iter(self._rows))
            under_way, indexed, letters = self._rows[first]
            if under_way:
                return
            del self._rows[first]
            before = self.progress
            self.progress = Progress(first, before.indexed + indexed, before.dead_letters + letters)


class Checkpoint:
    """The file of one catalogue and one index.

    It counts only for the very same catalogue file (path, size, time of change) and the very same index.
    """

    def __init__(self, folder: Path, catalogue: Path, index: str) -> None:
        """`index`: its unique id, which a new index of the same name does not share."""
        found = catalogue.stat()
        self._about = {
            "catalogue": str(catalogue.resolve()),
            "size": found.st_size,
            "changed": found.st_mtime_ns,
            "index": index,
        }
        name = hashlib.sha256(json.dumps([self._about["catalogue"], index]).encode()).hexdigest()[:24]
        self.path = folder / f"{name}.json"
        self._saved = time.monotonic()

    def load(self) -> Progress:
        """From where to go on; the beginning when there is no checkpoint that counts."""
        try:
            found: dict[str, Any] = json.loads(self.path.read_text("utf-8"))
            progress = Progress(**found.pop("progress"))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return Progress()
        return progress if found == self._about else Progress()

    def open(self) -> Self:
        """Make sure that it can be written.

        Raises:
            InputError: it can't.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not os.access(self.path.parent, os.W_OK):
                raise PermissionError(13, "Permission denied")
        except OSError as fault:
            raise InputError(
                f"the checkpoint {self.path} can't be written ({fault.strerror})",
                hint="make room or name a folder that can be written in NEURALSHELF_STATE",
            ) from None
        return self

    def save(self, progress: Progress, *, force: bool = False) -> bool:
        """Write it, at most once a second unless forced; False when the disk did not take it (the old one stays)."""
        now = time.monotonic()
        if not force and now - self._saved < EVERY_SECONDS:
            return True
        self._saved = now
        temporary = self.path.with_suffix(".new")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                json.dump({**self._about, "progress": asdict(progress)}, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        except OSError:
            temporary.unlink(missing_ok=True)
            return False
        return True

    def remove(self) -> None:
        """The run is complete."""
        self.path.unlink(missing_ok=True)
        self.path.with_suffix(".new").unlink(missing_ok=True)  # of a run that was killed while it saved
