"""What vectors cost in OpenSearch as their number grows: time to build, disk, memory, recall and latency.

    python tests/bench/scale.py --sizes 1k,10k,100k,1M --dimensions 384,1024 --storage float,sq,byte [--plan]

Needs the extra `bench`. It starts the embedded engine with `--heap` and its data below `--folder`, or takes the engine
at `--url` (on this machine, without login). Each cell (storage, dimension, size) is one line of results/scale.jsonl;
cells that are there are skipped, so a run that was cut off goes on. `--plan` says what would be run, for how long and
on how much disk. `plots.py` makes tables and pictures of the results; `pgvector.py` does the same in PostgreSQL.

What a cell does: an index as templates/pipelines/index.json.j2 makes it (Lucene HNSW, m 16, ef_construction 100, one
shard, no replica) with refresh_interval -1; `_bulk` of 4 MB from two connections; refresh; wait for background merges;
search; force merge to one segment; search again. Searches: k = 10, 1,000 queries that are not in the index, from one
client and from four, at the engine's own ef_search and at others; recall@10 against exact float32 neighbours.

The whole series, on a machine that does nothing else (hours: * measured on two cores, with some cells of sq and
halfvec extrapolated; 24 GiB hold all of it, PostgreSQL beside OpenSearch included; up to 45 GB of disk):

    export OPENBLAS_NUM_THREADS=1; rm -rf tests/bench/results
    python tests/bench/loading.py --size 20000                                                         0.1 h*
    python tests/bench/scale.py --sizes 1k,10k,100k --dimensions 384,1024                              0.4 h*
    python tests/bench/pgvector.py --sizes 10k,100k --dimensions 384,1024                              0.5 h*
    python tests/bench/scale.py --sizes 1M --dimensions 384 --storage float                            0.4 h*
    python tests/bench/pgvector.py --sizes 1M --dimensions 384                                         0.5 h*
    python tests/bench/scale.py --sizes 1M --dimensions 384 --storage sq,byte --drop                   0.7 h*
    python tests/bench/scale.py --sizes 1M --dimensions 1024 --storage float                           0.9 h*
    python tests/bench/scale.py --sizes 1M --dimensions 1024 --storage sq,byte --drop                  1 h*
    python tests/bench/pgvector.py --sizes 1M --dimensions 1024 --storage halfvec,vector               2 h
    python tests/bench/plots.py && rm -rf /var/tmp/neuralshelf-bench
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # what is measured is the engine; before numpy is imported

import numpy as np
from numpy.typing import NDArray
from opensearch import STORAGES, Opensearch, index_name
from plots import forecast
from results import Cell, brief, exact, keep, number, read
from searching import search
from tabulate import tabulate
from tqdm import tqdm
from vectors import Bytes, Cloud, Floats

from neuralshelf.engine import open_engine
from neuralshelf.settings import ClusterConfig, Folders

SYSTEM = "opensearch"
EF = (10, 20, 50, None, 200, 400, 800)  # None, the engine's own, is 100 in 3.6.0
CLIENTS = (1, 4)
ENOUGH = 0.995


def measure(engine: Opensearch, cell: Cell) -> dict[str, Any]:
    """Build the index of `cell`, which stays, and search it before and after merging to one segment."""
    _, storage, dimension, size = cell
    name = index_name(storage, dimension, size)
    cloud = Cloud(dimension)
    quantise = Bytes(next(cloud.blocks(10_000))[1]) if storage == "byte" else None
    queries = cloud.queries()
    truth = exact(cloud, size, queries)
    engine.create(name, storage, dimension)
    quiet, began = engine.look(), engine.cpu()
    bar = tqdm(total=size, unit="vec", desc=name, file=sys.stderr, disable=not sys.stderr.isatty())
    with engine.watch() as building:
        with bar:
            fill = engine.fill(name, cloud, size, quantise, bar.update)
        refresh = _seconds(lambda: engine.client.indices.refresh(index=name, request_timeout=3600))
        settle = _seconds(lambda: engine.settle(name))
    cpu = {"load": engine.cpu() - began}
    loaded = {**engine.size(name), "merges": engine.merges(name)}
    loaded["searches"] = sweep(engine, name, queries, quantise, truth)
    began = engine.cpu()
    with engine.watch() as merging:
        merge = _seconds(lambda: engine.force_merge(name))
    cpu["merge"] = engine.cpu() - began
    merged = {**engine.size(name), "merges": engine.merges(name)}
    with engine.watch() as searching:
        merged["searches"] = sweep(engine, name, queries, quantise, truth)
    seconds = {"load": fill.load, "refresh": refresh, "settle": settle, "merge": merge, "client_cpu": fill.client_cpu}
    memory = {"quiet": quiet, "building": building.peaks, "merging": merging.peaks, "searching": searching.peaks}
    return {
        "version": engine.version,
        "seconds": seconds,
        "cpu": cpu,
        "rate": fill.rate,
        "sent": fill.sent_bytes,
        "memory": memory,
        "loaded": loaded,
        "merged": merged,
    }


def sweep(
    engine: Opensearch, name: str, queries: Floats, quantise: Bytes | None, truth: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """Each ef_search until recall is as good as exact, from one client and from several.

    Lucene's scalar quantisation loses neighbours that no ef_search brings back: there all but the first rescore.
    """
    found: list[dict[str, Any]] = []
    quantised = name.startswith("bench-sq")
    ways = [(ef, quantised) for ef in EF]
    if quantised:
        ways.insert(0, (None, False))
    for ef, rescore in ways:
        engine.read(name)
        ask = engine.asking(name, queries, quantise, ef, rescore)
        runs = [search(ask, truth, clients) for clients in CLIENTS]
        found += [{"ef": ef, "rescore": rescore, **asdict(run)} for run in runs]
        if runs[0].recall >= ENOUGH and (None, quantised) in {(run["ef"], run["rescore"]) for run in found}:
            break
    return found


@contextmanager
def opened(url: str | None, heap: str, folder: Path) -> Iterator[Opensearch]:
    """The engine at `url`, else the embedded one with its data in `folder`, which stays."""
    if url:
        yield Opensearch(url)
        return
    engine = open_engine(ClusterConfig(java_heap=heap), Folders(Folders.default(Path.cwd()).cache, folder.resolve()))
    engine.start(lambda step, done, total: None)
    try:
        yield Opensearch(engine.url)
    finally:
        engine.stop()


def cells(system: str, options: argparse.Namespace) -> list[Cell]:
    """Small ones first, so that an early end leaves whole columns."""
    return [
        (system, storage, dimension, size)
        for size in options.sizes
        for dimension in options.dimensions
        for storage in options.storage
    ]


def plan(wanted: Sequence[Cell]) -> str:
    """What is done already and what the rest would take, extrapolated from what is done."""
    known = read()
    rows: list[tuple[object, ...]] = []
    for cell in wanted:
        label = (cell[1], cell[2], brief(cell[3]))
        if cell in known:
            rows.append((*label, "done", "", ""))
        else:
            hours, gigabytes = forecast(cell, known)
            rows.append((*label, "to do", hours, gigabytes))
    return tabulate(rows, headers=("storage", "dimension", "size", "", "hours", "GB on disk, at most"), floatfmt=".2f")


def words(storages: Sequence[str], description: str) -> argparse.ArgumentParser:
    """The options that this benchmark and `pgvector.py` share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--sizes", type=lambda text: [number(s) for s in text.split(",")], default="1k,10k")
    parser.add_argument("--dimensions", type=lambda text: [int(d) for d in text.split(",")], default="384")
    parser.add_argument("--storage", type=lambda text: text.split(","), default=",".join(storages))
    parser.add_argument("--url", help="an engine that runs on this machine, without login")
    parser.add_argument("--heap", default="4g", help="of the engine that is started here")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp/neuralshelf-bench"))
    parser.add_argument("--plan", action="store_true", help="say what would be done and stop")
    parser.add_argument("--drop", action="store_true", help="delete each index when it is measured")
    parser.add_argument("--again", action="store_true", help="also what is measured already")
    return parser


def main() -> int:
    """Run the cells that are missing."""
    options = words(STORAGES, (__doc__ or "").splitlines()[0]).parse_args()
    wanted = cells(SYSTEM, options)
    print(plan(wanted), file=sys.stderr)
    if options.plan:
        return 0
    with opened(options.url, options.heap, options.folder) as engine:
        for cell in wanted:
            if cell in read() and not options.again:
                continue
            keep(cell, measure(engine, cell))
            if options.drop:
                engine.drop(index_name(*cell[1:]))
    return 0


def _seconds(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
