"""Latency and recall of a nearest-neighbour search, measured in one way whatever answers it."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ask = Callable[[int], Sequence[int]]
"""Number of the query -> rows found, best first."""
Open = Callable[[], AbstractContextManager[Ask]]
"""A connection of its own, for one thread."""

WARM_UP = 1_000  # queries, of all clients together; a JVM takes that many to become quick


@dataclass(frozen=True)
class Searched:
    """One way to ask, over all queries.

    Attributes:
        recall: share of the exact neighbours that were found.
        p50, p99: milliseconds from sending a ready-made request to having read the ids.
        rate: answers a second, of all clients together.
    """

    clients: int
    recall: float
    p50: float
    p99: float
    rate: float


def search(connect: Open, truth: NDArray[np.int64], clients: int, warm_up: int = WARM_UP) -> Searched:
    """Ask each query of `truth` (queries, k) once, dealt out to `clients` threads, after a warm-up of each."""
    found: list[Sequence[int]] = [()] * len(truth)
    starts, ends = np.zeros(len(truth)), np.zeros(len(truth))
    warm = threading.Barrier(clients)

    def work(first: int) -> None:
        with connect() as ask:
            try:
                for number in range(first, min(warm_up, len(truth)), clients):
                    ask(number)
            except BaseException:
                warm.abort()
                raise
            warm.wait()
            for number in range(first, len(truth), clients):
                starts[number] = time.perf_counter()
                found[number] = ask(number)
                ends[number] = time.perf_counter()

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(work, range(clients)))
    hits = sum(len(set(answer) & set(exact.tolist())) for answer, exact in zip(found, truth, strict=True))
    p50, p99 = np.percentile(1000 * (ends - starts), (50, 99))
    rate = len(truth) / (ends.max() - starts.min())
    return Searched(clients, hits / truth.size, float(p50), float(p99), float(rate))
