"""The trained part: a linear correction of a picture's text-side vector, held back outside what it was trained on."""

from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO
from typing import Self

import numpy as np
from numpy.typing import NDArray

from neuralshelf.model_packages.lite.linear import rows_times

FILE = "head.npz"

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Head:
    """Ridge regression from the network's features to what ConSE misses in clothes; float32 weight (1280, 384)."""

    weight: Floats

    @classmethod
    def load(cls) -> Self:
        """The head that is shipped beside this file; README.md says what it was trained on."""
        with np.load(BytesIO((files("neuralshelf.model_packages.lite") / FILE).read_bytes())) as stored:
            return cls(stored["weight"].astype(np.float32))

    def correct(self, vectors: Floats, features: Floats) -> Floats:
        """Vectors (n, 384) moved by the head, not of length 1 any more; features (n, 1280)."""
        return np.asarray(vectors + rows_times(rooted(features), self.weight), np.float32)

    @classmethod
    def fit(cls, features: Floats, missing: Floats, anchors: Floats, *, ridge: float, hold: float) -> Self:
        """Learn to add `missing` to clothes and nothing to anything else.

        Minimises |X W - missing|² + ridge · |W|² + hold · |A W|², X and A being `rooted` features.

        Args:
            features: (n, 1280), of the pictures to learn from.
            missing: (n, 384), what their vectors lack.
            anchors: (m, 1280), features of pictures of other things, without any label.
            ridge, hold: weights of the two penalties.
        """
        x, a = rooted(features).astype(np.float64), rooted(anchors).astype(np.float64)
        left = x.T @ x + ridge * np.eye(x.shape[1]) + hold * (a.T @ a)
        return cls(np.linalg.solve(left, x.T @ missing).astype(np.float32))

    def save(self) -> bytes:
        """The content of the file that `load` reads: float16."""
        buffer = BytesIO()
        np.savez_compressed(buffer, weight=self.weight.astype(np.float16))
        return buffer.getvalue()


def rooted(features: Floats) -> Floats:
    """Square roots of the (never negative) features, of length 1: it evens out their heavy tails."""
    root = np.sqrt(np.maximum(features, 0))
    return np.asarray(root / np.maximum(np.linalg.norm(root, axis=1, keepdims=True), 1e-9), np.float32)
