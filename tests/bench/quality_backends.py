"""How much the rasteriser's pictures differ from Cycles' for lite: the sample catalogue's 734 pictures by both.

    python tests/bench/quality_backends.py --folder DIR [--out results/quality-backends.json]

Same products, cameras, lamps and walls, 256 pixels. Every pair of renderers is tried: catalogue by one, queries by the
other. `cosine`: between the two pictures of one view, and between the two most alike pictures of different products.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from quality import DIMENSIONS, HERE, ROOT, Found
from tabulate import tabulate
from tqdm import tqdm

from neuralshelf.model_packages.lite import LiteEncoder, observations
from neuralshelf.model_packages.lite.finetune import ranks
from neuralshelf.model_packages.lite.observations import Seen
from neuralshelf.settings import Folders

sys.path.insert(0, str(ROOT))  # the samples folder is no part of the installed package

from samples.assortment import products
from samples.catalogue import has_query_views
from samples.raster import Placed, Raster
from samples.views import View, catalogue_view, query_views

PIXELS, QUALITY = 256, 88


def draw(folder: Path) -> tuple[list[str], list[str]]:
    """Make the pictures that are missing. Returns the file names of the catalogue and of the queries."""
    raster = Raster(PIXELS)
    folder.mkdir(parents=True, exist_ok=True)
    shown, asked = [], []
    for product in tqdm(list(products()), unit="product", disable=None):
        views: dict[str, View] = {f"{product.id}.jpg": catalogue_view(product)}
        if has_query_views(product):
            views |= {f"{product.id}-{suffix}.jpg": view for suffix, view in query_views(product).items()}
        shown.append(f"{product.id}.jpg")
        asked += [name for name in views if name != shown[-1]]
        missing = {name: view for name, view in views.items() if not (folder / name).exists()}
        placed = Placed.of(product.parts()) if missing else None
        for name, view in missing.items():
            assert placed is not None
            raster.draw(placed, view).save(folder / name, "JPEG", quality=QUALITY)
    return shown, asked


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "quality-backends.json")
    words = parser.parse_args()
    shown, asked = draw(words.folder / "raster")
    encoder = LiteEncoder.load(Folders.default(ROOT).cache)
    folders = {"cycles": ROOT / "samples" / "images", "raster": words.folder / "raster"}

    def seen(folder: Path, names: list[str]) -> Seen:
        return observations.observe(encoder, [folder / name for name in names], words.folder / "seen")

    looked = {(name, what): seen(folder, files) for name, folder in folders.items() for what, files in
              (("shown", shown), ("asked", asked))}  # fmt: skip
    ids = [name.removesuffix(".jpg") for name in shown]
    wanted = [name.removesuffix(".jpg")[:-2] for name in asked]
    out: list[dict[str, Any]] = []
    for dimension in DIMENSIONS:
        vectors = {
            key: encoder.vectors(each.features, each.logits, each.colours, dimension) for key, each in looked.items()
        }
        for gallery in folders:
            for queries in folders:
                before = ranks(vectors[gallery, "shown"], ids, vectors[queries, "asked"], wanted)
                summary = Found(before, wanted).summary()
                shares = {name: value for name, value in summary.items() if name.startswith("rank")}
                out.append({"dimension": dimension, "catalogue": gallery, "queries": queries, **shares})
        same = (vectors["cycles", "shown"] * vectors["raster", "shown"]).sum(1)
        others = vectors["cycles", "shown"] @ vectors["cycles", "shown"].T
        np.fill_diagonal(others, -1)
        cosine = {
            "one view by both, median": float(np.median(same)),
            "one view by both, 5th percentile": float(np.percentile(same, 5)),
            "nearest other product, median": float(np.median(others.max(1))),
        }
        out.append({"dimension": dimension, "cosine": cosine})
    words.out.write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")
    cells = [row for row in out if "catalogue" in row]
    body = [
        [
            c["dimension"],
            c["catalogue"],
            c["queries"],
            *("{:.3f} ({:.3f}-{:.3f})".format(*c[f"rank_{k}"]) for k in (1, 5)),
        ]
        for c in cells
    ]
    print(tabulate(body, ["dim", "catalogue", "queries", "rank-1", "rank-5"], tablefmt="github"))
    for row in out:
        if "cosine" in row:
            print(row["dimension"], json.dumps(row["cosine"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
