"""One thread that works on what waits, as the one worker process of a model under TorchServe does."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from neuralshelf.model_packages.server.limits import Limits
from neuralshelf.model_packages.server.refusals import DeadlinePassed, NotReady, Throttled

Asked = TypeVar("Asked")
Given = TypeVar("Given")


class Worker(Generic[Asked, Given]):
    """Calls `run` with up to `limits.max_batch` things that wait; `start` before the first, `stop` after the last.

    Args:
        run: gives as many answers, in the same order, or raises for all of them.
        limits: a batch waits `max_wait` seconds to be full; `max_queue` may wait besides the one worked on.
    """

    def __init__(self, run: Callable[[Sequence[Asked]], Sequence[Given]], limits: Limits) -> None:
        self._run = run
        self._limits = limits
        self._wake = threading.Condition()
        self._queue: deque[tuple[Asked, Future[Given]]] = deque()
        self._running = False
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)

    @property
    def running(self) -> bool:
        return self._running and self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """How many wait; not counted is what nobody waits for any more."""
        return sum(not future.cancelled() for _, future in self._queue)

    def start(self) -> None:
        self._running = True
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Take no more, finish what waits, and end the thread (or leave it after `timeout` seconds)."""
        with self._wake:
            self._running = False
            self._wake.notify_all()
        self._thread.join(timeout)

    async def ask(self, asked: Asked, deadline: float) -> Given:
        """The answer, by `deadline` in the event loop's time; cancelled, it is not worked on if it still waits.

        Raises:
            Throttled: the queue is full.
            NotReady: not started, or stopping.
            DeadlinePassed: no answer by then.
        """
        future = self._enqueue(asked)
        try:
            async with asyncio.timeout_at(deadline) as limit:
                return await asyncio.wrap_future(future)
        except TimeoutError:
            if not limit.expired():
                raise
            raise DeadlinePassed("The model did not answer in time") from None

    def _enqueue(self, asked: Asked) -> Future[Given]:
        future: Future[Given] = Future()
        with self._wake:
            if not self.running:
                raise NotReady("The model is not ready")
            if len(self._queue) >= self._limits.max_queue:
                self._queue = deque(entry for entry in self._queue if not entry[1].cancelled())
            if len(self._queue) >= self._limits.max_queue:
                raise Throttled("Rate exceeded")
            self._queue.append((asked, future))
            self._wake.notify_all()
        return future

    def _work(self) -> None:
        while batch := self._take():
            live = [(asked, future) for asked, future in batch if future.set_running_or_notify_cancel()]
            if not live:
                continue
            try:
                answers = self._run([asked for asked, _ in live])
            except Exception as fault:  # noqa: BLE001 - the edge of the worker: who asked gets it
                for _, future in live:
                    future.set_exception(fault)
                continue
            for (_, future), answer in zip(live, answers, strict=True):
                future.set_result(answer)

    def _take(self) -> list[tuple[Asked, Future[Given]]]:
        """The next batch, waiting for it; empty at the end."""
        size = self._limits.max_batch
        with self._wake:
            while not self._queue:
                if not self._running:
                    return []
                self._wake.wait()
            end = time.monotonic() + self._limits.max_wait
            while self._running and len(self._queue) < size and (left := end - time.monotonic()) > 0:
                self._wake.wait(left)
            return [self._queue.popleft() for _ in range(min(size, len(self._queue)))]
