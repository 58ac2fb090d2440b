"""Products with very uneven numbers of pictures, and a shop's configuration for them."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neuralshelf.model_packages.encoder import Sample
from tests.engine.fixtures import ToyEncoder

SEED = 20261127
MOST = 30
PER_LEG = 10
COLOURS = ("red", "green", "blue")

CONFIG: Mapping[str, Any] = {
    "connectors": {
        "text": {"kind": "sagemaker-text", "endpoint": "neuralshelf-minilm", "dimension": 384},
        "picture": {"kind": "sagemaker-clip", "endpoint": "neuralshelf-clip", "dimension": 512},
    },
    "index": {
        "fields": {"title": "text", "sku": "keyword", "colour": "keyword", "price": "float"},
        "vectors": {
            "text_vector": {"connector": "text", "text": ["title"]},
            "image_vector": {"connector": "picture", "image": "image"},
        },
        "product": "sku",
        "views": MOST,
    },
    "search": {
        "keyword": ["title"],
        "weights": {"keyword": 0.2, "text_vector": 0.3, "image_vector": 0.5},
        "k": PER_LEG,
        "filters": ["colour", "price"],
    },
}


@dataclass(frozen=True)
class Goods:
    """Documents by id, and the pixels that each picture was made of."""

    documents: Mapping[str, Mapping[str, Any]]
    pixels: Mapping[str, NDArray[np.uint8]]

    @property
    def products(self) -> dict[str, str]:
        """Document -> product."""
        return {identity: str(document["sku"]) for identity, document in self.documents.items()}

    def nearest(self, pixels: NDArray[np.uint8]) -> dict[str, tuple[float, str]]:
        """Product -> the cosine of its nearest picture and that picture's document; best first."""
        vectors = ToyEncoder().encode([Sample(image=p) for p in (pixels, *self.pixels.values())], 512)
        found: dict[str, tuple[float, str]] = {}
        for identity, cosine in zip(self.pixels, vectors[1:] @ vectors[0], strict=True):
            product = self.products[identity]
            found[product] = max(found.get(product, (-1.0, "")), (float(cosine), identity))
        return dict(sorted(found.items(), key=lambda entry: -entry[1][0]))


def shot(rng: np.random.Generator, look: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A picture of a product: its two colours, a little off."""
    colours = np.clip(look + rng.normal(0, 6, (2, 3)), 0, 255).astype(np.uint8)
    return np.repeat(np.repeat(colours[:, None], 8, axis=1), 4, axis=0)


def encoded(pixels: NDArray[np.uint8]) -> str:
    """As a PNG in base64."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def goods() -> Goods:
    """94 products of very uneven numbers of pictures: four of 30 that all look alike, and 90 of one to four."""
    rng = np.random.default_rng(SEED)
    crowd = rng.uniform(60, 200, (2, 3))
    documents: dict[str, Mapping[str, Any]] = {}
    pixels: dict[str, NDArray[np.uint8]] = {}
    for number in range(94):
        look = crowd + rng.normal(0, 4, (2, 3)) if number < 4 else rng.uniform(0, 255, (2, 3))
        for view in range(MOST if number < 4 else 1 + number % 4):
            identity = f"p{number}" + (f"/{view + 1}" if view else "")
            pixels[identity] = shot(rng, look)
            documents[identity] = {
                "title": f"{'plain' if number % 2 else 'fine'} mug {'with a handle ' * (number % 3)}of kind {number}",
                "sku": f"p{number}",
                "colour": COLOURS[number % 3],
                "price": float(number),
                "image": encoded(pixels[identity]),
            }
    return Goods(documents, pixels)
