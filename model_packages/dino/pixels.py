"""Pixels as a DINO transformer wants them; training and serving look at pictures through this one function."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MEAN = np.asarray([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.asarray([0.229, 0.224, 0.225], np.float32)
"""Of ImageNet's pictures, red, green and blue, in 0 to 1; what DINO was trained with (facebookresearch/dino)."""


@dataclass(frozen=True)
class Recipe:
    """recipe.json. `size`: width and height that pictures are resized to, in pixels; proportions are not kept."""

    size: int = 648


def look(image: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """A picture, uint8 (height, width, 3), resized (bicubic) and normalised: float32 (3, size, size)."""
    resized = Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC)
    return normalised(np.asarray(resized))


def normalised(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 (height, width, 3) to float32 (3, height, width)."""
    return np.ascontiguousarray(((image / np.float32(255) - MEAN) / DEVIATION).transpose(2, 0, 1))
