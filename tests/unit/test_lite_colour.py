"""Named colours of the foreground, on drawn pictures and on the sample catalogue."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from neuralshelf.model_packages.lite import colour

SAMPLES = Path(__file__).parents[2] / "samples"
PAINT = {
    "black": (18, 18, 20), "white": (250, 250, 250), "gray": (128, 128, 130), "red": (200, 24, 30),
    "orange": (245, 130, 20), "yellow": (250, 215, 30), "green": (30, 140, 60), "blue": (25, 70, 190),
    "purple": (110, 40, 160), "pink": (250, 150, 190), "brown": (110, 65, 30),
}  # fmt: skip


def disc(paint: tuple[int, int, int], backdrop: tuple[int, int, int]) -> np.ndarray:
    picture = Image.new("RGB", (colour.SIDE, colour.SIDE), backdrop)
    ImageDraw.Draw(picture).ellipse((28, 28, 84, 84), fill=paint)
    return np.asarray(picture)


@pytest.mark.parametrize("name", colour.NAMES)
def test_a_painted_disc_has_the_colour_of_its_paint(name: str) -> None:
    backdrop = (195, 200, 207) if name in ("white", "gray") else (244, 244, 244)
    shares = colour.histogram(disc(PAINT[name], backdrop))
    assert shares.shape == (len(colour.NAMES),)
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    assert colour.NAMES[int(shares.argmax())] == name
    assert shares.max() > 0.9


@pytest.mark.parametrize("name", ["red", "black", "blue"])
def test_a_highlight_does_not_make_a_thing_white(name: str) -> None:
    pixels = disc(PAINT[name], (244, 244, 244)).copy()
    pixels[38:60, 40:62] = 255
    assert colour.NAMES[int(colour.histogram(pixels).argmax())] == name


def test_a_picture_of_one_colour_is_that_colour() -> None:
    shares = colour.histogram(np.full((colour.SIDE, colour.SIDE, 3), PAINT["green"], np.uint8))
    assert colour.NAMES[int(shares.argmax())] == "green"
    assert shares.sum() == pytest.approx(1, abs=1e-5)


def test_the_main_colour_of_most_sample_products_is_the_one_they_are_sold_as() -> None:
    items = [json.loads(line) for line in (SAMPLES / "catalogue.jsonl").read_text(encoding="utf-8").splitlines()]
    right = 0
    for item in items[::4]:
        picture = Image.open(SAMPLES / item["image"]).convert("RGB")
        small = np.asarray(picture.resize((colour.SIDE, colour.SIDE), Image.Resampling.BOX))
        right += colour.NAMES[int(colour.histogram(small).argmax())] == item["colour"]
    assert right / len(items[::4]) >= 0.8
