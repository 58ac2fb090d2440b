"""Pictures to unit vectors: the CLS token of a vision transformer (Caron et al., DINO, 2021, arXiv:2104.14294)."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from neuralshelf.model_packages import recipe
from neuralshelf.model_packages.dino import weights
from neuralshelf.model_packages.dino.pixels import Recipe, look
from neuralshelf.model_packages.encoder import Sample

if TYPE_CHECKING:
    import torch
    from transformers import ViTModel

RECIPE = "dino-1"
AT_ONCE = 16
"""Pictures in one run: at 648 pixels a ViT-B/16 holds some 20 MB of states for each."""


class DinoEncoder:
    """The `dino` model. It takes pictures only; its size is the transformer's: 384 for ViT-S, 768 for ViT-B."""

    name = "dino"

    def __init__(self, model: "ViTModel", size: int, fingerprint: str) -> None:
        """`size`: pixels pictures are resized to, in width and height."""
        self._model = model
        self._size = size
        self.fingerprint = fingerprint
        self.default_dimension = int(model.config.hidden_size)
        self.dimensions = (self.default_dimension,)

    @classmethod
    def load(cls, folder: Path, device: str | None = None) -> Self:
        """The model of a folder, see `weights`, on a GPU where there is one.

        Args:
            device: as torch names it, "cpu" or "cuda".

        Raises:
            FileNotFoundError: weights or config.json are missing.
            ValueError: config.json, recipe.json or the weights don't fit.
        """
        import torch

        size = recipe.read(folder, Recipe).size
        model = weights.load(folder).to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        return cls(model, size, weights.fingerprint(folder, f"{RECIPE} {size}"))

    def encode(self, samples: Sequence[Sample], dimension: int | None = None) -> NDArray[np.float32]:
        """See Encoder.encode; texts are refused."""
        if dimension not in (None, self.default_dimension):
            raise ValueError(f"dino gives {self.default_dimension} dimensions, not {dimension}")
        images = [sample.image for sample in samples if sample.text is None and sample.image is not None]
        if len(images) < len(samples):
            raise ValueError("dino takes pictures only")
        runs = [self._run(images[first : first + AT_ONCE]) for first in range(0, len(images), AT_ONCE)]
        return np.concatenate([np.empty((0, self.default_dimension), np.float32), *runs])

    def count_tokens(self, text: str) -> int:
        """See Encoder.count_tokens; no text is taken."""
        return 0

    def _run(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        import torch

        pixels = torch.from_numpy(np.stack([look(image, self._size) for image in images]))
        with torch.inference_mode():
            vectors = cls_vectors(self._model, pixels.to(self._model.device))
            unit = torch.nn.functional.normalize(vectors, dim=1)
        return np.asarray(unit.cpu().numpy(), np.float32)


def cls_vectors(model: "ViTModel", pixels: "torch.Tensor") -> "torch.Tensor":
    """The CLS token behind the last layer norm, float32 (n, hidden size), of pixels (n, 3, side, side).

    Position encodings are interpolated to the number of patches that fit in; what is left over at the right and the
    bottom edge (8 pixels of 648, with patches of 16) is not seen.
    """
    return model(pixel_values=pixels, interpolate_pos_encoding=True).last_hidden_state[:, 0]
