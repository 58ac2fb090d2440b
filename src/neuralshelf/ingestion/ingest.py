"""A catalogue into the index: read, prepare, send at the best rate, account for every row.

A row ends as documents in the index with their vectors, or with a dead letter. What stops a run (cluster or model away,
index closed for writing, Ctrl-C, SIGKILL) makes no letters: the next run goes on after the last settled row.
"""

import heapq
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from neuralshelf.background import give_way
from neuralshelf.bulk import MAX_ATTEMPTS, Failure, pause
from neuralshelf.errors import EngineError, NeuralshelfError, ServerError
from neuralshelf.ingestion.account import Account, Report
from neuralshelf.ingestion.catalogue import BadLine, Product
from neuralshelf.ingestion.checkpoint import Checkpoint, Progress
from neuralshelf.ingestion.documents import Document, documents
from neuralshelf.ingestion.letters.deadletters import DeadLetters
from neuralshelf.ingestion.searches import SearchWatch
from neuralshelf.ingestion.sender import Item, Sender, Sent
from neuralshelf.ingestion.tempo import MOST_WRITERS, Tempo
from neuralshelf.pipelines.spec import IndexSpec

PATIENCE_SECONDS = 60.0
"""So long nothing may get in before the run asks whether there is a model at all, or a cluster."""

MOST_WAITING = 2000
"""Documents that wait to be sent again; with more, no new ones are read."""

INTERRUPTED = 130


@dataclass
class Ingest:
    """One run.

    Attributes:
        send: prepares and sends a bulk.
        source: the catalogue's name, for letters.
        letters: None keeps none (a dry run): causes are in the report.
        alive: returns when models and cluster answer, raises NeuralshelfError when they don't.
        checkpoint: None for a run that can't be resumed.
        searches: None when nobody is to be spared.
        start: what an earlier run has settled.
        say: takes a line for the person who waits.
    """

    send: Sender
    index: IndexSpec
    source: str
    letters: DeadLetters | None = None
    alive: Callable[[], None] = lambda: None
    checkpoint: Checkpoint | None = None
    searches: SearchWatch | None = None
    tempo: Tempo = field(default_factory=Tempo)
    start: Progress = field(default_factory=Progress)
    say: Callable[[str], None] = lambda line: None

    def __post_init__(self) -> None:
        self._account = Account(self.source, self.letters, self.start)
        self._waiting: list[tuple[float, int, Item]] = []  # heap by the time from which it may be sent again
        self._number = itertools.count()
        self._under_way: set[Future[Sent]] = set()
        self._last_success = dict.fromkeys(self.index.vectors, time.monotonic())
        self._readings = 0
        self._disk_full = False

    def run(self, rows: Iterable[Product | BadLine], *, total: int) -> Report:
        """Settle every row.

        Args:
            rows: those after `start.row`, in order.
            total: rows of the whole catalogue.

        Raises:
            NeuralshelfError: cluster or model are away, or the index takes no writes.
            KeyboardInterrupt: what was under way is settled, and the checkpoint written.
        """
        began = time.monotonic()
        fresh = self._fresh(rows)
        with (
            tqdm(
                total=total,
                initial=min(self.start.row, total),
                unit="row",
                desc="ingest",
                file=sys.stderr,
                disable=not sys.stderr.isatty(),
            ) as bar,
            ThreadPoolExecutor(MOST_WRITERS, "writer", initializer=give_way) as writers,
        ):
            try:
                while self._fill(fresh, writers) or self._waiting:
                    self._wait()
                    self._show(bar)
                self._account.post()
                self._show(bar)
            except NeuralshelfError as fault:
                self._drain()
                raise self._stopped(fault) from None
            except KeyboardInterrupt:
                self._interrupted()
                raise
            finally:
                self._save(force=True)
        if self.checkpoint is not None:
            self.checkpoint.remove()
        return self._account.report(total, time.monotonic() - began)

    def _fresh(self, rows: Iterable[Product | BadLine]) -> Iterator[Item]:
        for row in rows:
            if isinstance(row, BadLine):
                self._account.open(row.line)
                self._account.refused_row(row.line, row.id, row.cause)
                continue
            made = documents(row, self.index)
            self._account.open(row.line, len(made))
            for document in made:
                yield Item(document)

    def _fill(self, fresh: Iterator[Item], writers: ThreadPoolExecutor) -> bool:
        """Keep as many bulks under way as the tempo says; whether there is any."""
        while len(self._under_way) < self.tempo.writers:
            bulk = self._bulk(fresh)
            if not bulk:
                break
            self._under_way.add(writers.submit(self.send, bulk))
        return bool(self._under_way)

    def _bulk(self, fresh: Iterator[Item]) -> list[Item]:
        now, size = time.monotonic(), self.tempo.size
        bulk: list[Item] = []
        while self._waiting and self._waiting[0][0] <= now and len(bulk) < size:
            if self._waiting[0][2].alone and bulk:
                return bulk
            bulk.append(heapq.heappop(self._waiting)[2])
            if bulk[-1].alone:
                return bulk
        if len(self._waiting) < MOST_WAITING:
            bulk += itertools.islice(fresh, size - len(bulk))
        return bulk

    def _wait(self) -> None:
        """Until a bulk is back, or it is time to send something again."""
        pause_seconds = max(0.0, self._waiting[0][0] - time.monotonic()) if self._waiting else None
        if not self._under_way:
            time.sleep(pause_seconds or 0)
            return
        free = len(self._under_way) < self.tempo.writers
        done, self._under_way = wait(
            self._under_way, timeout=pause_seconds if free else None, return_when=FIRST_COMPLETED
        )
        for future in done:
            self._settle(future.result())
        self._account.post()
        self._save()
        if self.searches is not None:
            self.tempo.searching(self.searches.searching)
            if self.searches.readings > self._readings:
                self._readings = self.searches.readings
                self.tempo.searches_suffer(self.searches.suffering)

    def _settle(self, sent: Sent) -> None:
        now = time.monotonic()
        indexed = []
        for item in sent.items:
            document = item.document
            if (refused := sent.refused.get(document.id)) is not None:
                self._account.letter(document, refused.code, str(refused), item.attempts)
            elif (failure := sent.failed.get(document.id)) is not None:
                self._failed(item, failure, batch=len(sent.items))
            else:
                indexed.append(document)
        if indexed:
            self._last_success |= {vector: now for document in indexed for vector in self._vectors(document)}
            self._account.indexed(indexed)
        elif sent.failed and now - max(self._last_success.values()) > PATIENCE_SECONDS:
            self._ask(next(iter(sent.failed.values())))
        throttled = any(failure.throttled for failure in sent.failed.values())
        self.tempo.settled(len(sent.items), sent.seconds, throttled=throttled, now=now)

    def _failed(self, item: Item, failure: Failure, *, batch: int) -> None:
        if failure.blocked:
            raise EngineError(
                f"index {self.index.name} takes no writes: {failure.reason}",
                hint="free disk space or lift the block (index.blocks.*)",
            )
        if failure.unreachable:
            self._again(item, pause(MAX_ATTEMPTS))
            return
        item.attempts += 1
        if failure.refused_by_model and batch > 1 and not item.alone:
            item.alone = True
            self._again(item, 0)
        elif failure.may_pass and item.attempts < MAX_ATTEMPTS:
            item.alone = item.alone or item.attempts == MAX_ATTEMPTS - 1  # a batch mate may be what breaks the model
            self._again(item, pause(item.attempts))
        else:
            vectors = self._vectors(item.document)
            if failure.may_pass and any(self._last_success[vector] < item.failed for vector in vectors):
                self._ask(failure)
            self._account.letter(item.document, failure.cause_class, failure.cause, item.attempts)

    def _vectors(self, document: Document) -> list[str]:
        """Those that are made for a document: that it is indexed shows that their models answer."""
        return [
            name
            for name, vector in self.index.vectors.items()
            if (vector.image and document.picture) or any(document.fields.get(field) for field in vector.text)
        ]

    def _ask(self, failure: Failure) -> None:
        """Nothing gets in: that is no fault of documents when models or cluster are away."""
        if failure.unreachable:
            raise EngineError(f"no answer from OpenSearch: {failure.reason}", hint="neuralshelf status")
        self.alive()
        self._last_success = dict.fromkeys(self.index.vectors, time.monotonic())

    def _again(self, item: Item, seconds: float) -> None:
        item.failed = time.monotonic()
        heapq.heappush(self._waiting, (item.failed + seconds, next(self._number), item))

    def _save(self, *, force: bool = False) -> None:
        if self.checkpoint is None or self.checkpoint.save(self._account.settled, force=force) or self._disk_full:
            return
        self._disk_full = True
        self.say(f"the checkpoint {self.checkpoint.path} can't be written: after a stop, rows may be sent twice")

    def _interrupted(self) -> None:
        self.say("stopping when what is under way is back; Ctrl-C again to stop at once")
        try:
            self._drain()
        except KeyboardInterrupt:
            self._save(force=True)
            os._exit(INTERRUPTED)  # nothing else ends threads that wait for a cluster

    def _drain(self) -> None:
        """Let what is under way end, and settle it."""
        pending: Sequence[Future[Sent]] = [future for future in self._under_way if not future.cancel()]
        self._under_way.clear()
        for future in pending:
            if future.exception() is not None:
                continue
            sent = future.result()
            lost = sent.failed.keys() | sent.refused.keys()
            self._account.indexed(item.document for item in sent.items if item.document.id not in lost)

    def _stopped(self, fault: NeuralshelfError) -> NeuralshelfError:
        row = self._account.settled.row
        again = f"then ingest again: it goes on after row {row}" if self.checkpoint else "then run it again"
        error = EngineError if isinstance(fault, EngineError) else ServerError
        return error(fault.message, hint=f"{fault.hint}; {again}")

    def _show(self, bar: "tqdm[Any]") -> None:
        settled = self._account.settled
        bar.set_postfix(
            dead=settled.dead_letters, again=len(self._waiting), sending=f"{self.tempo.writers}x{self.tempo.size}"
        )
        bar.update(min(settled.row, int(bar.total or 0)) - bar.n)  # rows are numbered as in the file, empty ones too
