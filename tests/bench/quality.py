"""How many products are found by another picture of them as the catalogue grows: CMC curves of lite.

    python -m samples.many --folder DIR
    python tests/bench/quality.py --folder DIR [--visual FILE.npz] [--out results/quality.json]

A query is a picture of a product from another angle, in other light, before another wall; it is found at rank k if k
- 1 products come before the right one. A product counts by its best picture. Ranking is exact cosine by numpy;
quality_search.py asks `_search`. Intervals: 95 %, percentile bootstrap over products.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate
from tqdm import tqdm

from neuralshelf.model_packages.lite import LiteEncoder, observations
from neuralshelf.model_packages.lite.encoder import TEXT, VISUAL_SHARE
from neuralshelf.model_packages.lite.finetune import ranks
from neuralshelf.model_packages.lite.losses import normalised
from neuralshelf.model_packages.lite.visual import centred
from neuralshelf.settings import Folders

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SIZES = (1_000, 6_000, 10_000)
DIMENSIONS = (512, 1024)
DEEPEST = 50
RESAMPLES, SEED = 1_000, 20_261_127
ANGLES = (0, 15, 30, 45, 60, 90)

Floats = NDArray[np.float32]
Numbers = NDArray[np.intp]
Row = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Pictures:
    """Rows of a list of samples/many.py with what lite makes of them before its visual block.

    Attributes:
        features: (n, 1280), of the network.
        meaning: (n, 384), the text-side part of the vectors.
    """

    rows: Sequence[Row]
    features: Floats
    meaning: Floats

    @classmethod
    def read(cls, file: Path, encoder: LiteEncoder, most: int | None = None) -> "Pictures":
        """All rows, or those of the first `most` products."""
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        kept = set(list(dict.fromkeys(row["id"] for row in rows))[:most])
        rows = [row for row in rows if row["id"] in kept]
        with tqdm(total=len(rows), desc=file.stem, unit="picture", disable=None) as bar:
            paths = [file.parent / row["image"] for row in rows]
            seen = observations.observe(encoder, paths, file.parent / "seen", bar.update)
        found = cls(rows, seen.features, encoder.vectors(seen.features, seen.logits, seen.colours, TEXT))
        few = slice(0, 8)
        real = encoder.vectors(seen.features[few], seen.logits[few], seen.colours[few], DIMENSIONS[-1])
        assert np.abs(found.take(range(8)).vectors(encoder, DIMENSIONS[-1]) - real).max() < 1e-5
        return found

    def where(self, **wanted: object) -> "Pictures":
        """The rows that are equal in `wanted`."""
        return self.take([i for i, row in enumerate(self.rows) if all(row[k] == v for k, v in wanted.items())])

    def take(self, places: Sequence[int]) -> "Pictures":
        """Some rows, in that order."""
        return Pictures([self.rows[i] for i in places], self.features[places], self.meaning[places])

    def beside(self, other: "Pictures") -> "Pictures":
        """These rows and those of `other`."""
        pairs = ((self.features, other.features), (self.meaning, other.meaning))
        return Pictures([*self.rows, *other.rows], *(np.concatenate(pair) for pair in pairs))

    def vectors(self, encoder: LiteEncoder, dimension: int) -> Floats:
        """As LiteEncoder.vectors gives them, by matrix products instead of row by row."""
        visual, _ = normalised(centred(self.features) @ encoder.visual.weight[:, : dimension - TEXT])
        return np.hstack([np.sqrt(1 - VISUAL_SHARE) * self.meaning, np.sqrt(VISUAL_SHARE) * visual]).astype(np.float32)

    @property
    def ids(self) -> list[str]:
        return [row["id"] for row in self.rows]


@dataclass(frozen=True, eq=False)
class Found:
    """`before`: how many products came before the right one, for each query; `ids`: the products asked for."""

    before: Numbers
    ids: Sequence[str]

    def share(self, k: int) -> float:
        return float((self.before < k).mean())

    def curve(self) -> NDArray[np.float64]:
        """(DEEPEST,) shares found at rank 1, 2, …"""
        return np.array([self.share(k) for k in range(1, DEEPEST + 1)])

    def band(self) -> NDArray[np.float64]:
        """(2, DEEPEST) ends of the 95 % intervals of `curve`: products are drawn again, with all queries of each."""
        chance = np.random.default_rng(SEED)
        names, place = np.unique(self.ids, return_inverse=True)
        hits = np.zeros((len(names), DEEPEST))
        np.add.at(hits, place, self.before[:, None] < np.arange(1, DEEPEST + 1))
        asked = np.bincount(place)
        drawn = [chance.integers(len(names), size=len(names)) for _ in range(RESAMPLES)]
        return np.asarray(np.percentile([hits[d].sum(0) / asked[d].sum() for d in drawn], [2.5, 97.5], axis=0))

    def summary(self) -> dict[str, Any]:
        """Shares at some ranks with their intervals, and the whole curve with its band, to four digits."""
        curve, band = self.curve().round(4).tolist(), self.band().round(4).tolist()
        at = {f"rank_{k}": [curve[k - 1], band[0][k - 1], band[1][k - 1]] for k in (1, 5, 10)}
        return {"queries": len(self.ids), "products_asked": len(set(self.ids)), **at, "cmc": curve, "band": band}


def asked(encoder: LiteEncoder, dimension: int, gallery: Pictures, queries: Pictures) -> Found:
    shown, wanted = gallery.vectors(encoder, dimension), queries.vectors(encoder, dimension)
    return Found(ranks(shown, gallery.ids, wanted, queries.ids), queries.ids)


def direction(row: Row) -> NDArray[np.float64]:
    """Unit vector from the product to the camera."""
    turn, tilt = np.deg2rad(row["turn"]), np.deg2rad(row["tilt"])
    return np.array([np.sin(turn) * np.cos(tilt), -np.cos(turn) * np.cos(tilt), np.sin(tilt)])


def by_angle(found: Found, gallery: Pictures, queries: Pictures) -> list[dict[str, Any]]:
    """Rank-1 and rank-5 by the degrees between the camera of the query and the catalogue's."""
    seen_from = {row["id"]: direction(row) for row in gallery.rows}
    cosines = [float(direction(row) @ seen_from[row["id"]]) for row in queries.rows]
    degrees = np.rad2deg(np.arccos(np.clip(cosines, -1, 1)))
    bins = []
    for low, high in pairwise(ANGLES):
        inside = (degrees >= low) & (degrees < high)
        if inside.sum() >= 20:
            part = Found(found.before[inside], np.array(found.ids)[inside].tolist())
            bins.append({"degrees": f"{low}-{high}", "queries": int(inside.sum()), "rank_1": part.share(1),
                         "rank_5": part.share(5)})  # fmt: skip
    return bins


def confusions(encoder: LiteEncoder, gallery: Pictures, queries: Pictures, dimension: int) -> dict[str, Any]:
    """What the first product is where it is wrong, and the kinds found best and worst."""
    kind_of = {row["id"]: (row["kind"], row["colour"]) for row in gallery.rows}
    scores = queries.vectors(encoder, dimension) @ gallery.vectors(encoder, dimension).T
    first = [gallery.ids[place] for place in scores.argmax(1)]
    wrong = [(kind_of[a], kind_of[b]) for a, b in zip(first, queries.ids, strict=True) if a != b]
    hits: dict[str, list[bool]] = {}
    for got, row in zip(first, queries.rows, strict=True):
        hits.setdefault(row["kind"], []).append(got == row["id"])
    shares = sorted((float(np.mean(found)), kind) for kind, found in hits.items())
    return {
        "wrong": len(wrong),
        "same_kind": sum(a[0] == b[0] for a, b in wrong) / max(len(wrong), 1),
        "same_kind_and_colour": sum(a == b for a, b in wrong) / max(len(wrong), 1),
        "worst": shares[:5],
        "best": shares[::-1][:5],
    }


def measure(folder: Path, encoder: LiteEncoder, base: LiteEncoder) -> dict[str, Any]:
    """Everything that can be measured with the pictures in `folder`. `base` is lite as it is: it looks at them."""
    everything = Pictures.read(folder / "catalogue.jsonl", base)
    queries, shown = everything.where(role="query"), everything.where(role="catalogue")
    second = Pictures.read(folder / "second.jsonl", base)
    out: dict[str, Any] = {"model": encoder.fingerprint, "seed": SEED, "resamples": RESAMPLES, "exact": []}
    for dimension in DIMENSIONS:
        for size in SIZES:
            if size > len(shown.rows):
                continue
            gallery = shown.take(range(size))
            found = asked(encoder, dimension, gallery, queries)
            out["exact"].append({"products": size, "pictures": 1, "dimension": dimension, **found.summary()})
            if dimension == DIMENSIONS[-1] and size in (SIZES[0], SIZES[-1]):
                out[f"angle_{size}"] = by_angle(found, gallery, queries)
                out[f"confusions_{size}"] = confusions(encoder, gallery, queries, dimension)
        few = shown.take(range(SIZES[0]))
        both = asked(encoder, dimension, few.beside(second), queries)
        out["exact"].append({"products": SIZES[0], "pictures": 2, "dimension": dimension, **both.summary()})
    return out


def table(cells: Sequence[Row]) -> str:
    """A line a catalogue, as Markdown."""

    def share(cell: Row, k: int) -> str:
        middle, low, high = cell[f"rank_{k}"]
        return f"{middle:.3f} ({low:.3f}-{high:.3f})"

    body = [
        [f"{c['products']:,}", c["pictures"], c["dimension"], c["queries"], *(share(c, k) for k in (1, 5, 10)),
         f"{c['cmc'][-1]:.3f}"]
        for c in cells
    ]  # fmt: skip
    heads = ["products", "pictures each", "dim", "queries", "rank-1", "rank-5", "rank-10", "rank-50"]
    return tabulate(body, heads, tablefmt="github")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="made by python -m samples.many")
    parser.add_argument("--visual", type=Path, help="a trained visual block instead of the random one")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "quality.json")
    words = parser.parse_args()
    cache = Folders.default(ROOT).cache
    base = LiteEncoder.load(cache)
    encoder = LiteEncoder.load(cache, visual=words.visual) if words.visual else base
    found = measure(words.folder, encoder, base)
    found["load"] = [round(value, 1) for value in os.getloadavg()]
    words.out.write_text(json.dumps(found) + "\n", encoding="utf-8")
    print(table(found["exact"]))
    for name in found:
        if name.startswith(("angle", "confusions")):
            print(name, json.dumps(found[name]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
