"""Anchors, boxes and what becomes of a network's answer; the real network is in tests/detector."""

import numpy as np
import pytest
from numpy.typing import NDArray

from neuralshelf.model_packages.detector import EVERYTHING
from neuralshelf.model_packages.detector.detector import MOST, SsdDetector, apart
from neuralshelf.model_packages.detector.ssd import Floats, Ssd, anchors, boxes, pixels
from neuralshelf.model_packages.detector.vocabulary import CLASSES, Embed, Vocabulary

PICTURE = np.zeros((10, 20, 3), np.uint8)


class Fixed:
    """A network that always sees the same: boxes, each with scores of some classes."""

    def __init__(self, *seen: tuple[tuple[float, float, float, float], dict[str, float]]) -> None:
        self.boxes = np.asarray([box for box, _ in seen], np.float32).reshape(-1, 4)
        self.scores = np.zeros((len(seen), 1 + len(CLASSES)), np.float32)
        for row, (_, scores) in enumerate(seen):
            for name, score in scores.items():
                self.scores[row, 1 + CLASSES.index(name)] = score
        self.asked = 0

    def run(self, image: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        self.asked += 1
        return self.boxes, self.scores


def no_texts() -> Embed:
    raise AssertionError("listed names need no text model")


def detector(network: Fixed) -> SsdDetector:
    return SsdDetector(network, Vocabulary(no_texts), "0" * 16)


LEFT, RIGHT = (0.25, 0.5, 0.4, 0.8), (0.75, 0.5, 0.4, 0.8)


def test_there_is_an_anchor_for_each_of_the_network_s_answers() -> None:
    made = anchors()
    assert made.shape == (19 * 19 * 3 + (10 * 10 + 5 * 5 + 3 * 3 + 2 * 2 + 1) * 6, 4) == (1917, 4)
    assert made[0] == pytest.approx((0.5 / 19, 0.5 / 19, 0.1, 0.1))
    assert made[1] == pytest.approx((0.5 / 19, 0.5 / 19, 0.2 * 2**0.5, 0.2 / 2**0.5))
    assert made[-1] == pytest.approx((0.5, 0.5, 0.95**0.5, 0.95**0.5))


def test_offsets_are_from_their_anchors() -> None:
    origin = np.asarray([[0.5, 0.25, 0.4, 0.2]], np.float32)
    assert boxes(np.zeros((1, 4), np.float32), origin) == pytest.approx(origin)
    moved = boxes(np.asarray([[10.0, -10.0, 5.0, -5.0]], np.float32), origin)
    assert moved == pytest.approx(np.asarray([[0.5 - 0.4, 0.25 + 0.2, 0.4 / np.e, 0.2 * np.e]]), rel=1e-5)


def test_pixels_are_stretched_to_a_square_between_minus_and_plus_one() -> None:
    white, black = np.full((4, 9, 3), 255, np.uint8), np.zeros((700, 3, 3), np.uint8)
    assert pixels(white).shape == (300, 300, 3)
    assert (pixels(white) == 1).all()
    assert (pixels(black) == -1).all()


def test_of_boxes_on_one_object_the_best_is_kept() -> None:
    seen = np.asarray([LEFT, (0.26, 0.5, 0.4, 0.8), RIGHT, (0.75, 0.5, 0.1, 0.1)], np.float32)
    kept = apart(seen, np.asarray([0.6, 0.9, 0.5, 0.4], np.float32), 0.3)
    assert [row for row, _ in kept] == [1, 2, 3]


def test_a_score_has_to_be_above_the_threshold() -> None:
    seen, scores = np.asarray([LEFT, RIGHT], np.float32), np.asarray([0.5, 0.25], np.float32)
    assert [row for row, _ in apart(seen, scores, 0.25)] == [0]
    assert apart(seen, scores, 1.0) == []
    assert len(apart(seen, scores, 0.0)) == 2


def test_boxes_end_at_the_edge_of_the_picture() -> None:
    ((_, box),) = apart(np.asarray([(0.1, 0.9, 0.4, 0.4)], np.float32), np.ones(1, np.float32), 0.3)
    assert box == pytest.approx((0.15, 0.85, 0.3, 0.3))
    outside = np.asarray([(-0.5, 0.5, 0.2, 0.2)], np.float32)
    assert apart(outside, np.ones(1, np.float32), 0.3) == []


def test_there_is_a_limit_to_objects() -> None:
    places = [((i % 20 + 0.5) / 20, (i // 20 + 0.5) / 20, 0.05, 0.05) for i in range(200)]
    assert len(apart(np.asarray(places, np.float32), np.ones(200, np.float32), 0.5)) == MOST


def test_an_object_bears_the_words_of_the_prompt() -> None:
    found = detector(Fixed((LEFT, {"footwear": 0.8}), (RIGHT, {"bottle": 0.5}))).detect(
        PICTURE, "Sneakers . a water bottle", 0.3, 0.25
    )
    assert [(one.phrase, round(one.score, 2)) for one in found] == [("sneakers", 0.8), ("a water bottle", 0.5)]
    assert found[0].box == pytest.approx(LEFT)


def test_what_was_not_asked_for_is_not_found() -> None:
    assert detector(Fixed((LEFT, {"dog": 0.9}))).detect(PICTURE, "shoes", 0.3, 0.25) == []


def test_who_asks_for_shoes_gets_boots_and_who_asks_for_boots_gets_no_shoes() -> None:
    network = Fixed((LEFT, {"boot": 0.8}), (RIGHT, {"footwear": 0.7}))
    assert [one.phrase for one in detector(network).detect(PICTURE, "shoes", 0.3, 0.25)] == ["shoes", "shoes"]
    assert [one.phrase for one in detector(network).detect(PICTURE, "boots", 0.3, 0.25)] == ["boots"]
    assert [one.phrase for one in detector(network).detect(PICTURE, "shoes . boots", 0.3, 0.25)] == ["boots", "shoes"]


def test_one_object_of_two_phrases_is_found_once() -> None:
    found = detector(Fixed((LEFT, {"mug": 0.8}), (LEFT, {"coffee cup": 0.6}))).detect(PICTURE, "cup . mug", 0.3, 0.25)
    assert [one.phrase for one in found] == ["mug"]


def test_everything_names_every_class() -> None:
    side = 1 / len(CLASSES)
    network = Fixed(*((((place + 0.5) * side, 0.5, side, 1.0), {name: 0.9}) for place, name in enumerate(CLASSES)))
    assert {one.phrase for one in detector(network).detect(PICTURE, EVERYTHING, 0.3, 1.0)} == set(CLASSES)


def test_a_file_of_another_network_is_refused() -> None:
    with pytest.raises(ValueError, match=r"flatbuffer|model"):
        Ssd(b"TFL3" * 100)
