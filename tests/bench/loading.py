"""Where the time of loading vectors goes, and which setting changes it.

    python tests/bench/loading.py [--url URL | --heap 4g] [--size 10000] [--dimension 384] [--rounds 3]

Each way is one line: the same vectors, made, written as JSON, kept without a graph, and indexed as shipped; then the
last with one thing changed. All are run in turn, `--rounds` times after one that is not counted; medians. The engine's
processor time is told too, since that is less moved by what else the machine does. Loading ends when the vectors are
searchable (refresh) and background merges are over. While vectors are indexed as shipped, hot threads are asked for
again and again: what the engine's busy threads were at is the second table. Writes loading.md.
"""

import argparse
import re
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from opensearch import Opensearch, bulk_bodies
from results import brief, machine
from scale import opened
from tabulate import tabulate
from tqdm import tqdm
from vectors import Bytes, Cloud

NAME = "bench-loading"
AS_SHIPPED = "and indexed, as shipped"
AT_WORK = {
    "graph (HNSW)": r"hnsw|VectorUtil|VectorSimilarity|RandomVectorScorer|PanamaVector",
    "JSON": r"jackson|xcontent|JsonParser|KNNVectorFieldMapper|DocumentParser",
    "translog and disk": r"translog|FileChannel|force0|fsync",
    "reading the request": r"netty",
}
"""What a busy thread was at -> a pattern of its stack; the first that is found counts."""


def ways(engine: Opensearch, cloud: Cloud, size: int) -> dict[str, Callable[[], object]]:
    """What is compared, by name."""
    quantise = Bytes(next(cloud.blocks(size))[1])

    def fill(storage: str = "float", settings: Mapping[str, Any] | None = None, **how: Any) -> Callable[[], object]:
        def work() -> None:
            engine.create(NAME, storage, cloud.dimension, settings or {})
            engine.fill(NAME, cloud, size, quantise if storage == "byte" else None, **how)
            engine.client.indices.refresh(index=NAME, request_timeout=600)
            engine.settle(NAME)

        return work

    return {
        "vectors made": lambda: [None for _ in cloud.blocks(size)],
        "and written as JSON": lambda: [None for _ in bulk_bodies(cloud, size)],
        "and kept, without a graph": fill("stored"),
        AS_SHIPPED: fill(),
        "one writer": fill(writers=1),
        "four writers": fill(writers=4),
        "bulks of 1 MB": fill(bulk_bytes=1_000_000),
        "bulks of 16 MB": fill(bulk_bytes=16_000_000),
        "refresh every second": fill(settings={"index.refresh_interval": "1s"}),
        "translog synced every 5 s": fill(settings={"index.translog.durability": "async"}),
        "graph from 15,000 vectors a segment": fill(settings={"index.knn.advanced.approximate_threshold": 15_000}),
        "bytes": fill("byte"),
        "scalar quantisation": fill("sq"),
    }


class HotThreads:
    """Collects what busy threads are at while its block runs, as shares of their processor time."""

    def __init__(self, engine: Opensearch) -> None:
        self.seen: Counter[str] = Counter()
        self._engine = engine
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "HotThreads":
        self._thread.start()
        return self

    def __exit__(self, *ignored: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.1):
            # one snapshot of each thread, weighed by the time it had
            text = self._engine.client.nodes.hot_threads(threads=6, params={"interval": "200ms", "snapshots": "1"})
            thread, share, stack = "", 0.0, ""
            for line in [*str(text).splitlines(), "0.0% by thread ''"]:
                if found := re.match(r" *([\d.]+)% .*by thread '(.*)'", line):
                    if stack:
                        work = next((work for work, pattern in AT_WORK.items() if re.search(pattern, stack)), "other")
                        self.seen[f"{work}{', merging' if 'merge' in thread.lower() else ''}"] += int(10 * share)
                    share, thread, stack = float(found[1]), found[2], ""
                elif thread:
                    stack += line


def main() -> int:
    """Run all ways in turn; print and write the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url")
    parser.add_argument("--heap", default="4g")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp/neuralshelf-bench"))
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with opened(options.url, options.heap, options.folder) as engine:
        compared = ways(engine, Cloud(options.dimension), options.size)
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in compared}
        for _ in tqdm(range(1 + options.rounds), desc="rounds", file=sys.stderr, disable=not sys.stderr.isatty()):
            for name, work in compared.items():
                start, cpu = time.perf_counter(), engine.cpu()
                work()
                times[name].append((time.perf_counter() - start, engine.cpu() - cpu))
        with HotThreads(engine) as hot:
            compared[AS_SHIPPED]()
        engine.drop(NAME)
        version = engine.version
    medians = {
        name: tuple(statistics.median(figures) for figures in zip(*found[1:], strict=True))
        for name, found in times.items()
    }
    shipped = medians[AS_SHIPPED]
    body = [(way, s, options.size / s, s / shipped[0], cpu, cpu / shipped[1]) for way, (s, cpu) in medians.items()]
    headers = ("way", "s", "vectors/s", "÷ as shipped", "processor s of the engine", "÷ as shipped")
    spent = tabulate(body, headers=headers, tablefmt="github", floatfmt=("", ".2f", ".0f", ".2f", ".2f", ".2f"))
    busy = [(name, 100 * share / hot.seen.total()) for name, share in hot.seen.most_common()]
    at = tabulate(busy, headers=("the engine's threads are at", "% of their time"), tablefmt="github", floatfmt=".0f")
    what = f"{brief(options.size)} vectors of {options.dimension} dimensions, {machine()}, {version}"
    found = f"# Where loading time goes\n\n{what}\n\n{spent}\n\n{at}\n"
    print(found)
    (Path(__file__).parent / "loading.md").write_text(found, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
