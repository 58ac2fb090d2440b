"""Train the head of the lite model.

    python -m neuralshelf.model_packages.lite.train_head --data DIR --anchors FILE.jsonl --cache DIR --out FILE

DIR/clothing-cc0 is clothing-dataset-small (CC0-1.0) with its splits; only the train split is learnt from. Captions are
"a photo of a {measured colour} {class}". The anchors are pictures of other things, whose labels are not read.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neuralshelf.model_packages.lite import colour, judged
from neuralshelf.model_packages.lite.encoder import LiteEncoder
from neuralshelf.model_packages.lite.head import Head
from neuralshelf.model_packages.lite.judged import CLOTHING, Floats, Observed

RIDGE = 3.0
HOLD = 10.0


def train(encoder: LiteEncoder, clothes: Observed, anchors: Observed) -> Head:
    """A head from observed clothes (each item has a `category`) and observed other things."""
    return Head.fit(clothes.features, missing(encoder, clothes), anchors.features, ridge=RIDGE, hold=HOLD)


def missing(encoder: LiteEncoder, clothes: Observed) -> Floats:
    """What the vectors of `clothes` lack to be their captions; float32 (n, 384)."""
    captions = [_caption(str(i["category"]), shares) for i, shares in zip(clothes.items, clothes.colours, strict=True)]
    distinct = sorted(set(captions))
    vectors = dict(zip(distinct, encoder.embed_texts(distinct), strict=True))
    wanted = np.stack([vectors[caption] for caption in captions])
    return np.asarray(wanted - encoder.describe(clothes.logits, clothes.colours), np.float32)


def _caption(category: str, shares: Floats) -> str:
    name = judged.QUERY_NAMES.get(category, category)
    return f"a photo of a {colour.NAMES[int(shares.argmax())]} {name}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--anchors", type=Path, required=True, metavar="FILE.jsonl")
    parser.add_argument("--cache", type=Path, required=True, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    words = parser.parse_args(arguments)
    encoder = LiteEncoder.load(words.cache, head=False)
    folder = words.data / CLOTHING
    clothes = [item for item in judged.read(folder / "items.jsonl") if item["split"] == "train"]
    print(f"observing {len(clothes)} photos", file=sys.stderr)
    observed = judged.observe(encoder, folder, clothes)
    anchors = judged.observe(encoder, words.anchors.parent, judged.read(words.anchors))
    words.out.write_bytes(train(encoder, observed, anchors).save())
    print(f"{words.out}: {words.out.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
