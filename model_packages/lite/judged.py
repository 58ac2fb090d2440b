"""Pictures with what is known about them, as the training and the evaluation of the head read them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neuralshelf.model_packages.lite.encoder import LiteEncoder

CLOTHING = "clothing-cc0"
PRODUCTS = "products-mit"
# The protocol's wording: a class name is not always what people call the thing.
QUERY_NAMES = {"longsleeve": "long sleeve top", "outwear": "outerwear jacket coat"}
_GROUP = 32

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Observed:
    """Rows of a picture list with what the network saw: see LiteEncoder.observe."""

    items: Sequence[dict[str, Any]]
    features: Floats
    logits: Floats
    colours: Floats

    def where(self, keep: Callable[[dict[str, Any]], bool]) -> "Observed":
        """The rows for which `keep` holds."""
        rows = [row for row, item in enumerate(self.items) if keep(item)]
        return Observed([self.items[r] for r in rows], self.features[rows], self.logits[rows], self.colours[rows])


def read(path: Path) -> list[dict[str, Any]]:
    """The items of a JSON lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def observe(encoder: LiteEncoder, folder: Path, items: Sequence[dict[str, Any]]) -> Observed:
    """Run the network over the pictures that `items` name below `folder`."""
    parts: list[tuple[Floats, Floats, Floats]] = []
    for start in range(0, len(items), _GROUP):
        group = [np.asarray(Image.open(folder / i["image"]).convert("RGB")) for i in items[start : start + _GROUP]]
        parts.append(encoder.observe(group))
    features, logits, colours = (np.vstack([part[which] for part in parts]) for which in range(3))
    return Observed(items, features, logits, colours)


def class_query(category: str) -> str:
    """What is asked for a clothing class."""
    return f"a photo of a {QUERY_NAMES.get(category, category)}"
