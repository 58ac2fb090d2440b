"""CMC curves of results/quality*.json with their 95 % bands: docs/quality-cmc.svg.

python tests/bench/quality_plot.py
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from quality import DEEPEST, DIMENSIONS, HERE, ROOT

OUT = ROOT / "docs" / "quality-cmc.svg"
COLOURS = ("#1f5fa8", "#c2571a", "#2e8b57", "#7b3fa0")


def cells(name: str) -> list[Mapping[str, Any]]:
    """The catalogues with one picture a product, in the larger dimension."""
    found = json.loads((HERE / "results" / name).read_text(encoding="utf-8"))["exact"]
    return [cell for cell in found if cell["pictures"] == 1 and cell["dimension"] == DIMENSIONS[-1]]


def main() -> int:
    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "quality", "svg.fonttype": "none", "font.family": "sans-serif"}
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.8), sharey=True)
    plain = cells("quality.json")
    drawn = [(left, f"{cell['products']:,} products", cell) for cell in plain]
    largest = plain[-1]["products"]
    drawn.append((right, "lite as it is", plain[-1]))
    for loss in ("triplet", "cross-entropy"):
        (cell,) = [cell for cell in cells(f"quality-{loss}.json") if cell["products"] == largest]
        drawn.append((right, f"fine-tuned, {loss}", cell))
    ranks = np.arange(1, DEEPEST + 1)
    for axes, label, cell in drawn:
        colour = COLOURS[len(axes.get_lines())]
        axes.plot(ranks, cell["cmc"], color=colour, label=label)
        axes.fill_between(ranks, *cell["band"], color=colour, alpha=0.2, linewidth=0)
    left.set(title="lite as it is", xlabel="rank k", ylabel="found among the first k", xscale="log", ylim=(0, 1))
    right.set(title=f"{largest:,} products, 1024 dimensions", xlabel="rank k", xscale="log")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.set_xticks([1, 2, 5, 10, 20, 50], labels=["1", "2", "5", "10", "20", "50"])
        axes.legend(loc="lower right", frameon=False)
    figure.tight_layout()
    figure.savefig(OUT, metadata={"Date": None})
    print(OUT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
