"""How many products keep the id of their cluster when a tenth of them is new, or clusters are found anew.

    ./inv up && ./inv ingest samples/catalogue.jsonl
    python tests/bench/cluster_ids.py [--config neuralshelf.yaml] [-e local] [--seeds 10]

Of each vector of the index: nine tenths of the products, picked by chance, make clusters, as many as measuring says or
as given; then all of them do, once from where the clusters are (what `cluster` does) and once anew (`--fresh`). Both
files are read back before documents are assigned. Prints the share of the nine tenths that keep their id: the mean
over seeds, and the worst.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from stack import CONFIG, ENVIRONMENT
from tabulate import tabulate
from tqdm import tqdm

from neuralshelf.deployment import Deployment
from neuralshelf.local.stack import Stack
from neuralshelf.personalisation.clusters import Clusters, Vectors, best, candidates, fit, measure, refit, renamed
from neuralshelf.personalisation.documents import Documents
from neuralshelf.settings import Folders

NUMBERS = (8, 16, 32, None)
HEADERS = ("vector", "products", "k", "goes on: mean", "worst", "anew: mean", "worst")


def trial(vectors: Vectors, k: int | None, seed: int) -> tuple[int, float, float]:
    """The number of clusters, and the shares that keep their id when clusters go on, and when they are found anew."""
    order = np.random.default_rng(seed).permutation(len(vectors))
    first = vectors[order[len(vectors) // 10 :]]
    if k is None:
        k = best(measure(first, candidates(len(first)), seed=seed)).k
    old = _kept(fit(first, k, seed=seed))
    anew = renamed(fit(vectors, k, seed=seed), old, vectors)
    before = _ids(old, first)
    on, fresh = (float((_ids(_kept(new), first) == before).mean()) for new in (refit(vectors, old, seed=seed), anew))
    return k, on, fresh


def _kept(clusters: Clusters) -> Clusters:
    return Clusters.of(clusters.keep("", ""))


def _ids(clusters: Clusters, vectors: Vectors) -> NDArray[np.str_]:
    return np.array(clusters.ids)[clusters.nearest(vectors)[0]]


def main() -> int:
    """Read, try, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("-e", "--environment", default=ENVIRONMENT)
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    config = options.config.resolve()
    deployment = Deployment.load(config, options.environment)
    client = Stack(config, options.environment, Folders.default(config.parent / options.environment)).client(deployment)
    index = deployment.config.index
    rows = []
    for vector in index.vectors:
        vectors = Documents(client, index.name, vector).sample(0)
        for k in NUMBERS:
            seeds = tqdm(range(options.seeds), desc=f"{vector} {k}", file=sys.stderr, disable=not sys.stderr.isatty())
            found = [trial(vectors, k, seed) for seed in seeds]
            chosen, on, anew = zip(*found, strict=True)
            numbers = str(k) if k else f"measured: {min(chosen)} to {max(chosen)}"
            rows.append((vector, len(vectors), numbers, np.mean(on), min(on), np.mean(anew), min(anew)))
    print(tabulate(rows, headers=HEADERS, floatfmt=".3f"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
