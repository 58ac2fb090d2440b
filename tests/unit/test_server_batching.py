"""The batcher on its own: its life, and models that break their promise."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from neuralshelf.model_packages.encoder import Sample
from neuralshelf.model_packages.server.batching import Batcher
from neuralshelf.model_packages.server.counters import Counters
from neuralshelf.model_packages.server.limits import Limits
from neuralshelf.model_packages.server.refusals import ModelFailed, NotReady, Throttled
from neuralshelf.model_packages.server.turns import Turns

Rows = Callable[[Sequence[Sample], int], NDArray[np.float32]]


class Scripted:
    """A model that does what the test says."""

    name = "scripted"
    dimensions = (4,)
    default_dimension = 4
    fingerprint = "0" * 16

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def encode(self, samples: Sequence[Sample], dimension: int) -> NDArray[np.float32]:
        return self._rows(samples, dimension)

    def count_tokens(self, text: str) -> int:
        return len(text)


def unit(samples: Sequence[Sample], dimension: int) -> NDArray[np.float32]:
    return np.eye(dimension, dtype=np.float32)[[len(sample.text or "") % dimension for sample in samples]]


def batcher(rows: Rows = unit, **limits: int) -> Batcher:
    return Batcher(Scripted(rows), replace(Limits(), **limits), Counters())


def encode(made: Batcher, *texts: str) -> list[NDArray[np.float32]]:
    async def run() -> list[NDArray[np.float32]]:
        deadline = asyncio.get_running_loop().time() + 10
        return await made.encode([Sample(text=text) for text in texts], 4, deadline)

    return asyncio.run(run())


def test_rows_come_back_in_the_order_of_their_samples() -> None:
    made = batcher(max_batch=2)
    made.start()
    rows = encode(made, "", "a", "ab", "abc", "a")
    made.stop(5)
    assert [int(row.argmax()) for row in rows] == [0, 1, 2, 3, 1]


def test_before_its_start_and_after_its_end_a_model_is_not_ready() -> None:
    made = batcher()
    with pytest.raises(NotReady):
        encode(made, "a")
    made.start()
    assert len(encode(made, "a")) == 1
    made.stop(5)
    assert not made.running
    with pytest.raises(NotReady):
        encode(made, "a")


def test_stopping_finishes_what_is_queued() -> None:
    entered, gate = threading.Event(), threading.Event()

    def slow(samples: Sequence[Sample], dimension: int) -> NDArray[np.float32]:
        entered.set()
        gate.wait(10)
        return unit(samples, dimension)

    made = batcher(slow, max_batch=1)
    made.start()
    found: list[int] = []
    client = threading.Thread(target=lambda: found.append(len(encode(made, "a", "b", "c"))))
    client.start()
    assert entered.wait(10)
    stopping = threading.Thread(target=made.stop, args=(10,))
    stopping.start()
    gate.set()
    client.join(10)
    stopping.join(10)
    assert found == [3]


def test_the_samples_of_a_request_are_queued_together_or_throttled_together() -> None:
    entered, gate = threading.Event(), threading.Event()

    def slow(samples: Sequence[Sample], dimension: int) -> NDArray[np.float32]:
        entered.set()
        gate.wait(10)
        return unit(samples, dimension)

    made = batcher(slow, max_batch=1, max_queue=4)
    made.start()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(encode, made, "a")
        assert entered.wait(10)
        more = pool.submit(encode, made, *"abcdef")  # more than the queue holds, but nothing else waits
        while made.waiting < 6:
            time.sleep(0.01)
        with pytest.raises(Throttled):
            encode(made, "a")
        assert made.waiting == 6
        gate.set()
        assert len(first.result(10)) == 1
        assert len(more.result(10)) == 6
    made.stop(5)


@pytest.mark.parametrize(
    "rows",
    [
        lambda samples, dimension: unit(samples, dimension)[:-1],
        lambda samples, dimension: unit(samples, dimension + 1),
        lambda samples, dimension: np.zeros(dimension, np.float32),
        lambda samples, dimension: unit(samples, dimension) * np.float32(np.inf),
    ],
    ids=["too few", "too long", "one dimension short", "not finite"],
)
def test_a_model_that_breaks_its_promise_never_answers_a_vector(rows: Rows) -> None:
    made = batcher(rows)
    made.start()
    for texts in (("a",), ("a", "b")):
        with pytest.raises(ModelFailed):
            encode(made, *texts)
    made.stop(5)


def test_the_worker_outlives_a_model_that_raises() -> None:
    def picky(samples: Sequence[Sample], dimension: int) -> NDArray[np.float32]:
        if any(sample.text == "bad" for sample in samples):
            raise MemoryError
        return unit(samples, dimension)

    made = batcher(picky)
    made.start()
    with pytest.raises(ModelFailed, match="MemoryError"):
        encode(made, "bad")
    assert len(encode(made, "good")) == 1
    made.stop(5)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority for each thread")
def test_what_is_not_urgent_gives_way_on_the_processor() -> None:
    def priority(*, urgent: bool) -> int:
        found: list[int] = []

        def note(samples: Sequence[Sample], dimension: int) -> NDArray[np.float32]:
            found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
            return unit(samples, dimension)

        made = Batcher(Scripted(note), Limits(), Counters(), None if urgent else Turns())
        made.start()
        encode(made, "a")
        made.stop(5)
        return found[0]

    assert priority(urgent=False) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
    assert priority(urgent=True) == os.getpriority(os.PRIO_PROCESS, 0)


def test_limits_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="max_batch"):
        replace(Limits(), max_batch=0)
    with pytest.raises(ValueError, match="max_batch"):
        replace(Limits(), max_queue=8)
