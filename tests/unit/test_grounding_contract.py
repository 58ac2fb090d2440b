"""The contract of detection: what is read, cropped and answered; a list of detections stands in for a model."""

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from neuralshelf.model_packages.grounding_dino import contract
from neuralshelf.model_packages.grounding_dino.contract import (
    Box,
    Detection,
    Request,
    answer,
    crop,
    read,
    respond,
    terms,
)
from neuralshelf.model_packages.server.refusals import InputRefused
from tests import awkward


def picture(width: int = 100, height: int = 50) -> NDArray[np.uint8]:
    """Each pixel says where it is: red is its column, green its row."""
    rows, columns = np.mgrid[:height, :width]
    return np.dstack([columns, rows, np.zeros_like(rows)]).astype(np.uint8)


def png(width: int = 100, height: int = 50, fmt: str = "PNG") -> str:
    return base64.b64encode(awkward.encoded(Image.fromarray(picture(width, height)), fmt)).decode()


def asked(**fields: Any) -> Request:
    return read(json.dumps({"inputImage": png(), **fields}).encode())


def refusal(body: object) -> str:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(InputRefused) as caught:
        read(sent)
    return caught.value.message


def opened(body: dict[str, object]) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(str(body["crop"]))))


class Listed:
    """A detector that finds what it was given, and counts how often it was asked."""

    def __init__(self, *found: Detection) -> None:
        self.found = list(found)
        self.asked: list[tuple[tuple[int, ...], str, float, float]] = []

    def detect(
        self, image: NDArray[np.uint8], prompt: str, box_threshold: float, text_threshold: float
    ) -> list[Detection]:
        self.asked.append((image.shape, prompt, box_threshold, text_threshold))
        return self.found


HAT = Detection((0.5, 0.5, 0.2, 0.4), 0.6, "hats")
SHOE = Detection((0.25, 0.5, 0.5, 1.0), 0.9, "shoes")


def test_defaults_are_those_of_the_demo() -> None:
    request = asked()
    assert request.prompt == "clothes . pants . hats . shoes"
    assert (request.box_threshold, request.text_threshold, request.box) == (0.3, 0.25, None)
    assert request.image.shape == (50, 100, 3)
    assert np.array_equal(request.image, picture())


def test_what_is_sent_is_what_is_looked_for() -> None:
    detector = Listed()
    request = asked(prompt="Red Hats", boxThreshold=0, textThreshold=1)
    with pytest.raises(InputRefused):
        respond(request, detector)
    assert detector.asked == [((50, 100, 3), "Red Hats", 0.0, 1.0)]


def test_null_is_as_good_as_absent() -> None:
    request = asked(prompt=None, box=None, boxThreshold=None, textThreshold=None)
    assert (request.prompt, request.box, request.box_threshold) == (contract.PROMPT, None, 0.3)


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        ("clothes . pants . hats . shoes", ["clothes", "pants", "hats", "shoes"]),
        ("  A  Red\tHat.", ["a red hat"]),
        ("…", ["…"]),
        ("a..b", ["a", "b"]),
    ],
)
def test_terms(prompt: str, named: list[str]) -> None:
    assert terms(prompt) == named


BAD: dict[str, tuple[object, str]] = {
    "no JSON": (b"{", "not valid JSON"),
    "not UTF-8": (b'{"prompt": "\xff"}', "not valid JSON"),
    "a list": ([], "expected type: JSONObject, found: JSONArray"),
    "null": (None, "expected type: JSONObject, found: Null"),
    "an unknown key": ({"inputImage": "", "image": ""}, "extraneous key is not permitted"),
    "a repeated key": (b'{"prompt": "a", "prompt": "b"}', "duplicate key"),
    "no picture": ({}, "either key [inputImage] or keys [bucket] and [file_name]"),
    "two pictures": ({"inputImage": "AA==", "bucket": "b", "file_name": "f"}, "either key [inputImage]"),
    "half an object": ({"bucket": "b"}, "required key [file_name] not found"),
    "the other half": ({"file_name": "f"}, "required key [bucket] not found"),
    "a number for a bucket": ({"bucket": 1, "file_name": "f"}, "#/bucket: expected type: String, found: Integer"),
    "an empty key": ({"bucket": "b", "file_name": ""}, "#/file_name: expected minLength: 1"),
    "a bucket that is not listed": ({"bucket": "b", "file_name": "f"}, "#/bucket: BucketNotAllowed"),
    "a URL for a picture": ({"inputImage": "https://example.com/a.jpg"}, "#/inputImage: UrlNotFetched"),
    "a number for a picture": ({"inputImage": 5}, "#/inputImage: expected type: String, found: Integer"),
    "a data URL": ({"inputImage": "data:image/png;base64,AAAA"}, "#/inputImage: InvalidBase64"),
    "no bytes": ({"inputImage": ""}, "#/inputImage: expected minLength: 1, actual: 0"),
    "an empty prompt": ({"prompt": ""}, "#/prompt: names nothing"),
    "stops only": ({"prompt": " . . "}, "#/prompt: names nothing"),
    "a list of prompts": ({"prompt": ["hats"]}, "#/prompt: expected type: String, found: JSONArray"),
    "a long prompt": ({"prompt": "a" * 1001}, "#/prompt: expected maxLength: 1000, actual: 1001"),
    "a text for a threshold": ({"boxThreshold": "0.3"}, "#/boxThreshold: expected type: Number, found: String"),
    "true for a threshold": ({"textThreshold": True}, "#/textThreshold: expected type: Number, found: Boolean"),
    "a threshold above 1": ({"boxThreshold": 30}, "#/boxThreshold: expected a number from 0 to 1"),
    "a threshold below 0": ({"textThreshold": -0.1}, "#/textThreshold: expected a number from 0 to 1"),
    "an endless threshold": (b'{"boxThreshold": 1e999}', "#/boxThreshold: expected a number from 0 to 1"),
    "NaN": (b'{"boxThreshold": NaN}', "NaN is not JSON"),
    "a box of three": ({"box": [0.1, 0.2, 0.3]}, "#/box: expected 4 numbers, found: 3"),
    "a box by name": ({"box": {"cx": 0}}, "#/box: expected type: JSONArray, found: JSONObject"),
    "a box in pixels": ({"box": [10, 20, 30, 40]}, "#/box/0: expected a number from 0 to 1"),
    "a box of texts": ({"box": ["0", 0, 1, 1]}, "#/box/0: expected type: Number, found: String"),
    "a box of nulls": ({"box": [None, 0, 1, 1]}, "#/box/0: expected type: Number, found: Null"),
    "a flat box": ({"box": [0.5, 0.5, 0.5, 0]}, "width and height must be above 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_requests_say_what_is_wrong(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALLOWED_BUCKETS", raising=False)
    body, said = BAD[name]
    message = refusal(body)
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize("name", awkward.SMALL)
def test_pictures_are_read_or_refused_as_everywhere(name: str) -> None:
    sent = awkward.SMALL[name]
    body = {"inputImage": base64.b64encode(sent.make()).decode()}
    if sent.refused == "EmptyPicture":
        assert "#/inputImage: expected minLength: 1, actual: 0" in refusal(body)
    elif sent.refused:
        assert f"#/inputImage: {sent.refused}: " in refusal(body)
    else:
        request = read(json.dumps(body).encode())
        assert request.image.dtype == np.uint8
        assert request.image.ndim == 3


@pytest.mark.parametrize(("sent", "kept"), [("JPEG", "jpeg"), ("PNG", "png"), ("WEBP", "png"), ("GIF", "png")])
def test_a_crop_is_written_as_its_picture_came(sent: str, kept: str) -> None:
    body = answer(asked(inputImage=png(fmt=sent)), [HAT])
    assert body["fileType"] == kept
    assert (opened(body).format or "").lower() == kept


def test_nothing_found_is_an_error_with_a_code() -> None:
    with pytest.raises(InputRefused, match=r"^400 Bad Request: NoObjectFound: "):
        answer(asked(), [])


def test_one_is_cropped() -> None:
    body = answer(asked(), [HAT])
    assert {name: body[name] for name in body if name != "crop"} == {
        "fileType": "png",
        "box": [0.5, 0.5, 0.2, 0.4],
        "score": 0.6,
        "phrase": "hats",
    }
    assert opened(body).size == (400, 400)  # 20 x 20 pixels of 100 x 50


def test_several_are_left_to_choose_from_best_first() -> None:
    assert answer(asked(), [HAT, SHOE]) == {
        "boxes": [list(SHOE.box), list(HAT.box)],
        "scores": [0.9, 0.6],
        "phrases": ["shoes", "hats"],
        "fileType": "png",
    }


def test_a_chosen_box_is_cropped_without_looking_again() -> None:
    detector = Listed(HAT, SHOE)
    choice = respond(asked(), detector)
    boxes = choice["boxes"]
    assert isinstance(boxes, list)
    body = respond(asked(box=boxes[1]), detector)
    assert len(detector.asked) == 1
    found = answer(asked(), [HAT])
    assert body == {name: found[name] for name in ("crop", "fileType", "box")}


@pytest.mark.parametrize(
    ("box", "columns", "rows"),
    [
        ((0.5, 0.5, 0.2, 0.4), (40, 59), (15, 34)),
        ((0.505, 0.5, 0.2, 0.4), (40, 60), (15, 34)),  # half a pixel to the right: outwards on both sides
        ((0.15, 0.5, 0.1, 1.0), (10, 19), (0, 49)),  # (0.15 - 0.05) * 100 is a little below 10
        ((0.0, 0.0, 0.2, 0.4), (0, 9), (0, 9)),  # ends where the picture does
        ((1.0, 1.0, 1.0, 1.0), (50, 99), (25, 49)),
        ((0.5, 0.5, 1e-9, 1e-9), (50, 50), (25, 25)),
        ((1.0, 1.0, 1e-9, 1e-9), (99, 99), (49, 49)),
    ],
)
def test_edges_are_rounded_outwards(box: Box, columns: tuple[int, int], rows: tuple[int, int]) -> None:
    width, height = columns[1] - columns[0] + 1, rows[1] - rows[0] + 1
    part = crop(picture(), box, longer_side=max(width, height))  # as it is, so that each pixel still says where it was
    assert part.shape == (height, width, 3)
    assert np.array_equal(part, picture()[rows[0] : rows[1] + 1, columns[0] : columns[1] + 1])


def test_scale_widens_about_the_centre() -> None:
    part = crop(picture(), (0.5, 0.5, 0.2, 0.4), scale=1.5, longer_side=30)
    assert np.array_equal(part, picture()[10:40, 35:65])
    body = answer(asked(), [HAT], 1.5, 30)
    assert body["box"] == list(HAT.box)
    assert np.array_equal(np.asarray(opened(body)), part)


@pytest.mark.parametrize(
    ("box", "size"),
    [
        ((0.5, 0.5, 1.0, 1.0), (400, 200)),
        ((0.5, 0.5, 0.2, 1.0), (160, 400)),
        ((0.5, 0.51, 1.0, 0.02), (400, 4)),
        ((0.505, 0.5, 0.01, 1.0), (8, 400)),
    ],
)
def test_the_longer_side_has_400_pixels(box: Box, size: tuple[int, int]) -> None:
    assert crop(picture(), box).shape == (size[1], size[0], 3)


def test_the_crop_is_bicubic_and_keeps_the_background() -> None:
    whole = Image.fromarray(picture())
    wanted = whole.crop((40, 15, 60, 35)).resize((400, 400), Image.Resampling.BICUBIC)
    assert np.array_equal(crop(picture(), HAT.box), np.asarray(wanted))


shares = st.floats(0, 1)
lengths = st.floats(0, 1, exclude_min=True)


@given(st.tuples(shares, shares, lengths, lengths), st.integers(1, 90), st.integers(1, 90), st.floats(0.1, 4))
def test_any_box_gives_a_crop_of_the_picture(box: Box, width: int, height: int, scale: float) -> None:
    part = crop(picture(width, height), box, scale, 40)
    assert max(part.shape[:2]) == 40
    assert min(part.shape[:2]) >= 1


@given(st.integers(0, 99), st.integers(1, 100), st.integers(1, 4000))
def test_boxes_on_pixels_are_exact_in_float32(first: int, length: int, pixels: int) -> None:
    last = min(first + length, pixels)
    first = min(first, last - 1)
    box = np.asarray([(first + last) / 2 / pixels, 0.5, (last - first) / pixels, 1.0], np.float32)
    row = np.arange(pixels, dtype=np.uint32).view(np.uint8).reshape(1, pixels, 4)[:, :, :3]
    part = crop(np.ascontiguousarray(row), (float(box[0]), 0.5, float(box[2]), 1.0), longer_side=last - first)
    assert np.array_equal(part, row[:, first:last])
