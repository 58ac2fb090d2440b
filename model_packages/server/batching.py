"""Dynamic batching: samples of different requests go through the model together, each answered on its own.

An idle model starts on the first sample at once; while it works, samples gather, and the next batch takes those of one
dimension. Only when the batch before held several does the thread wait a moment (`max_wait`) for the same number to
return, so that clients in a closed loop don't fall into batches of 15 and 1.

Searches come while an ingest is under way, and somebody waits for them. So a model has a batcher for what is urgent and
one for all else, whose thread gives way on the processor and leaves searches a core.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuralshelf.background import give_way
from neuralshelf.model_packages.encoder import Encoder, Sample
from neuralshelf.model_packages.server.counters import Counters
from neuralshelf.model_packages.server.limits import Limits
from neuralshelf.model_packages.server.refusals import DeadlinePassed, ModelFailed, NotReady, Refusal, Throttled
from neuralshelf.model_packages.server.turns import Turns

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Entry:
    """One sample on its way. `answer` is set on its own event loop only."""

    sample: Sample
    dimension: int
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[NDArray[np.float32]]

    def deliver(self, row: NDArray[np.float32] | Refusal) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.loop.call_soon_threadsafe(self._set, row)

    def _set(self, row: NDArray[np.float32] | Refusal) -> None:
        if self.answer.done():
            return
        if isinstance(row, Refusal):
            self.answer.set_exception(row)
        else:
            self.answer.set_result(row)


class Batcher:
    """Feeds one encoder from one thread. `start` before the first sample, `stop` after the last."""

    def __init__(self, encoder: Encoder, limits: Limits, counters: Counters, background: Turns | None = None) -> None:
        """`background`: for samples that are not urgent."""
        self.encoder = encoder
        self._background = background
        self._limits = limits
        self._counters = counters
        self._wake = threading.Condition()
        self._queue: deque[_Entry] = deque()
        self._running = False
        self._last_batch = 0
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether the model can answer: started, not stopped, its thread alive."""
        return self._running and self._thread is not None and self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """Samples in the queue."""
        return len(self._queue)

    def start(self) -> None:
        self._running = True
        self._thread = threading.Thread(target=self._work, name=f"model {self.encoder.name}", daemon=True)
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Take no more, finish what is queued, and end the thread (or leave it after `timeout` seconds)."""
        with self._wake:
            self._running = False
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)

    async def encode(self, samples: Sequence[Sample], dimension: int, deadline: float) -> list[NDArray[np.float32]]:
        """Vectors of the samples, each float32 of shape (dimension,), length 1, finite.

        Args:
            deadline: in the event loop's time. Samples nobody waits for any more are taken out of the queue.

        Raises:
            Throttled: the queue can't take all of them; none was queued.
            NotReady: not started, or stopping.
            DeadlinePassed: no answer by then.
            ModelFailed: the model raised on one of them, or gave no finite vector.
        """
        loop = asyncio.get_running_loop()
        entries = [_Entry(sample, dimension, loop, loop.create_future()) for sample in samples]
        self._enqueue(entries)
        try:
            async with asyncio.timeout_at(deadline):
                answers = await asyncio.gather(*(entry.answer for entry in entries), return_exceptions=True)
        except TimeoutError:
            raise DeadlinePassed("The model did not answer in time") from None
        finally:
            self._drop(entries)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return [answer for answer in answers if not isinstance(answer, BaseException)]

    def _enqueue(self, entries: Sequence[_Entry]) -> None:
        with self._wake:
            if not self._running:
                raise NotReady("The model is not ready")
            if self._queue and len(self._queue) + len(entries) > self._limits.max_queue:
                raise Throttled("Rate exceeded")
            self._queue.extend(entries)
            self._wake.notify_all()

    def _drop(self, entries: Sequence[_Entry]) -> None:
        abandoned = {id(entry) for entry in entries if entry.answer.cancelled()}
        if not abandoned:
            return
        with self._wake:
            kept = deque(entry for entry in self._queue if id(entry) not in abandoned)
            self._counters.add(dropped=len(self._queue) - len(kept))
            self._queue = kept

    def _work(self) -> None:
        if self._background is not None:
            give_way()
        while batch := self._take():
            with self._background.turn() if self._background else contextlib.nullcontext():
                self._encode(batch)

    def _take(self) -> list[_Entry]:
        """The next batch, waiting for it; empty at the end."""
        with self._wake:
            while not self._queue:
                if not self._running:
                    return []
                arrived = self._wake.wait(self._limits.max_wait if self._last_batch > 1 else None)
                if not arrived:
                    self._last_batch = 0
            self._gather()
            dimension = self._queue[0].dimension
            batch: list[_Entry] = []
            left: deque[_Entry] = deque()
            for entry in self._queue:
                fits = len(batch) < self._limits.max_batch and entry.dimension == dimension
                (batch if fits else left).append(entry)
            self._queue = left
            self._last_batch = len(batch)
            return batch

    def _gather(self) -> None:
        """Under load, let the clients of the batch before come back. The lock is held, but for the waiting."""
        wanted = min(self._last_batch, self._limits.max_batch)
        end = time.monotonic() + self._limits.max_wait
        while self._running and 0 < len(self._queue) < wanted and (left := end - time.monotonic()) > 0:
            self._wake.wait(left)

    def _encode(self, batch: Sequence[_Entry]) -> None:
        dimension = batch[0].dimension
        try:
            rows = self.encoder.encode([entry.sample for entry in batch], dimension)
            if rows.shape != (len(batch), dimension):
                raise ValueError(f"model gave shape {rows.shape}, not {(len(batch), dimension)}")
        except Exception as error:  # noqa: BLE001 - the edge of the worker: a model may raise anything
            if len(batch) > 1:  # find the one that is bad, spare the others
                for entry in batch:
                    self._encode([entry])
                return
            _log.warning("model=%s failed: %s", self.encoder.name, type(error).__name__)
            batch[0].deliver(ModelFailed(f"The model failed on this input: {type(error).__name__}"))
            return
        self._counters.batch(entry.sample for entry in batch)
        for entry, row in zip(batch, rows, strict=True):
            finite = bool(np.isfinite(row).all())
            entry.deliver(row if finite else ModelFailed("The model gave a vector that is not finite"))
