"""What the real network finds in pictures whose content is known, and that it does not guess."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuralshelf.model_packages.detector import EVERYTHING, SsdDetector
from neuralshelf.model_packages.detector.evaluate import outline, overlap
from neuralshelf.model_packages.detector.weights import FILE
from neuralshelf.model_packages.grounding_dino.contract import Box
from tests.detector.conftest import sample

IOU = 0.7


@pytest.mark.parametrize(
    ("name", "prompt"),
    [
        ("chair-00", "chairs"),
        ("rocking-chair-03", "a rocking chair"),
        ("coffee-mug-00", "a big mug"),
        ("water-bottle-02", "hats . bottle . shoes"),
        ("dining-table-00", "table"),
    ],
)
def test_a_sample_is_found_where_it_is(detector: SsdDetector, name: str, prompt: str) -> None:
    image = sample(name)
    found = detector.detect(image, prompt, 0.3, 0.25)
    assert len(found) == 1
    assert overlap(found[0].box, outline(image)) >= IOU
    assert found[0].phrase in prompt
    assert 0.3 < found[0].score < 1


def scene() -> tuple[np.ndarray[tuple[int, int, int], np.dtype[np.uint8]], Box, Box]:
    """A chair on the left and a mug at the bottom right, with the boxes around them."""
    chair, mug = sample("chair-00"), sample("coffee-mug-00")
    canvas = Image.new("RGB", (640, 400), (215, 215, 215))
    canvas.paste(Image.fromarray(chair).resize((320, 320)), (10, 40))
    canvas.paste(Image.fromarray(mug).resize((240, 240)), (380, 140))
    return np.asarray(canvas), _placed(outline(chair), 10, 40, 320), _placed(outline(mug), 380, 140, 240)


def _placed(box: Box, left: int, top: int, side: int) -> Box:
    x, y, width, height = (part * side for part in box)
    return (left + x) / 640, (top + y) / 400, width / 640, height / 400


def test_two_products_are_two_boxes(detector: SsdDetector) -> None:
    image, chair, mug = scene()
    found = {one.phrase: one.box for one in detector.detect(image, "chair . mug", 0.3, 0.25)}
    assert set(found) == {"chair", "mug"}
    assert overlap(found["chair"], chair) >= IOU
    assert overlap(found["mug"], mug) >= IOU


def test_only_what_was_asked_for_is_found(detector: SsdDetector) -> None:
    image, chair, _ = scene()
    (only,) = detector.detect(image, "chair", 0.3, 0.25)
    assert overlap(only.box, chair) >= IOU


@pytest.mark.parametrize("prompt", ["hats", "clothes . pants", "acoustic guitar", "xyzzy", "mouse pad"])
@pytest.mark.parametrize("name", ["chair-00", "coffee-mug-00", "acoustic-guitar-00"])
def test_an_unknown_prompt_has_no_box(detector: SsdDetector, name: str, prompt: str) -> None:
    assert detector.detect(sample(name), prompt, 0.0, 0.25) == []


def test_an_empty_picture_has_no_box(detector: SsdDetector) -> None:
    assert detector.detect(np.full((200, 300, 3), 230, np.uint8), EVERYTHING, 0.3, 0.25) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
def test_pictures_of_any_shape_are_taken(detector: SsdDetector, size: tuple[int, int]) -> None:
    detector.detect(np.zeros((*size, 3), np.uint8), EVERYTHING, 0.3, 0.25)


def test_the_same_picture_is_answered_the_same(detector: SsdDetector) -> None:
    image, *_ = scene()
    assert detector.detect(image, EVERYTHING, 0.3, 0.25) == detector.detect(image, EVERYTHING, 0.3, 0.25)


def test_what_is_in_the_cache_needs_neither_npm_nor_network(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    again = SsdDetector.load(cache / "detector")
    assert len(again.fingerprint) == 16
    assert (cache / "detector" / FILE).stat().st_mode & 0o777 == 0o644
