"""What `cluster` costs as an index grows: time and memory of the whole command, on vectors like a text model's.

    python tests/bench/clustering.py --sizes 100k,1M [--write] [--heap 4g] [--folder DIR]

It starts the embedded engine with its data below `--folder`, or takes the one at `--url`, and loads what is not there
yet (`scale.py` says how). Then the command runs as people run it, in a process of its own: clusters found at first
(`--fresh --dry-run`), and with `--write` given to all documents and found once more. Lines of results/clustering.jsonl.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from opensearch import FIELD, Opensearch, index_name
from results import brief, keep
from scale import opened, words
from tabulate import tabulate
from tqdm import tqdm
from vectors import Cloud

DIMENSION = 384
HEADERS = ("vectors", "run", "s", "user + system s", "peak RSS MB", "k", "written", "kept")


def load(engine: Opensearch, size: int) -> str:
    """The index of so many vectors, filled if it isn't; its name."""
    name = index_name("float", DIMENSION, size)
    if engine.holds(name, size):
        return name
    engine.create(name, "float", DIMENSION)
    engine.client.indices.put_mapping(index=name, body={"properties": {"cluster": {"type": "keyword"}}})
    with tqdm(total=size, unit="vec", desc=name, file=sys.stderr, disable=not sys.stderr.isatty()) as bar:
        seconds = engine.fill(name, Cloud(DIMENSION), size, progress=bar.update).load
    engine.client.indices.refresh(index=name, request_timeout=3600)
    engine.settle(name)
    print(f"{name}: loaded in {seconds:.0f} s", file=sys.stderr)
    return name


def project(folder: Path, url: str, index: str) -> None:
    """neuralshelf.yaml and its environment, as far as `cluster` reads them."""
    config = {
        "project": "bench",
        "connectors": {"text": {"kind": "sagemaker-text", "endpoint": "bench", "dimension": DIMENSION}},
        "index": {
            "name": index,
            "fields": {"title": "text", "cluster": "keyword"},
            "vectors": {FIELD: {"connector": "text", "text": ["title"]}},
        },
        "search": {"template": "bench-search", "keyword": ["title"], "weights": {"keyword": 0.5, FIELD: 0.5}},
        "clusters": {"vector": FIELD},
    }
    environment = {"name": "bench", "cluster": {"provider": "url", "url": url}, "runtime": {"provider": "local"}}
    (folder / "environments").mkdir()
    (folder / "neuralshelf.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (folder / "environments" / "bench.yaml").write_text(yaml.safe_dump(environment), encoding="utf-8")


def cluster(folder: Path, *options: str) -> dict[str, Any]:
    """The command's figures, and what it printed."""
    where = ["--config", str(folder / "neuralshelf.yaml"), "-e", "bench"]
    command = [sys.executable, "-m", "neuralshelf", "cluster", *where, *options, "--json"]
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    # stderr stays: progress on a terminal
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    out, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"cluster {options}: exit code {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # the largest child so far: run small indexes before large ones
    return {"seconds": time.perf_counter() - begun, "cpu": cpu, "rss": after.ru_maxrss * 1024, "said": json.loads(out)}


def main() -> int:
    """Load, run, print."""
    parser = words(("float",), (__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="give documents their clusters, then find them again")
    options = parser.parse_args()
    runs = {"first": ("--fresh", "--dry-run")} | ({"write": ("--fresh",), "again": ()} if options.write else {})
    rows = []
    with opened(options.url, options.heap, options.folder) as engine:
        for size in sorted(options.sizes):
            name = load(engine, size)
            with tempfile.TemporaryDirectory() as folder:
                project(Path(folder), engine.client.transport.get_connection().host, name)
                for run, given in runs.items():
                    found = cluster(Path(folder), *given)
                    said = found.pop("said")
                    figures = {**found, "run": run, **{key: said[key] for key in ("k", "written", "kept", "measured")}}
                    keep(("opensearch", "float", DIMENSION, size), figures, "clustering.jsonl")
                    cost = (f"{found['seconds']:.0f}", f"{found['cpu']:.0f}", f"{found['rss'] / 1e6:.0f}")
                    rows.append((brief(size), run, *cost, said["k"], said["written"], said["kept"]))
                    print(rows[-1], f"load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    print(tabulate(rows, headers=HEADERS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
