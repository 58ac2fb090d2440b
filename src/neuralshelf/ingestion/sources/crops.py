"""Parts of pictures: a row may name one thing in a picture, and gets the crop that `detect` would have made of it.

images/street.jpg#box=0.5,0.7,0.2,0.3      centre and size, in shares of the picture's width and height
"""

from dataclasses import dataclass

from neuralshelf.ingestion.admission import Refused, turn
from neuralshelf.ingestion.sources.pictures import Picture, Pictures
from neuralshelf.model_packages.server import pictures

Box = tuple[float, float, float, float]
"""Centre x, centre y, width, height; 0 to 1, of the picture's width and height."""

BOX = "#box="
_NUMBERS = 4


@dataclass(frozen=True)
class Crop:
    """What is in a box of a picture, its longer side 400 pixels, the background kept."""

    picture: Picture
    box: Box

    @property
    def name(self) -> str:
        """See `Picture`."""
        return crop_name(self.picture.name, self.box)

    def read(self, limit: int) -> bytes:
        """See `Picture`; the limit is of the whole picture."""
        return cropped(self.picture.read(limit), self.box, self.picture.name)


def named(source: Pictures, name: str) -> Picture:
    """The picture, or the part of one, that a row calls `name`; nothing is opened yet.

    Raises:
        ValueError: no such name may be used, or what stands behind `#box=` is no box.
    """
    path, box = split(name)
    picture = source.picture(path)
    return picture if box is None else Crop(picture, box)


def split(name: str) -> tuple[str, Box | None]:
    """A name as a picture's own and the box behind it.

    Raises:
        ValueError: that is no box.
    """
    path, mark, numbers = name.rpartition(BOX)
    return (path, parse_box(numbers)) if mark else (name, None)


def parse_box(text: str) -> Box:
    """`0.5,0.7,0.2,0.3` as a box.

    Raises:
        ValueError: it is none.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != _NUMBERS or not all(0 <= n <= 1 for n in numbers) or not (numbers[2] and numbers[3]):
        raise ValueError(
            f"box {text[:80]!a} is none: centre and size in shares of the picture, such as 0.5,0.5,0.4,0.3"
        )
    x, y, width, height = numbers
    return x, y, width, height


def crop_name(path: str, box: Box) -> str:
    """How a row calls that part of a picture; digits enough for the same pixels."""
    return path + BOX + ",".join(f"{part:.7g}" for part in box)


def cropped(data: bytes, box: Box, name: str) -> bytes:
    """A file of what is in the box of a picture's file, JPEG or PNG as that; the pixels are those of `detect`.

    Args:
        name: begins the text of a refusal.

    Raises:
        Refused: with a PictureCode, as `admission.admit`.
    """
    import numpy as np  # here, as in server.pictures

    from neuralshelf.model_packages.grounding_dino.contract import PICTURES, crop_file, file_type_of

    limits = pictures.PictureLimits(keep_pixels=PICTURES.keep_pixels)
    try:
        with pictures.opened(data, limits) as image, turn(image, data, limits):
            pixels = np.asarray(pictures.upright(image, limits))
    except pictures.PictureError as fault:
        raise Refused(str(fault.code), f"{name}: {fault.message}") from None
    return crop_file(pixels, box, file_type_of(data))
