"""Makes a catalogue of thousands of products with pictures, and queries for it, outside the project.

    python -m samples.many --folder DIR [--products 10000] [--queries 1000] [--training 1540] [--second 1000]

DIR/catalogue.jsonl (a catalogue picture and queries), DIR/second.jsonl (another catalogue picture) and
DIR/training.jsonl (products that are in no catalogue) list a picture a line: `id` of the product, `kind`, `colour`,
`role` ("catalogue", "second", "query"), `turn` and `tilt` of the camera in degrees, `image` (a path beside the list).
The catalogue's products come kind by kind in turn, so that its first 1,000 are a catalogue as well. Everything is
drawn from the products' ids. Pictures that exist are skipped: a stopped run goes on where it was. `--share 1/2` makes
every second product's pictures, `--share 2/2` the others', for two processes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from samples.assortment import kinds
from samples.raster import PIXELS, Placed, Raster
from samples.variety import Styled, order
from samples.views import View, catalogue_view, mobile_views, second_catalogue_view

QUALITY = 88
QUERIES_EACH = 2

Set = Literal["catalogue", "training"]
Role = Literal["catalogue", "second", "query"]


@dataclass(frozen=True)
class Shot:
    """One picture to make."""

    product: Styled
    set: Set
    role: Role
    number: int
    view: View

    @property
    def image(self) -> str:
        suffix = {"catalogue": "", "second": "-s", "query": f"-q{self.number}"}[self.role]
        return f"{self.product.kind.slug}/{self.product.id}{suffix}.jpg"

    @property
    def list(self) -> str:
        """The file that names it."""
        return "second" if self.role == "second" else self.set

    def row(self) -> dict[str, Any]:
        """Its line of the list."""
        product, view = self.product, self.view
        return {
            "id": product.id,
            "kind": product.kind.noun,
            "colour": product.colour,
            "role": self.role,
            "turn": round(view.turn, 2),
            "tilt": round(view.tilt, 2),
            "image": self.image,
        }


def shots(products: int, queries: int, training: int, second: int) -> Iterator[Shot]:
    """All pictures, those of one product together, what is needed first before the rest of the catalogue."""
    everything = list(order(kinds(), products + training))
    catalogue, taught = everything[:products], everything[products:]

    def of(product: Styled, which: Set, queries: int, second: bool) -> Iterator[Shot]:
        yield Shot(product, which, "catalogue", 0, catalogue_view(product))
        if second:
            yield Shot(product, which, "second", 0, second_catalogue_view(product))
        for number, view in enumerate(mobile_views(product, queries), 1):
            yield Shot(product, which, "query", number, view)

    asked = max(queries, second)
    for place, product in enumerate(catalogue[:asked]):
        yield from of(product, "catalogue", QUERIES_EACH if place < queries else 0, place < second)
    for product in taught:
        yield from of(product, "training", QUERIES_EACH, False)
    for product in catalogue[asked:]:
        yield from of(product, "catalogue", 0, False)


def draw(planned: Sequence[Shot], folder: Path, pixels: int) -> None:
    """Make the pictures that are missing. Each appears only when complete."""
    raster = Raster(pixels)
    missing = [shot for shot in planned if not (folder / shot.image).exists()]
    with tqdm(total=len(missing), unit="picture", disable=not sys.stderr.isatty()) as bar:
        for _, group in groupby(missing, key=lambda shot: shot.product.id):
            wanted = list(group)
            placed = Placed.of(wanted[0].product.parts())
            for shot in wanted:
                file = folder / shot.image
                file.parent.mkdir(parents=True, exist_ok=True)
                partial = file.with_suffix(".partial")
                raster.draw(placed, shot.view).save(partial, "JPEG", quality=QUALITY)
                partial.replace(file)
                bar.update()


def share(text: str) -> tuple[int, int]:
    """ "2/3" as (2, 3). ValueError otherwise."""
    part, parts = (int(number) for number in text.split("/"))
    if not 1 <= part <= parts:
        raise ValueError(text)
    return part, parts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--products", type=int, default=10_000, help="in the catalogue")
    parser.add_argument("--queries", type=int, default=1_000, help="products of the catalogue that are asked for")
    parser.add_argument("--training", type=int, default=1_012, help="products to learn from, in no catalogue")
    parser.add_argument("--second", type=int, default=1_000, help="products with a second catalogue picture")
    parser.add_argument("--pixels", type=int, default=PIXELS)
    parser.add_argument("--share", type=share, default=(1, 1), metavar="K/N", help="which of N parts to make")
    words = parser.parse_args()
    part, parts = words.share
    planned = list(shots(words.products, words.queries, words.training, words.second))
    words.folder.mkdir(parents=True, exist_ok=True)
    for name in ("catalogue", "second", "training"):
        lines = "".join(json.dumps(shot.row()) + "\n" for shot in planned if shot.list == name)
        (words.folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    try:
        draw([shot for shot in planned if (shot.product.variant + 1) % parts == part - 1], words.folder, words.pixels)
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr)
        return 130
    print(f"{words.folder}: {len(planned)} pictures")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
