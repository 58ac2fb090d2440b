"""What may be sent: a picture is looked at before it costs a network call, sent as it is, made plain, or refused.

Plain is a JPEG or PNG that no decoder can take otherwise than ours does: one frame, upright, opaque, 8-bit RGB or grey,
within what the models take. It goes on byte for byte, so that identical files keep identical vectors. Of anything else
the models get what our own model server would see in it.
"""

import base64
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageFile

from neuralshelf.connectors.spec import ANY_SIDE, ConnectorSpec, SageMakerText
from neuralshelf.model_packages.server import pictures
from neuralshelf.model_packages.server.limits import BEDROCK_MAX_BODY, SAGEMAKER_MAX_BODY
from neuralshelf.pipelines.spec import IndexSpec

TEXT_ROOM = 65_536  # bytes of a request that its text and its JSON may take
_LARGE = 32_000_000  # bytes to decode, from which on pictures are decoded one at a time, whatever the threads
_one_large = threading.Lock()
_LEAST_WORK = 8  # to see whether a JPEG is damaged, an eighth of its size shows as much in a third of the time


class Refused(Exception):
    """A document that can't be sent: `code` is stable, the text says why in one line."""

    def __init__(self, code: str, cause: str) -> None:
        super().__init__(cause)
        self.code = code


@dataclass(frozen=True)
class PictureLimits:
    """What the models that get a picture take, all of them.

    Attributes:
        max_bytes: of a file; larger ones are refused, not converted.
        max_encoded: letters of its base64, as it is sent.
        max_side: pixels in width and in height.
    """

    max_bytes: int = BEDROCK_MAX_BODY
    max_encoded: int = SAGEMAKER_MAX_BODY - TEXT_ROOM
    max_side: int = ANY_SIDE


DEFAULT_LIMITS = PictureLimits()


@dataclass(frozen=True)
class Admitted:
    """A picture that may be sent.

    Attributes:
        data: a plain JPEG or PNG within the limits.
        converted: why these are not the bytes of the file (`turned, CMYK`); None when they are.
    """

    data: bytes
    converted: str | None = None

    @property
    def encoded(self) -> str:
        """In base64, as it is sent."""
        return base64.b64encode(self.data).decode("ascii")


def picture_limits(connectors: Mapping[str, ConnectorSpec], index: IndexSpec) -> PictureLimits:
    """The tightest limits of all models that get the pictures of `index`."""
    used = [connectors[vector.connector] for vector in index.vectors.values() if vector.image is not None]
    takers = [connector for connector in used if not isinstance(connector, SageMakerText)]
    if not takers:
        return DEFAULT_LIMITS
    body = min(taker.max_body for taker in takers)
    return PictureLimits(max_encoded=body - TEXT_ROOM, max_side=min(taker.max_side for taker in takers))


def admit(data: bytes, limits: PictureLimits, name: str) -> Admitted:
    """A picture as it may be sent. Any number of threads may ask at once; large pictures then wait for each other.

    Args:
        data: a file of any kind.
        name: begins the text of a refusal.

    Raises:
        Refused: with a PictureCode: empty, too large, damaged, or not a picture of a known format.
    """
    decoder = pictures.PictureLimits(limits.max_bytes, keep_side=limits.max_side)
    try:
        with pictures.opened(data, decoder) as image, turn(image, data, decoder):
            return _admitted(image, data, limits, decoder)
    except pictures.PictureError as fault:
        raise Refused(str(fault.code), f"{name}: {fault.message}") from None


def turn(image: ImageFile.ImageFile, data: bytes, decoder: pictures.PictureLimits) -> AbstractContextManager[object]:
    """In which an opened picture is decoded: large ones wait for each other."""
    return _one_large if pictures.memory(image, data, decoder) > _LARGE else nullcontext()


def admit_file(path: Path, limits: PictureLimits = DEFAULT_LIMITS) -> Admitted:
    """The same of a file.

    Raises:
        Refused: also for one that can't be read (Unreadable).
    """
    try:
        with path.open("rb") as file:
            data = file.read(limits.max_bytes + 1)
    except OSError as fault:
        raise Refused("Unreadable", f"{path.name}: {fault.strerror}") from None
    return admit(data, limits, path.name)


def _admitted(
    image: ImageFile.ImageFile, data: bytes, limits: PictureLimits, decoder: pictures.PictureLimits
) -> Admitted:
    found = pictures.peculiarities(image)
    if max(image.size) > limits.max_side:
        found.append("too many pixels")
    if _encoded_size(data) > limits.max_encoded:
        found.append("too many bytes")
    if not found:
        pictures.load(image, _LEAST_WORK)
        found = pictures.peculiarities(image)  # a PNG may say behind its pixels that it is to be turned
    if not found:
        return Admitted(data)
    return Admitted(_fitting(pictures.upright(image, decoder), limits), ", ".join(found))


def _fitting(picture: Image.Image, limits: PictureLimits) -> bytes:
    """A file of the picture that fits: PNG, without any loss; where that is too large JPEG, smaller if it must be.

    JPEG would be a third of the size. A JPEG that was turned and packed again has another vector, though: cosine 0.992
    to 0.998 on pictures of 256 x 256 pixels.
    """
    data = _png(picture)
    if _encoded_size(data) > limits.max_encoded:
        data = _jpeg(picture)
    while _encoded_size(data) > limits.max_encoded:
        picture = picture.reduce(2)
        data = _jpeg(picture)
    return data


def _png(picture: Image.Image) -> bytes:
    out = BytesIO()
    picture.save(out, "PNG", compress_level=1)  # a higher level takes up to ten times as long for a tenth less
    return out.getvalue()


def _jpeg(picture: Image.Image) -> bytes:
    out = BytesIO()
    picture.save(out, "JPEG", quality=95, subsampling=0)
    return out.getvalue()


def _encoded_size(data: bytes) -> int:
    """Letters of its base64."""
    return -(-len(data) // 3) * 4
