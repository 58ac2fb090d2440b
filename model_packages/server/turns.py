"""While searches come in, models that work in the background leave them a core."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 3.0
"""So long after a search the next one is expected."""


class Turns:
    """How many batches the models of one server work on in the background. Thread safe."""

    def __init__(self, cores: int | None = None) -> None:
        """`cores`: default are all of the machine."""
        self._slots = threading.Semaphore(max(1, (cores or os.cpu_count() or 1) - 1))
        self._until = float("-inf")

    def searched(self) -> None:
        """Something urgent has come."""
        self._until = time.monotonic() + SECONDS

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until a batch may be worked on in the background."""
        if time.monotonic() >= self._until:
            yield
            return
        with self._slots:
            yield
