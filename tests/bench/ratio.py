"""Two ways of doing one thing, run in turn in the same run: machines are noisy, ratios are not."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tabulate import tabulate


@dataclass(frozen=True)
class Ratio:
    """Medians of two ways over alternating runs.

    Attributes:
        first, second: median figure of each way, in `unit`.
        ratio: median of the per-round ratios first ÷ second.
        spread: smallest and largest per-round ratio.
    """

    name: str
    unit: str
    first: float
    second: float
    ratio: float
    spread: tuple[float, float]


def compare(name: str, unit: str, first: Callable[[], float], second: Callable[[], float], rounds: int = 5) -> Ratio:
    """Run both in turn `rounds` times, after one unmeasured round each."""
    first(), second()
    pairs = []
    for number in range(rounds):
        # the order changes, so that a slow drift of the machine falls on both
        if number % 2:
            b = second()
            a = first()
        else:
            a = first()
            b = second()
        pairs.append((a, b))
    ratios = [a / b for a, b in pairs]
    return Ratio(
        name,
        unit,
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(ratios),
        (min(ratios), max(ratios)),
    )


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def table(ratios: Sequence[Ratio]) -> str:
    """The figures with the date and the load they were taken under, as Markdown."""
    rows = [
        (r.name, f"{r.first:.4g}", f"{r.second:.4g}", r.unit, f"{r.ratio:.2f}", f"{r.spread[0]:.2f}–{r.spread[1]:.2f}")
        for r in ratios
    ]
    headers = ("measured", "first", "second", "unit", "first ÷ second (median)", "min–max")
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    where = f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.machine()}, load at the end {load}"
    return f"{where}\n\n{tabulate(rows, headers=headers, tablefmt='github', disable_numparse=True)}\n"
