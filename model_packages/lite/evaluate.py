"""What the head does, where it was trained and where not, as a Markdown table.

    python -m neuralshelf.model_packages.lite.evaluate --data DIR --samples samples/catalogue.jsonl --cache DIR

Columns: no head, a head that is not held back elsewhere (hold = 0), the shipped head.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from neuralshelf.model_packages.lite import judged, train_head
from neuralshelf.model_packages.lite.encoder import LiteEncoder
from neuralshelf.model_packages.lite.head import Head
from neuralshelf.model_packages.lite.judged import CLOTHING, PRODUCTS, Floats, Observed

WORN = {"Footwear", "Jackets", "apparel", "footwear"}


class Sets:
    """The three sets, observed once."""

    def __init__(self, encoder: LiteEncoder, data: Path, samples: Path) -> None:
        self.encoder = encoder
        clothes = judged.observe(encoder, data / CLOTHING, judged.read(data / CLOTHING / "items.jsonl"))
        self.train = clothes.where(lambda item: item["split"] == "train")
        self.test = clothes.where(lambda item: item["split"] == "test")
        self.products = judged.observe(encoder, data / PRODUCTS, judged.read(data / PRODUCTS / "items.jsonl"))
        self.samples = judged.observe(encoder, samples.parent, judged.read(samples))

    def measures(self, head: Head | None) -> dict[str, str]:
        """Every measure with one head."""
        other = self.products.where(lambda item: item["category"] not in WORN)
        return {
            "clothes, 10 classes, accuracy (test split)": f"{self._accuracy(head):.3f}",
            "products, title → photo, R@1/5/10": self._recalls(self.products, "title", head),
            "the same without clothes": self._recalls(other, "title", head),
            "without clothes, description → photo": self._recalls(other, "description", head),
            "samples, kind in top 5": f"{self._samples(head, ('kind',)):.3f}",
            "samples, kind and colour in top 5": f"{self._samples(head, ('kind', 'colour')):.3f}",
        }

    def _vectors(self, seen: Observed, head: Head | None) -> Floats:
        vectors = self.encoder.describe(seen.logits, seen.colours)
        moved = vectors if head is None else head.correct(vectors, seen.features)
        return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True), np.float32)

    def _accuracy(self, head: Head | None) -> float:
        classes = sorted({item["category"] for item in self.test.items})
        queries = self.encoder.embed_texts([judged.class_query(name) for name in classes])
        best = (self._vectors(self.test, head) @ queries.T).argmax(1)
        return float(np.mean([classes[b] == item["category"] for b, item in zip(best, self.test.items, strict=True)]))

    def _recalls(self, seen: Observed, field: str, head: Head | None) -> str:
        """One right picture among all products, for each product of `seen`."""
        return _at_ranks(self._ranks(self.products, seen, field, head))

    def _ranks(self, pool: Observed, asked: Observed, field: str, head: Head | None) -> list[int]:
        """How many pictures of `pool` come before the right one, for each item of `asked`."""
        vectors = self._vectors(pool, head)
        place = {item["id"]: row for row, item in enumerate(pool.items)}
        queries = self.encoder.embed_texts([item.get(field) or item["title"] for item in asked.items])
        scores = [(vectors @ query, place[item["id"]]) for query, item in zip(queries, asked.items, strict=True)]
        return [int((row > row[right]).sum()) for row, right in scores]

    def held_out(self, captions: Floats, hold: float | None) -> str:
        """Sample titles -> photo, R@1/5/10, each kind asked of a head that was held on the other half of the kinds.

        Args:
            captions: see train_head.missing.
            hold: None for no head.
        """
        ranks: list[int] = []
        halves = self.samples.where(_in_first_half), self.samples.where(lambda item: not _in_first_half(item))
        for asked, others in (halves, halves[::-1]):
            fitted = (self.train.features, captions, others.features)
            head = None if hold is None else Head.fit(*fitted, ridge=train_head.RIDGE, hold=hold)
            ranks += self._ranks(self.samples, asked, "title", head)
        return _at_ranks(ranks)

    def _samples(self, head: Head | None, keys: tuple[str, ...]) -> float:
        """Share of "a photo of a {colour} {kind}" with a product equal in `keys` in the first five."""
        items: Sequence[Mapping[str, Any]] = self.samples.items
        pairs = sorted({(item["colour"], item["kind"]) for item in items})
        queries = self.encoder.embed_texts([f"a photo of a {c} {k}" for c, k in pairs])
        first: NDArray[np.intp] = np.argsort(-(queries @ self._vectors(self.samples, head).T), 1)[:, :5]
        asked = [{"colour": c, "kind": k} for c, k in pairs]
        hits = [
            any(all(items[r][key] == a[key] for key in keys) for r in row) for a, row in zip(asked, first, strict=True)
        ]
        return float(np.mean(hits))


def _in_first_half(item: Mapping[str, Any]) -> bool:
    """Whole kinds fall into one half, the same on every machine."""
    return crc32(str(item["kind"]).encode()) % 2 == 0


def _at_ranks(ranks: Sequence[int]) -> str:
    return " / ".join(f"{np.mean(np.array(ranks) < k):.3f}" for k in (1, 5, 10))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("data", "samples", "cache"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    words = parser.parse_args(arguments)
    sets = Sets(LiteEncoder.load(words.cache, head=False), words.data, words.samples)
    captions = train_head.missing(sets.encoder, sets.train)
    unheld = Head.fit(sets.train.features, captions, sets.samples.features, ridge=train_head.RIDGE, hold=0.0)
    columns = [sets.measures(head) for head in (None, unheld, Head.load())]
    print("| measured | no head | head, not held back | shipped head |\n|---|---|---|---|")
    for name in columns[0]:
        print(f"| {name} | {' | '.join(column[name] for column in columns)} |")
    held_out = [sets.held_out(captions, hold) for hold in (None, 0.0, train_head.HOLD)]
    print(f"| samples, title → photo, held on other kinds | {' | '.join(held_out)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
