"""How many bulks at once, and how large: found by trying, as networks find their rate.

Two things are sought. The window, documents under way at once, grows while bulks are short, fast at first and by a
twentieth after the first refusal for too many requests, at which it is halved (additive increase, multiplicative
decrease: Chiu and Jain 1989). The window is shared out among writers, twice as many at first, then one more of them, as
long as that brings more documents a second. A bulk stays far below 10 s, after which ML Commons fails a document that
waits for a connection (OpenSearch 3.6.0); that is its rule of documents ≤ connections × 10 s ÷ latency, without having
to know the latency.
"""

from dataclasses import dataclass

FIRST_WRITERS = 2
MOST_WRITERS = 12
FIRST_BULK = 32
LEAST_BULK = 4
MOST_BULK = 512
GENTLE_WRITERS = 1
GENTLE_BULK = 8
"""To begin with while people search: OpenSearch works off a bulk in one go, and a search that meets it waits for it."""

_SHORT_SECONDS = 1.5
_LONG_SECONDS = 4.0
_EPOCH_SECONDS = 1.5
_GAIN = 1.03  # less than this is no gain
_MOST_PATIENCE = 16


@dataclass
class Tempo:
    """The present setting; `settled`, `searching` and `searches_suffer` change it.

    Attributes:
        writers: bulks under way at once.
        bulk: documents in each, about; `size` says how many exactly.
        fixed: leave both as they are.
        batch: texts that a model takes at once.
        gentle: people search meanwhile; set by `searching`.
    """

    writers: int = FIRST_WRITERS
    bulk: int = FIRST_BULK
    fixed: bool = False
    batch: int = 1
    gentle: bool = False
    _growth: float = 1.5
    # the epoch: what has come back since the last change
    _since: float | None = None
    _bulks: int = 0
    _documents: int = 0
    _seconds: float = 0.0
    # the search for the number of writers
    _before: tuple[int, float] = (FIRST_WRITERS, 0.0)  # writers, and documents a second with them
    _tried: bool = False
    _doubling: bool = True
    _wait: int = 0  # epochs, or looks at the searches, until more is tried again
    _patience: int = 1

    @property
    def size(self) -> int:
        """Documents in the next bulk: whole batches, since OpenSearch makes batches of one bulk only."""
        return self.bulk if self.bulk < self.batch else self.bulk // self.batch * self.batch

    def settled(self, documents: int, seconds: float, *, throttled: bool, now: float) -> None:
        """A bulk is back.

        Args:
            documents: that were in it.
            seconds: it took, preparation included.
            throttled: some were refused because of too many requests.
            now: on a clock that only goes forward, in seconds.
        """
        if self.fixed:
            return
        if self._since is None:
            self._since = now - seconds
        self._bulks += 1
        self._documents += documents
        self._seconds += seconds
        elapsed = now - self._since
        if throttled:
            self._growth = 1.05
            self._halve()
        elif self._bulks >= 2 * self.writers and elapsed >= _EPOCH_SECONDS:
            if not self.gentle:
                self._climb(self._documents / elapsed)
            self._size(self._seconds / self._bulks)
        else:
            return
        self._since = now
        self._bulks = self._documents = 0
        self._seconds = 0.0

    def searching(self, searching: bool) -> None:
        """People search from now on, or no longer do: begin gently, or find the best rate anew."""
        if searching == self.gentle or self.fixed:
            return
        self.gentle = searching
        self._doubling = not searching
        self._tried, self._wait, self._patience = False, 0, 1
        if searching:
            self.writers, self.bulk = min(self.writers, GENTLE_WRITERS), min(self.bulk, GENTLE_BULK)

    def searches_suffer(self, suffering: bool) -> None:
        """Whether people wait longer for their hits than without this ingest: less at a time, or a little more."""
        if self.fixed:
            return
        if suffering:
            if self.writers > 1:
                self.writers = int(self.writers * 0.67)
            else:
                self.bulk = max(LEAST_BULK, int(self.bulk * 0.67))
            self._be_patient()
        elif self._wait > 0:
            self._wait -= 1
        elif self.bulk < GENTLE_BULK or self.writers == MOST_WRITERS:
            self.bulk = min(MOST_BULK, int(self.bulk * 1.5))
        else:
            self.writers += 1

    def _halve(self) -> None:
        self._doubling = False
        smaller = self.bulk // 2
        if smaller < LEAST_BULK:
            self.writers = max(1, self.writers // 2)
        self.bulk = max(LEAST_BULK, smaller)
        self._tried = False
        self._wait = self._patience

    def _size(self, duration: float) -> None:
        if duration > _LONG_SECONDS:
            self.bulk = max(LEAST_BULK, int(self.bulk * 0.7))
        elif duration < _SHORT_SECONDS and not self.gentle:
            self.bulk = min(MOST_BULK, max(self.bulk + 1, int(self.bulk * self._growth)))

    def _climb(self, rate: float) -> None:
        if self._tried and rate < self._before[1] * _GAIN:
            self._share(self._before[0])
            if not self._doubling:
                self._be_patient()
            self._tried = self._doubling = False
        elif self._wait > 0:
            self._wait -= 1
        elif self.writers < MOST_WRITERS:
            self._before = self.writers, rate
            self._share(min(MOST_WRITERS, self.writers * 2 if self._doubling else self.writers + 1))
            self._tried = True

    def _be_patient(self) -> None:
        """Twice as long as last time, until more is tried again."""
        self._wait = self._patience = min(_MOST_PATIENCE, self._patience * 2)

    def _share(self, writers: int) -> None:
        """The same window for another number of writers."""
        self.bulk = min(MOST_BULK, max(LEAST_BULK, -(-self.writers * self.bulk // writers)))
        self.writers = writers
