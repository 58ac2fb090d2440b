"""Vectors like a text model's: seeded, made in blocks, so that a million are never in memory at once.

A vector is the unit-length sum of four parts, each with a share of the squared length before it is scaled:

    shared direction 0.12    all texts of a shop resemble one another
    topic            0.23    one of 64
    sub-topic        0.25    one of 64 in each topic; sizes fall as rank^-0.9 (Zipf)
    of its own       0.40    variance of axis i ∝ i^-1.2, axes in an order of the topic's; length × e^(0.4 N(0,1))

Centres' variance falls as i^-1, and all is turned by one random rotation, so that no axis is special (scalar
quantisation would notice). The shares were chosen so that what `python tests/bench/vectors.py` prints agrees with
all-MiniLM-L6-v2 on the sample catalogue and on the docstrings of Python's standard library; it writes vectors.md.
"""

import ast
import json
import re
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

BLOCK = 10_000
TOPICS, SUBTOPICS = 64, 64
SHARED, TOPIC, SUBTOPIC, OWN = 0.12, 0.23, 0.25, 0.40
CENTRE_DECAY, OWN_DECAY, ZIPF, SPREAD = 1.0, 1.2, 0.9, 0.4
QUERIES = 1_000
_QUERY_STREAM = 2**32  # no block has this number

Floats = NDArray[np.float32]


class Cloud:
    """An endless, repeatable row of unit vectors: row i is the same whatever is read before it."""

    def __init__(self, dimension: int, seed: int = 5) -> None:
        self.dimension, self.seed = dimension, seed
        rng = np.random.default_rng([seed, dimension])
        centre, own = (_falling(dimension, decay) for decay in (CENTRE_DECAY, OWN_DECAY))
        shared = rng.standard_normal(dimension) * centre
        topics = rng.standard_normal((TOPICS, 1, dimension)) * centre
        subtopics = rng.standard_normal((TOPICS, SUBTOPICS, dimension)) * centre
        shared *= np.sqrt(SHARED) / np.linalg.norm(shared)
        centres = shared + np.sqrt(TOPIC) * topics + np.sqrt(SUBTOPIC) * subtopics
        self._centres = centres.reshape(-1, dimension).astype(np.float32)
        scales = np.stack([own[rng.permutation(dimension)] for _ in range(TOPICS)])
        self._scales = (np.sqrt(OWN) * scales).astype(np.float32)
        self._rotation = np.linalg.qr(rng.standard_normal((dimension, dimension)))[0].astype(np.float32)
        sizes = np.arange(1, TOPICS * SUBTOPICS + 1) ** -ZIPF
        self._sizes = rng.permutation(sizes / sizes.sum())

    def blocks(self, count: int) -> Iterator[tuple[int, Floats]]:
        """(number of the first row, float32 (≤ BLOCK, dimension)) until `count` rows are told."""
        for start in range(0, count, BLOCK):
            yield start, self._rows(start // BLOCK, BLOCK)[: count - start]

    def queries(self, count: int = QUERIES) -> Floats:
        """Rows of the same distribution that are in no block, float32 (count, dimension)."""
        return self._rows(_QUERY_STREAM, count)

    def nearest(self, size: int, queries: Floats, k: int = 10) -> NDArray[np.int64]:
        """Rows with the greatest cosine among the first `size`, best first, (queries, k): exact up to float32."""
        best = np.full((len(queries), k), -2.0, np.float32)
        rows = np.zeros((len(queries), k), np.int64)
        for start, block in self.blocks(size):
            likeness = queries @ block.T
            top = np.argpartition(likeness, -k, axis=1)[:, -k:]
            found = np.concatenate([best, np.take_along_axis(likeness, top, 1)], axis=1)
            names = np.concatenate([rows, top + start], axis=1)
            order = np.argsort(-found, axis=1, kind="stable")[:, :k]
            best, rows = np.take_along_axis(found, order, 1), np.take_along_axis(names, order, 1)
        return rows

    def _rows(self, stream: int, count: int) -> Floats:
        rng = np.random.default_rng([self.seed, self.dimension, stream])
        group = rng.choice(len(self._sizes), count, p=self._sizes)
        rows = rng.standard_normal((count, self.dimension), dtype=np.float32)
        rows *= np.exp(SPREAD * rng.standard_normal((count, 1), dtype=np.float32))
        rows *= self._scales[group // SUBTOPICS]
        rows += self._centres[group]
        rows = rows @ self._rotation
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows


class Bytes:
    """Floats to signed bytes as a careful client would: one scale for all axes, 0.01 % of the values are cut off."""

    def __init__(self, sample: Floats) -> None:
        self._scale = 127 / float(np.quantile(np.abs(sample), 0.9999))

    def __call__(self, rows: Floats) -> NDArray[np.int8]:
        """int8, same shape."""
        found: NDArray[np.int8] = np.clip(np.rint(rows * self._scale), -127, 127).astype(np.int8)
        return found


def _falling(dimension: int, decay: float) -> NDArray[np.float64]:
    """Scales of the axes, ∝ i^-(decay / 2), whose squares sum to 1."""
    squares = np.arange(1, dimension + 1) ** -decay
    scales: NDArray[np.float64] = np.sqrt(squares / squares.sum())
    return scales


@dataclass(frozen=True)
class Shape:
    """What makes nearest neighbours easy or hard to find, of `size` unit vectors; medians over 500 of them.

    Attributes:
        random: mean cosine of two of them. first, tenth: cosine to the first and tenth neighbour.
        contrast: mean distance ÷ distance to the tenth neighbour.
        local_dimension: maximum likelihood from the distances to 20 neighbours (Levina and Bickel, 2004).
        axes: participation ratio of the covariance's eigenvalues: along how many axes the whole spreads.
        hubness: skewness of how often one is among another's ten neighbours.
    """

    size: int
    random: float
    first: float
    tenth: float
    contrast: float
    local_dimension: float
    axes: float
    hubness: float


def shape(rows: Floats, k: int = 10, neighbours: int = 20) -> Shape:
    """Measure (n, dimension) unit vectors, n > 20."""
    picked = np.random.default_rng(1).choice(len(rows), min(500, len(rows)), replace=False)
    likeness = rows[picked] @ rows.T
    likeness[np.arange(len(picked)), picked] = np.nan
    order = np.argsort(-likeness, axis=1)  # NaN goes last
    near = np.take_along_axis(likeness, order[:, :neighbours], 1)
    distance = np.sqrt(np.maximum(2 - 2 * near, 1e-9))
    apart = distance[distance[:, 0] > 1e-3]  # two texts may be one
    local = 1 / np.log(apart[:, -1:] / apart[:, :-1]).mean(1)
    spectrum = np.linalg.eigvalsh(np.cov(rows.T))
    popular = np.bincount(order[:, :k].ravel(), minlength=len(rows))
    popular = (popular - popular.mean()) / popular.std()
    return Shape(
        size=len(rows),
        random=float(np.nanmean(likeness)),
        first=float(np.median(near[:, 0])),
        tenth=float(np.median(near[:, k - 1])),
        contrast=float(np.median(np.nanmean(np.sqrt(2 - 2 * likeness)) / distance[:, k - 1])),
        local_dimension=float(np.median(local)),
        axes=float(spectrum.sum() ** 2 / (spectrum**2).sum()),
        hubness=float((popular**3).mean()),
    )


def catalogue_texts(catalogue: Path) -> list[str]:
    """What the sample deployment embeds of each product."""
    rows = [json.loads(line) for line in catalogue.read_text(encoding="utf-8").splitlines()]
    return [" ".join((row["title"], row["brand"], row["description"])) for row in rows]


def docstring_texts() -> list[str]:
    """First paragraphs of the docstrings of this Python's standard library, shuffled: short texts on many subjects."""
    found: dict[str, None] = {}
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py")):
        if {"site-packages", "test", "tests"} & set(path.parts):
            continue
        try:
            nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        except (SyntaxError, UnicodeDecodeError):
            continue
        for node in nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
                text = re.sub(r"\s+", " ", (ast.get_docstring(node) or "").split("\n\n")[0])[:300]
                if len(text) > 20:
                    found[text] = None
    texts = list(found)
    np.random.default_rng(0).shuffle(texts)
    return texts


def main() -> int:
    """Compare with MiniLM on real texts; print the table and write it to vectors.md beside this file."""
    from neuralshelf.model_packages.minilm import MiniLmEncoder

    encoder = MiniLmEncoder.load()
    here = Path(__file__).parent
    real = {
        "MiniLM, sample catalogue": encoder.embed(catalogue_texts(here.parents[1] / "samples" / "catalogue.jsonl")),
        "MiniLM, Python's docstrings": encoder.embed(docstring_texts()),
    }
    sizes = sorted({len(rows) for rows in real.values()})
    shapes = [(name, 384, shape(rows)) for name, rows in real.items()]
    for dimension in (384, 1024):
        for size in sizes:
            rows = np.concatenate([block for _, block in Cloud(dimension).blocks(size)])
            shapes.append(("made here", dimension, shape(rows)))
    headers = ("vectors", "dimension", *Shape.__dataclass_fields__)
    body = [(name, dimension, *asdict(found).values()) for name, dimension, found in shapes]
    found = tabulate(body, headers=headers, tablefmt="github", floatfmt=".2f")
    print(found)
    legend = "\n".join(line.strip() for line in str(Shape.__doc__).splitlines()[3:] if line.strip())
    (here / "vectors.md").write_text(
        f"# Are the vectors of the benchmarks realistic?\n\n{found}\n\n{legend}\n", "utf-8"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
