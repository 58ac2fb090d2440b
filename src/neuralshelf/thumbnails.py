"""Small pictures inside a page that needs nothing else."""

import base64
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

THUMBNAIL = 144  # pixels of the longer side; shown at half that on dense screens
_QUALITY = 80

Picture = NDArray[np.uint8]
"""Shape (height, width, 3), RGB, upright."""


def thumbnail(picture: Picture, box: tuple[float, float, float, float] | None = None) -> str:
    """A data URI of the picture, small.

    Args:
        box: drawn into it: centre, width and height as parts of the picture's.
    """
    image = Image.fromarray(picture)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    if box is not None:
        (x, y, width, height), (w, h) = box, image.size
        corners = ((x - width / 2) * w, (y - height / 2) * h, (x + width / 2) * w - 1, (y + height / 2) * h - 1)
        draw = ImageDraw.Draw(image)
        draw.rectangle(corners, outline=(255, 255, 255), width=4)
        draw.rectangle(corners, outline=(75, 70, 229), width=2)
    file = BytesIO()
    image.save(file, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
