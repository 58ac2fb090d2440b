"""The real detector; its network is in the cache of this machine, or fetched into it once."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from neuralshelf.model_packages.detector import SsdDetector, WeightsError
from neuralshelf.settings import Folders

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def cache() -> Path:
    """The cache folder, with the network's file in it."""
    folder = Folders.default(ROOT).cache
    try:
        SsdDetector.load(folder / "detector")
    except WeightsError as fault:
        pytest.skip(str(fault))
    return folder


@pytest.fixture(scope="session")
def detector(cache: Path) -> SsdDetector:
    return SsdDetector.load(cache / "detector")


def sample(name: str) -> NDArray[np.uint8]:
    """A picture of the sample catalogue."""
    with Image.open(ROOT / "samples" / "images" / f"{name}.jpg") as image:
        return np.asarray(image.convert("RGB"))
