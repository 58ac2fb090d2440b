"""Pictures of products: which there are, and how they are looked at in training.

A file has a JSON object a line, `{"id": product, "image": path beside the file}`; other keys are not read, so that a
catalogue will do. Several lines may show one product.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from neuralshelf.model_packages.dino.contract import PICTURES
from neuralshelf.model_packages.dino.pixels import normalised
from neuralshelf.model_packages.server.pictures import PictureError, decode

AREA = (0.4, 1.0)
"""Share of the picture that a random crop keeps."""

RATIO = (3 / 4, 4 / 3)
TRIES = 10
JITTER = 0.3
"""Brightness, contrast and saturation are changed by up to this share. Never the hue: a product's colour is its own."""

T = TypeVar("T")
U = TypeVar("U")


class TrainingError(Exception):
    """Training can't go on; the message is one line with the next step."""


@dataclass(frozen=True)
class View:
    """One picture of a product."""

    product: str
    path: Path

    def image(self) -> NDArray[np.uint8]:
        """uint8 (height, width, 3), RGB, upright, reduced as everywhere.

        Raises:
            TrainingError: the file can't be read, or is no picture that is taken.
        """
        try:
            return decode(self.path.read_bytes(), PICTURES)
        except OSError as error:
            raise TrainingError(f"{self.path}: {error.strerror}; correct its line or leave it out") from None
        except PictureError as error:
            raise TrainingError(f"{self.path}: {error.code}: {error.message}; leave it out") from None


def read(file: Path) -> list[View]:
    """The views of a file, in its order.

    Raises:
        TrainingError: the file can't be read, or a line is no JSON object with `id` and `image`.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"{file}: can't be read ({type(error).__name__}); name a file of JSON lines") from None
    views = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            product, image = row["id"], row["image"]
        except (ValueError, TypeError, KeyError):
            product = image = None
        if not isinstance(product, str) or not isinstance(image, str):
            raise TrainingError(f"{file}:{number}: no JSON object with texts `id` and `image`; correct the line")
        views.append(View(product, file.parent / image))
    return views


def augmented(image: NDArray[np.uint8], size: int, chance: np.random.Generator) -> NDArray[np.float32]:
    """A random crop of a picture, perhaps mirrored, its light changed: normalised float32 (3, size, size)."""
    picture = Image.fromarray(image)
    box = _crop(picture.width, picture.height, chance)
    picture = picture.resize((size, size), Image.Resampling.BICUBIC, box=box)
    if chance.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    changes = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for place in chance.permutation(len(changes)):
        picture = changes[place](picture).enhance(1 + chance.uniform(-JITTER, JITTER))
    return normalised(np.asarray(picture))


def _crop(width: int, height: int, chance: np.random.Generator) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a part with random area and proportions; all of it, if none of ten fits in."""
    for _ in range(TRIES):
        area = chance.uniform(*AREA) * width * height
        ratio = math.exp(chance.uniform(math.log(RATIO[0]), math.log(RATIO[1])))
        across, down = math.sqrt(area * ratio), math.sqrt(area / ratio)
        if across <= width and down <= height:
            left, top = chance.uniform(0, width - across), chance.uniform(0, height - down)
            return left, top, left + across, top + down
    return 0, 0, width, height


def order(count: int, batch: int, seed: int, step: int) -> list[int]:
    """Places of the pictures of a step: every epoch shuffled anew, the last batch of an epoch may be smaller.

    It depends on the numbers only, so that a run that goes on takes the same pictures.
    """
    epoch, place = divmod(step, math.ceil(count / batch))
    shuffled = np.random.default_rng((seed, epoch)).permutation(count)
    return [int(number) for number in shuffled[place * batch : (place + 1) * batch]]


def ahead(load: Callable[[T], U], batches: Iterator[Sequence[T]], workers: int) -> Iterator[list[U]]:
    """Each batch loaded in threads, the next one while this one is in use."""
    with ThreadPoolExecutor(workers) as pool:
        coming = [pool.submit(load, item) for item in next(batches, ())]
        while coming:
            ready = [item.result() for item in coming]
            coming = [pool.submit(load, item) for item in next(batches, ())]
            yield ready
