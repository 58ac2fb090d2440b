"""What mean pooling gains over the first token's vector: titles of products find their descriptions.

    python -m neuralshelf.model_packages.minilm.evaluate_pooling ITEMS.jsonl        lines with "title" and "description"

The ONNX graph gives the vectors of tokens, so both poolings are of the same run. Writes a table in Markdown.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neuralshelf.model_packages.minilm.encoder import MiniLmEncoder

RESAMPLES = 10_000
_SEED = 1

Floats = NDArray[np.float64]


def ranks(queries: NDArray[np.float32], documents: NDArray[np.float32]) -> NDArray[np.int64]:
    """The place, from 1, of each query's own document by cosine, of unit rows of equal shape; a tie counts against."""
    likeness = queries @ documents.T
    own = np.diagonal(likeness)[:, None]
    return np.asarray((likeness >= own).sum(1), np.int64)


def measures(places: NDArray[np.int64]) -> Mapping[str, float]:
    """R@1, R@5, R@10 and MRR."""
    return {f"R@{k}": float((places <= k).mean()) for k in (1, 5, 10)} | {"MRR": float((1 / places).mean())}


def gain(better: NDArray[np.int64], worse: NDArray[np.int64]) -> tuple[float, float, float]:
    """Difference in MRR and its 95 % interval, by resampling the queries."""
    each: Floats = 1 / better - 1 / worse
    picked = np.random.default_rng(_SEED).integers(0, len(each), (RESAMPLES, len(each)))
    low, high = np.percentile(each[picked].mean(1), (2.5, 97.5))
    return float(each.mean()), float(low), float(high)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0."""
    parser = argparse.ArgumentParser(prog="python -m neuralshelf.model_packages.minilm.evaluate_pooling")
    parser.add_argument("items", type=Path, help="JSON lines with title and description")
    lines = parser.parse_args(arguments).items.read_text(encoding="utf-8").splitlines()
    items = [json.loads(line) for line in lines if line.strip()]
    encoder = MiniLmEncoder.load()
    states = [[encoder.states(item[field]) for item in items] for field in ("title", "description")]
    found = {}
    for name, pool in (("mean over the tokens", _mean), ("first token", _first)):
        titles, descriptions = (np.stack([pool(of_text) for of_text in of_field]) for of_field in states)
        found[name] = ranks(titles, descriptions)
    print("| pooling | R@1 | R@5 | R@10 | MRR |\n|---|---|---|---|---|")
    for name, places in found.items():
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in measures(places).values()) + " |")
    print("\nMRR gains {:.3f} (95 % interval {:.3f} to {:.3f})".format(*gain(*found.values())))
    return 0


def _mean(states: NDArray[np.float32]) -> NDArray[np.float32]:
    return _unit(states.mean(0))


def _first(states: NDArray[np.float32]) -> NDArray[np.float32]:
    return _unit(states[0])


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


if __name__ == "__main__":
    sys.exit(main())
