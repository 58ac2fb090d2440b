"""The visual block of a picture's vector: a matrix on the network's features, random as shipped, or trained.

Only picture-to-picture search feels it: a text's vector is 0 there, so what texts find never changes.
"""

import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from neuralshelf.model_packages.lite.network import FEATURES

WIDTH = 640

Floats = NDArray[np.float32]


class VisualError(Exception):
    """A file is no visual block; the message is one line with the next step."""


@dataclass(frozen=True, eq=False)
class Visual:
    """`weight` is float32 (1280, 640). Vectors of 1024 dimensions take all columns, those of 512 the first 128."""

    weight: Floats

    @classmethod
    def load(cls, path: Path) -> Self:
        """What `save` wrote.

        Raises:
            VisualError: the file can't be read or holds something else.
        """
        try:
            with np.load(BytesIO(path.read_bytes())) as stored:
                weight = np.asarray(stored["weight"], np.float32)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, EOFError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not made by lite.finetune"
            raise VisualError(f"{path}: {reason}; {_NEXT}") from None
        if weight.shape != (FEATURES, WIDTH) or not np.isfinite(weight).all():
            raise VisualError(f"{path}: weight is no finite ({FEATURES}, {WIDTH}) matrix; {_NEXT}")
        return cls(weight)

    def save(self) -> bytes:
        """The content of the file that `load` reads: float16, the same bytes for the same weight."""
        buffer = BytesIO()
        np.savez(buffer, weight=self.weight.astype(np.float16))
        return buffer.getvalue()

    @classmethod
    def sorted_by_weight(cls, matrix: Floats, inputs: Floats) -> Self:
        """`matrix` turned so that its first columns carry most of the outputs for `inputs`; no cosine changes.

        Args:
            matrix: (1280, 640).
            inputs: (n, 1280), see `centred`.
        """
        outputs = inputs.astype(np.float64) @ matrix
        outputs /= np.maximum(np.linalg.norm(outputs, axis=1, keepdims=True), 1e-9)
        _, axes = np.linalg.eigh(outputs.T @ outputs)
        return cls((matrix @ axes[:, ::-1]).astype(np.float32))


_NEXT = "make one with python -m neuralshelf.model_packages.lite.finetune"


def centred(features: Floats) -> Floats:
    """What the block is applied to: features (n, 1280) less their mean, of length 1."""
    off = features - features.mean(1, keepdims=True)
    return np.asarray(off / np.maximum(np.linalg.norm(off, axis=1, keepdims=True), 1e-9), np.float32)
