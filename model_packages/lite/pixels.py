"""A picture of any size to what the network and the colour histogram look at."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neuralshelf.model_packages.lite.colour import SIDE as COLOUR_SIDE
from neuralshelf.model_packages.lite.network import SIDE

_SHORT = 256
_MEAN, _SCALE = np.float32(127), np.float32(128)


@dataclass(frozen=True, eq=False)
class Looks:
    """Two views of one picture.

    Attributes:
        network: float32 (3, 224, 224), the centre, scaled as the network was trained.
        colour: uint8 (112, 112, 3), the whole picture.
    """

    network: NDArray[np.float32]
    colour: NDArray[np.uint8]


def look(image: NDArray[np.uint8]) -> Looks:
    """Bicubic to a short side of 256, centre crop of 224; and the whole picture in small.

    Args:
        image: uint8 (height, width, 3), RGB.
    """
    picture = Image.fromarray(image)
    width, height = picture.size
    # one resampling does both: the box is what the crop of the scaled picture shows
    side = min(width, height) * SIDE / _SHORT
    left, top = (width - side) / 2, (height - side) / 2
    crop = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
    network = (np.asarray(crop, np.float32) - _MEAN) / _SCALE
    small = picture.resize((COLOUR_SIDE, COLOUR_SIDE), Image.Resampling.BOX)
    return Looks(np.ascontiguousarray(network.transpose(2, 0, 1)), np.asarray(small))
