"""The contract of detection, whatever detects: a picture and a prompt in, one crop or a choice of boxes out.

    {"inputImage": base64}  or  {"bucket", "file_name"}
    "prompt"                  things to look for, " . " between them; "clothes . pants . hats . shoes" without
    "box"                     [cx, cy, w, h]: what was chosen, to be cropped without looking again
    "boxThreshold"            0.3 without: boxes of a lower score are dropped
    "textThreshold"           0.25 without: words of a lower score are left out of a box's phrase

    nothing found             400, NoObjectFound
    one, or a box given       {"crop": base64, "fileType", "box", "score", "phrase"}; the last two only if found
    several                   {"boxes", "scores", "phrases", "fileType"}, best first

Boxes are centre and size, in shares of the picture's width and height. numpy and Pillow are all this needs.
"""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neuralshelf.model_packages import stored
from neuralshelf.model_packages.server.jsonbody import json_object, kind, malformed, parse
from neuralshelf.model_packages.server.limits import SAGEMAKER_MAX_BODY
from neuralshelf.model_packages.server.pictures import PictureLimits
from neuralshelf.model_packages.server.refusals import InputRefused

PROMPT = "clothes . pants . hats . shoes"
BOX_THRESHOLD = 0.3
TEXT_THRESHOLD = 0.25
MAX_PROMPT = 1000
"""Characters. A model's own limit, in tokens, may be lower."""

SCALE = 1.0
LONGER_SIDE = 400
NO_OBJECT = "NoObjectFound"

PICTURES = PictureLimits(max_bytes=SAGEMAKER_MAX_BODY, keep_pixels=2048 * 2048)
"""Four times what a vector needs: a small thing in a large picture is cropped out of it."""

_FIELDS = (stored.CARRIED, *stored.NAMED, "prompt", "box", "boxThreshold", "textThreshold")
_JPEG = b"\xff\xd8"
_NOISE = 1e-3
"""Pixels: what a box may overlap a pixel by before the pixel counts as touched; float32 is no better at 4,000."""

Box = tuple[float, float, float, float]
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Detection:
    """One object found.

    Attributes:
        box: centre x, centre y, width, height; 0 to 1, of the picture's width and height.
        score: 0 to 1.
        phrase: the words of the prompt it was found by; may be empty.
    """

    box: Box
    score: float
    phrase: str


class Detector(Protocol):
    """A model that finds things by name."""

    def detect(self, image: Picture, prompt: str, box_threshold: float, text_threshold: float) -> list[Detection]:
        """Objects of a score above `box_threshold`, in any order; none is an empty list.

        Args:
            image: uint8, shape (height, width, 3), RGB, upright.
            prompt: see `terms`.
            box_threshold: 0 to 1.
            text_threshold: 0 to 1.

        Raises:
            InputRefused: the prompt is longer than the model takes.
        """
        ...


@dataclass(frozen=True, eq=False)
class Request:
    """One request, understood.

    Attributes:
        image: as `Detector.detect` takes it.
        file_type: "jpeg" or "png": how a crop is written; as the picture came, png for other formats.
        box: what is to be cropped, or None to look for it.
    """

    image: Picture
    file_type: str
    prompt: str = PROMPT
    box: Box | None = None
    box_threshold: float = BOX_THRESHOLD
    text_threshold: float = TEXT_THRESHOLD


def read(body: bytes) -> Request:
    """A JSON body, its picture decoded.

    Raises:
        InputRefused: in the server's words, with its codes for pictures.
        ModelFailed: S3 failed, see `stored.read`.
    """
    fields = json_object(parse(body), "#", _FIELDS)
    prompt, box = _prompt(fields.get("prompt")), _box(fields.get("box"))
    box_threshold = _share(fields.get("boxThreshold"), "#/boxThreshold", BOX_THRESHOLD)
    text_threshold = _share(fields.get("textThreshold"), "#/textThreshold", TEXT_THRESHOLD)
    image, file = stored.picture(fields, PICTURES)
    return Request(image, file_type_of(file), prompt, box, box_threshold, text_threshold)


def file_type_of(file: bytes) -> str:
    """How a crop of that picture is written: "jpeg" if it is one, else "png"."""
    return "jpeg" if file.startswith(_JPEG) else "png"


def terms(prompt: str) -> list[str]:
    """The things a prompt names, in lower case: what stands between its full stops."""
    parts = (" ".join(part.split()) for part in prompt.lower().split("."))
    return [part for part in parts if part]


def respond(
    request: Request, detector: Detector, scale: float = SCALE, longer_side: int = LONGER_SIDE
) -> dict[str, object]:
    """Look, unless a box was given, and answer; see `answer`."""
    found = []
    if request.box is None:
        found = detector.detect(request.image, request.prompt, request.box_threshold, request.text_threshold)
    return answer(request, found, scale, longer_side)


def answer(
    request: Request, detections: Sequence[Detection], scale: float = SCALE, longer_side: int = LONGER_SIDE
) -> dict[str, object]:
    """The body to answer: a crop, or boxes to choose from. With `request.box`, detections are not looked at.

    Args:
        scale: of a box's sides, about its centre, before it is cropped; `box` in the answer stays as found.
        longer_side: pixels of the crop.

    Raises:
        InputRefused: there is nothing to crop or choose from: NoObjectFound.
    """
    if request.box is not None:
        return _cropped(request, request.box, scale, longer_side)
    if not detections:
        hint = "name other things in prompt, lower boxThreshold, or send a box"
        raise InputRefused(f"400 Bad Request: {NO_OBJECT}: nothing in the picture answers the prompt; {hint}")
    best = sorted(detections, key=lambda detection: -detection.score)
    if len(best) == 1:
        return {**_cropped(request, best[0].box, scale, longer_side), "score": best[0].score, "phrase": best[0].phrase}
    return {
        "boxes": [list(detection.box) for detection in best],
        "scores": [detection.score for detection in best],
        "phrases": [detection.phrase for detection in best],
        "fileType": request.file_type,
    }


def crop(image: Picture, box: Box, scale: float = SCALE, longer_side: int = LONGER_SIDE) -> Picture:
    """The rectangle of a box with all that is in it, its longer side resized to `longer_side` pixels (bicubic).

    Edges are rounded outwards to whole pixels and end where the picture does.

    Returns:
        uint8 array of shape (height, width, 3); the larger of both is `longer_side`, the other at least 1.
    """
    height, width = image.shape[:2]
    left, right = _span(box[0], box[2] * scale, width)
    top, bottom = _span(box[1], box[3] * scale, height)
    part = Image.fromarray(image[top:bottom, left:right])
    factor = longer_side / max(part.size)
    size = max(1, round(part.width * factor)), max(1, round(part.height * factor))
    return np.ascontiguousarray(np.asarray(part.resize(size, Image.Resampling.BICUBIC)))


def crop_file(image: Picture, box: Box, file_type: str, scale: float = SCALE, longer_side: int = LONGER_SIDE) -> bytes:
    """The same as a file."""
    file = BytesIO()
    Image.fromarray(crop(image, box, scale, longer_side)).save(file, file_type, quality=95)
    return file.getvalue()


def _span(centre: float, length: float, pixels: int) -> tuple[int, int]:
    """First pixel and the one behind the last, at least one pixel."""
    first = math.floor((centre - length / 2) * pixels + _NOISE)
    last = math.ceil((centre + length / 2) * pixels - _NOISE)
    first = min(max(first, 0), pixels - 1)
    return first, max(min(last, pixels), first + 1)


def _cropped(request: Request, box: Box, scale: float, longer_side: int) -> dict[str, object]:
    file = crop_file(request.image, box, request.file_type, scale, longer_side)
    encoded = base64.b64encode(file).decode("ascii")
    return {"crop": encoded, "fileType": request.file_type, "box": list(box)}


def _prompt(value: object) -> str:
    if value is None:
        return PROMPT
    if not isinstance(value, str):
        raise malformed(f"#/prompt: expected type: String, found: {kind(value)}")
    if len(value) > MAX_PROMPT:
        raise malformed(f"#/prompt: expected maxLength: {MAX_PROMPT}, actual: {len(value)}")
    if not terms(value):
        raise malformed("#/prompt: names nothing to look for")
    return value


def _box(value: object) -> Box | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise malformed(f"#/box: expected type: JSONArray, found: {kind(value)}")
    if len(value) != 4:
        raise malformed(f"#/box: expected 4 numbers, found: {len(value)}")
    x, y, width, height = (_share(number, f"#/box/{place}") for place, number in enumerate(value))
    if not width or not height:
        raise malformed("#/box: width and height must be above 0")
    return x, y, width, height


def _share(value: object, where: str, default: float | None = None) -> float:
    """A number from 0 to 1."""
    if value is None and default is not None:
        return default
    if type(value) not in (int, float):
        raise malformed(f"{where}: expected type: Number, found: {kind(value)}")
    if not 0 <= value <= 1:  # type: ignore[operator]
        raise malformed(f"{where}: expected a number from 0 to 1")
    return float(value)  # type: ignore[arg-type]
