"""Whether people who search meanwhile have to wait: one search a second of our own, held against the time before."""

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from opensearchpy import OpenSearch, OpenSearchException, TransportError

from neuralshelf.errors import NeuralshelfError

QUIET_PROBES = 5
READING = 5
SUFFERING = 1.5
"""Times the quiet median from which on searches suffer, by the second longest of a reading: leaves room below the
promised 2."""

CALM_SECONDS = 10.0
"""So long after the last search of somebody else another one is expected."""

LEAST_SECONDS = 0.02
"""Below this nobody waits."""


class SearchWatch:
    """Watches an index from its own thread, as a context manager. Nobody searching, nobody suffers.

    Attributes:
        suffering: they wait longer than before; as of the last of so many `readings`.
    """

    def __init__(self, client: OpenSearch, index: str, ask: Callable[[], object], *, every: float = 1.0) -> None:
        """`ask`: sends one search as people do and returns when it is answered."""
        self._client = client
        self._index = index
        self._ask = ask
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="searches", daemon=True)
        self._quiet = 0.0
        self._last: deque[float] = deque(maxlen=READING)
        self._own = 0
        self._shards = 1
        self._seen = float("-inf")
        self.readings = 0
        self.suffering = False

    def __enter__(self) -> Self:
        """Measures the quiet time first, some tenths of a second; a login that may not search is not watched."""
        times = [taken for _ in range(QUIET_PROBES) if (taken := self._timed()) is not None]
        if len(times) == QUIET_PROBES:
            self._quiet = max(LEAST_SECONDS, statistics.median(times))
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(30)

    @property
    def searching(self) -> bool:
        """Whether others search these seconds."""
        return time.monotonic() - self._seen < CALM_SECONDS

    def _watch(self) -> None:
        before = self._searches()
        while not self._stop.wait(self._every):
            now = self._searches()
            others = before is None or now is None or now - before > self._own * self._shards
            before, self._own = now, 0
            if others:
                self._seen = time.monotonic()
            if not others:
                self._last.clear()
                self.suffering = False
                continue
            taken = self._timed()
            self._last.append(self._every * 10 if taken is None else taken)
            if len(self._last) == READING:
                self.suffering = sorted(self._last)[-2] > SUFFERING * self._quiet
                self.readings += 1
                self._last.clear()

    def _timed(self) -> float | None:
        """Seconds of one search; None when it failed."""
        start = time.monotonic()
        self._own += 1
        try:
            self._ask()
        except (OpenSearchException, NeuralshelfError):
            return None
        return time.monotonic() - start

    def _searches(self) -> int | None:
        """Searches that its shards have seen; None for a login that may not know."""
        try:
            answer = self._client.indices.stats(index=self._index, metric="search")
        except TransportError:
            return None
        self._shards = max(1, int(answer["_shards"]["total"]))
        return int(answer["_all"]["total"]["search"]["query_total"])
