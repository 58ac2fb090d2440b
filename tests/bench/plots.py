"""Tables and pictures of results/scale.jsonl: scale.md, scale.svg, rate.svg, recall.svg beside this file.

python tests/bench/plots.py
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from results import Cell, brief, read
from tabulate import tabulate

HERE = Path(__file__).parent
COLOURS = {"float": "#1f5fa8", "sq": "#c2571a", "byte": "#2e8b57", "vector": "#7b3fa0", "halfvec": "#b03060"}
GUESS = 1.15  # exponent of the time to build, until two sizes say better
Rows = Mapping[Cell, Mapping[str, Any]]
Measure = Callable[[Mapping[str, Any]], float]


def total(row: Mapping[str, Any]) -> float:
    """Seconds until everything is loaded, searchable and in its final form."""
    return float(
        sum(row["seconds"][step] for step in ("load", "refresh", "settle", "merge", "index") if step in row["seconds"])
    )


def exponent(points: Iterable[tuple[float, float]]) -> float | None:
    """b of y ∝ x^b by least squares on logarithms; None with less than two points. 1 is linear."""
    xs, ys = zip(*sorted(points), strict=True)
    if len(xs) < 2:
        return None
    return float(np.polyfit(np.log(xs), np.log(ys), 1)[0])


def forecast(cell: Cell, known: Rows) -> tuple[float | None, float]:
    """(hours to build, GB on disk at most) from the cells of the same system; hours None when there is none."""
    system, storage, dimension, size = cell
    bytes_each = {"byte": dimension, "sq": 5 * dimension, "halfvec": 4 * dimension, "vector": 10 * dimension}
    disk = 2.2 * size * (bytes_each.get(storage, 4 * dimension) + 200) / 1e9
    alike = {key: row for key, row in known.items() if key[0] == system and key[3] >= 1000}
    if not alike:
        return None, disk
    best = max(alike, key=lambda key: (key[2] == dimension, key[1] == storage, key[3]))
    same = [(float(key[3]), total(row)) for key, row in alike.items() if key[1:3] == best[1:3] and key[3] >= 10_000]
    power = max(exponent(same) or GUESS, 1.0) if same else GUESS
    seconds = total(alike[best]) * (size / best[3]) ** power * dimension / best[2]
    return seconds / 3600, disk


def usual(row: Mapping[str, Any], clients: int = 1) -> Mapping[str, Any]:
    """The merged index, asked with each system's own ef_search: 100 in OpenSearch 3.6.0, 40 in pgvector."""
    found = [s for s in row["merged"]["searches"] if s["clients"] == clients]
    return next((s for s in found if s["ef"] in (None, 40)), found[0])


def table(rows: Rows, system: str) -> str:
    """One line a cell, as Markdown."""
    body = []
    for (_, storage, dimension, size), row in sorted(of(rows, system).items(), key=lambda item: item[0][1:]):
        seconds, memory, state = row["seconds"], row["memory"], row["merged"]
        one, four, more = usual(row), usual(row, 4), _best(row)
        peak = memory["building"]
        body.append(
            {
                "storage": storage,
                "dim": dimension,
                "vectors": brief(size),
                "load s": f"{seconds['load']:.1f}",
                "refresh s": f"{seconds['refresh'] + seconds['settle']:.1f}",
                "merge s": f"{seconds['merge']:.1f}",
                "vec/s": f"{size / total(row):.0f}",
                "disk MB": f"{state['disk'] / 1e6:.1f}",
                "B/vector": f"{state['disk'] / size:.0f}",
                "heap MB": f"{peak.get('heap_old', 0) / 1e6:.0f}",
                "RAM MB": f"{needed(peak) / 1e6:.0f}",
                "recall@10": f"{one['recall']:.3f}",
                "p50/p99 ms": _latency(one),
                "of 4 clients": _latency(four),
                "recall (ef)": f"{more['recall']:.3f} ({_way(more)})",
                "p50/p99 ms then": _latency(more),
            }
        )
    return tabulate(body, headers="keys", tablefmt="github", disable_numparse=True)


def circumstances(rows: Rows, system: str) -> str:
    """Machine, versions and how busy it was, in a line."""
    found = of(rows, system).values()
    where = ", ".join(sorted({f"{row['machine']}, {row['version']}" for row in found}))
    loads = [row["load"] for row in found]
    return f"{where}; load of the machine when a cell was done: {min(loads):.1f} to {max(loads):.1f}"


def growth(rows: Rows, system: str) -> str:
    """Exponents by which time, disk and latency grow with the number of vectors, from 10,000 up where there are two."""
    body = []
    for storage, dimension in sorted({key[1:3] for key in of(rows, system)}):
        series = {key[3]: row for key, row in of(rows, system).items() if key[1:3] == (storage, dimension)}
        big = {size: row for size, row in series.items() if size >= 10_000}
        series = big if len(big) > 1 else series
        figures: dict[str, Measure] = {
            "build": total,
            "disk": lambda row: row["merged"]["disk"],
            "p50": lambda row: usual(row)["p50"],
        }
        found = [exponent((size, figure(row)) for size, row in series.items()) for figure in figures.values()]
        if None not in found:
            body.append((storage, dimension, ", ".join(brief(size) for size in sorted(series)), *found))
    return tabulate(body, headers=("storage", "dim", "over", "build", "disk", "p50"), tablefmt="github", floatfmt=".2f")


def of(rows: Rows, system: str) -> dict[Cell, Mapping[str, Any]]:
    """The cells of one system."""
    return {key: row for key, row in rows.items() if key[0] == system}


def draw(rows: Rows) -> list[Path]:
    """The pictures; each is left out while nothing is measured for it."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    panels: dict[str, Measure] = {
        "build, s": total,
        "disk, bytes": lambda row: row["merged"]["disk"],
        "memory more when searched, bytes": _taken,
        "p50, ms": lambda row: usual(row)["p50"],
        "p99, ms": lambda row: usual(row)["p99"],
        "1 − recall@10": lambda row: max(1 - usual(row)["recall"], 1e-4),
    }
    made = []
    with rc_context({"svg.hashsalt": "neuralshelf", "font.size": 8, "svg.fonttype": "none"}):
        figure = Figure(figsize=(11, 6), layout="constrained")
        for axes, (label, value) in zip(figure.subplots(2, 3).flat, panels.items(), strict=True):
            for system, storage, dimension in sorted({key[:3] for key in rows}):
                points = sorted(
                    (key[3], value(row)) for key, row in rows.items() if key[:3] == (system, storage, dimension)
                )
                axes.loglog(*zip(*points, strict=True), **_style(system, storage, dimension))
            axes.set_title(label)
            axes.set_xlabel("vectors")
            axes.grid(alpha=0.3)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=5)
        made.append(_save(figure, "scale.svg"))

        figure = Figure(figsize=(7, 4), layout="constrained")
        axes = figure.subplots()
        for (_, storage, dimension, size), row in of(rows, "opensearch").items():
            if size == max(key[3] for key in rows if key[0] == "opensearch"):
                steps = list(zip(row["rate"], row["rate"][1:], strict=False))
                speed = [(b[1], (b[1] - a[1]) / max(b[0] - a[0], 1e-6)) for a, b in steps]
                axes.plot(
                    *zip(*speed, strict=True),
                    color=COLOURS[storage],
                    ls=_line(dimension),
                    label=f"{storage} {dimension}",
                )
        axes.set_xlabel("vectors loaded")
        axes.set_ylabel("vectors acknowledged a second")
        axes.set_ylim(bottom=0)
        axes.legend()
        made.append(_save(figure, "rate.svg"))

        largest = [(dimension, _compared(rows, dimension)) for dimension in sorted({key[2] for key in rows})]
        figure = Figure(figsize=(5.5 * len(largest), 4), layout="constrained")
        for axes, (dimension, size) in zip(figure.subplots(1, len(largest), squeeze=False).flat, largest, strict=True):
            for key, row in rows.items():
                if key[2:] == (dimension, size):
                    curve = sorted((s["recall"], s["p50"]) for s in row["merged"]["searches"] if s["clients"] == 1)
                    axes.plot(*zip(*curve, strict=True), **_style(*key[:3]))
            axes.set(title=f"{brief(size)} × {dimension}", xlabel="recall@10", ylabel="p50, ms", yscale="log")
            axes.grid(alpha=0.3)
            axes.legend()
        made.append(_save(figure, "recall.svg"))
    return made


def _compared(rows: Rows, dimension: int) -> int:
    """The largest size at which most systems were measured."""
    systems: dict[int, set[str]] = {}
    for key in rows:
        if key[2] == dimension:
            systems.setdefault(key[3], set()).add(key[0])
    return max(systems, key=lambda size: (len(systems[size]), size))


def _style(system: str, storage: str, dimension: int) -> dict[str, Any]:
    mark = "o" if system == "opensearch" else "s"
    return {
        "color": COLOURS[storage],
        "ls": _line(dimension),
        "marker": mark,
        "ms": 4,
        "label": f"{system} {storage} {dimension}",
    }


def _line(dimension: int) -> str:
    return "-" if dimension < 1000 else "--"


def _save(figure: Any, name: str) -> Path:
    path = HERE / name
    figure.savefig(path, metadata={"Date": None})
    # matplotlib leaves blanks at the ends of lines
    path.write_text("\n".join(line.rstrip() for line in path.read_text("utf-8").splitlines()) + "\n", "utf-8")
    return path


def _best(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The cheapest search of one client that finds 99 %, else the one that finds most."""
    single = [s for s in row["merged"]["searches"] if s["clients"] == 1]
    return next((s for s in single if s["recall"] >= 0.99), max(single, key=lambda s: s["recall"]))


def _taken(row: Mapping[str, Any]) -> float:
    """Bytes that the processes hold after searching, above what they held before the index was there."""
    after, before = (sum(resident(row["memory"].get(step, {})).values()) for step in ("searching", "quiet"))
    return float(max(after - before, 1_000_000))


def _way(found: Mapping[str, Any]) -> str:
    return f"{found['ef'] or 'default'}{', rescored' if found.get('rescore') else ''}"


def _latency(found: Mapping[str, Any]) -> str:
    return f"{found['p50']:.1f}/{found['p99']:.1f}"


def resident(memory: Mapping[str, int]) -> dict[str, int]:
    return {kind: size for kind, size in memory.items() if kind.startswith("Pss")}


def needed(memory: Mapping[str, int]) -> int:
    return sum(size for kind, size in resident(memory).items() if kind != "Pss_File")


def main() -> int:
    """Write all of it; print the tables."""
    rows = read()
    if not rows:
        print("nothing is measured yet: run scale.py", file=sys.stderr)
        return 1
    parts: Sequence[str] = (
        "# Vectors in OpenSearch: cost against number\n",
        circumstances(rows, "opensearch") + "\n",
        table(rows, "opensearch"),
        "\nGrowth: time, disk and latency ∝ (number of vectors)^b, b =\n",
        growth(rows, "opensearch"),
    )
    print("\n".join(parts))
    for path in draw(rows):
        print(path, file=sys.stderr)
    (HERE / "scale.md").write_text("\n".join(parts) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
