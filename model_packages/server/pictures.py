"""Bytes of a picture to upright RGB pixels, safely: the one door every picture comes through.

What is taken: JPEG, PNG, WebP and GIF; the first frame of an animation; the EXIF rotation is applied; transparency
is laid on white; palette, grey, 16-bit and CMYK become 8-bit RGB. Embedded colour profiles are not applied.
Everything else is refused with a stable code before much memory or time is spent: bytes, pixels and what a decoder will
hold are checked before pixels are decoded, a JPEG's scans are counted (each is a pass over the whole picture), large
JPEGs are reduced while decoding, and the others strip by strip.
"""

import binascii
import math
import struct
import zlib
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image, ImageFile, UnidentifiedImageError

from neuralshelf.model_packages.server.limits import BEDROCK_MAX_BODY, MAX_PIXELS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
MAX_JPEG_SCANS = 100
"""Progressive files of cameras and web tools have about ten."""

MAX_MEMORY = 210_000_000
"""Bytes: enough for 40 megapixels of PNG, 12 of WebP (its decoder keeps three canvases beside the picture) and 40 of
progressive JPEG unless its colours have full resolution. With Python and Pillow themselves it stays below 256 MB."""

_ORIENTATION = 0x0112
_SHORT = 3
_JPEG = ("JPEG", "MPO")  # MPO: a JPEG with more pictures behind it, as some phones write
_STRIP = 1 << 20  # pixels that are converted at a time
_BYTES_OF_MODE = {"1": 1, "L": 1, "P": 1, "I;16": 2}  # of a pixel in Pillow's memory; 4 for all others
_BYTES_OF_WEBP = 16
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow's readers raise on bytes that only look like a picture.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    struct.error,
    zlib.error,
    UserWarning,  # where warnings are errors
)


class PictureCode(StrEnum):
    """Why a picture was refused. Stable: dead letters and tests name them."""

    INVALID_BASE64 = "InvalidBase64"
    URL_NOT_FETCHED = "UrlNotFetched"
    EMPTY = "EmptyPicture"
    TOO_MANY_BYTES = "TooManyBytes"
    UNSUPPORTED_FORMAT = "UnsupportedFormat"
    TOO_MANY_PIXELS = "TooManyPixels"
    TOO_MANY_SCANS = "TooManyScans"
    TRUNCATED = "TruncatedPicture"
    DAMAGED = "DamagedPicture"


class PictureError(ValueError):
    """A picture that can't be used: `code` says why, the message is one line."""

    def __init__(self, code: PictureCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class PictureLimits:
    """Bounds of one picture.

    Attributes:
        max_bytes: of the file.
        max_pixels: width x height as the file declares them.
        keep_pixels: larger pictures are reduced by a whole factor to at most this many pixels.
        keep_side: and to at most this many pixels in width and in height.
        max_memory: bytes a decoder may need for it.
    """

    max_bytes: int = BEDROCK_MAX_BODY
    max_pixels: int = MAX_PIXELS
    keep_pixels: int = 1024 * 1024
    keep_side: int = 65_535
    max_memory: int = MAX_MEMORY


@dataclass(frozen=True)
class PictureInfo:
    """What a picture's header says: format (one of FORMATS), width and height in pixels as stored."""

    format: str
    width: int
    height: int


def from_base64(text: str) -> bytes:
    """Standard base64 with its padding; CR and LF between the letters are skipped, nothing else is.

    Raises:
        PictureError: URL_NOT_FETCHED for a web address, INVALID_BASE64 for a `data:` prefix, URL-safe letters or
            anything else.
    """
    if text[:8].lower().startswith(("http://", "https://", "file:", "ftp:", "s3:")):
        raise PictureError(PictureCode.URL_NOT_FETCHED, "a URL is not fetched; send the picture's bytes in base64")
    if text[:5].lower() == "data:":
        raise PictureError(PictureCode.INVALID_BASE64, "not base64: leave out the 'data:...;base64,' prefix")
    try:
        letters = text.encode("ascii").replace(b"\r", b"").replace(b"\n", b"")
        return binascii.a2b_base64(letters, strict_mode=True)
    except (UnicodeEncodeError, binascii.Error):
        hint = " (URL-safe letters - and _ are not taken)" if "-" in text or "_" in text else ""
        raise PictureError(PictureCode.INVALID_BASE64, f"not standard base64{hint}") from None


def check(data: bytes, limits: PictureLimits) -> PictureInfo:
    """Look at the header only; cheap, and what it lets through may still be refused by `decode`.

    Raises:
        PictureError: see PictureCode.
    """
    with opened(data, limits) as image:
        return PictureInfo("JPEG" if image.format in _JPEG else str(image.format), image.width, image.height)


def decode(data: bytes, limits: PictureLimits) -> "NDArray[np.uint8]":
    """Pixels of a picture.

    Returns:
        uint8 array of shape (height, width, 3), RGB, upright, of at most about `limits.keep_pixels` pixels.

    Raises:
        PictureError: see PictureCode.
    """
    with opened(data, limits) as image:
        rgb = upright(image, limits)
    import numpy as np  # here, because ingestion works without it, in less memory

    return np.ascontiguousarray(np.asarray(rgb))


def opened(data: bytes, limits: PictureLimits) -> ImageFile.ImageFile:
    """A picture whose header fits the limits, its pixels not decoded yet; close it.

    Raises:
        PictureError: see PictureCode.
    """
    if not data:
        raise PictureError(PictureCode.EMPTY, "no bytes")
    if len(data) > limits.max_bytes:
        raise PictureError(PictureCode.TOO_MANY_BYTES, f"{len(data)} bytes; at most {limits.max_bytes}")
    image = _parsed(data)
    width, height = image.size
    if width * height > limits.max_pixels:
        raise PictureError(PictureCode.TOO_MANY_PIXELS, f"{width}x{height}; at most {limits.max_pixels} pixels")
    if image.format in _JPEG and data.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise PictureError(PictureCode.TOO_MANY_SCANS, f"more than {MAX_JPEG_SCANS} scans")
    if memory(image, data, limits) > limits.max_memory:
        raise PictureError(PictureCode.TOO_MANY_PIXELS, f"{width}x{height} of {image.format} need too much memory")
    if image.format == "PNG":
        # Pillow skips the checksum of pixel data when it decodes; verify() reads them all, and spends the object.
        try:
            image.verify()
        except _DAMAGE as error:
            raise _broken(error) from None
        image = _parsed(data)
    return image


def memory(image: ImageFile.ImageFile, data: bytes, limits: PictureLimits) -> int:
    """Bytes that an opened picture and its decoding take, from its header: file, metadata, pixels, decoder's own."""
    pixels = image.width * image.height
    needed = len(data) + sum(len(value) for value in image.info.values() if isinstance(value, str | bytes))
    if image.format == "WEBP":
        return needed + pixels * _BYTES_OF_WEBP
    each = _BYTES_OF_MODE.get(image.mode, 4)
    if image.format not in _JPEG:
        return needed + pixels * each
    if "progressive" in image.info:  # coefficients of the whole picture, 2 bytes each
        sampled = [across * down for _, across, down, _ in image.layer]  # type: ignore[attr-defined]
        needed += 2 * pixels * sum(sampled) // max(1, *sampled)
    shrunk = 1 << (min(_factor(image.size, limits), 8).bit_length() - 1)  # by the decoder itself: 1, 2, 4 or 8
    return needed + pixels * each // shrunk**2


def peculiarities(image: ImageFile.ImageFile) -> list[str]:
    """What other decoders may overlook, refuse or do otherwise in an opened picture; nothing for a plain one.

    Plain is a JPEG or PNG of one frame, upright, opaque, RGB or grey with 8 bits. A PNG may carry its orientation
    behind its pixels, so that it shows only when it is loaded.
    """
    fmt = str(image.format)
    stored = image.tile[0].args if fmt == "PNG" and image.tile else None  # `RGB;16B`: what Pillow decodes from
    depth = stored.partition(";")[2] if isinstance(stored, str) else ""
    found = {
        fmt: fmt not in ("JPEG", "PNG"),
        "animated": fmt in ("PNG", "WEBP") and getattr(image, "is_animated", False),  # a GIF would read on
        "turned": _orientation(image.info.get("exif", b"")) != 1,
        "transparent": image.has_transparency_data,
        "16 bits": depth.startswith("16") or image.mode.startswith("I"),
        "few bits": image.mode == "1" or (image.mode == "L" and depth in ("2", "4")),
        "palette": image.mode in ("P", "PA"),
        "CMYK": image.mode == "CMYK",
    }
    return [name for name, is_so in found.items() if is_so]


def load(image: ImageFile.ImageFile, factor: int) -> None:
    """Decode an opened picture, a JPEG to about 1/factor of its width and height, which is quicker and finds as much.

    Raises:
        PictureError: the picture is damaged or cut off.
    """
    if image.format in _JPEG and factor > 1:
        image.draft(None, (max(1, image.width // factor), max(1, image.height // factor)))
    try:
        image.load()
    except _DAMAGE as error:
        raise _broken(error) from None
    except MemoryError:
        raise PictureError(PictureCode.TOO_MANY_PIXELS, "no memory for this many pixels") from None


def upright(image: ImageFile.ImageFile, limits: PictureLimits) -> Image.Image:
    """An opened picture in 8-bit RGB, upright, on white, within `keep_pixels` and `keep_side`, without metadata.

    Raises:
        PictureError: the picture is damaged or cut off.
    """
    load(image, _factor(image.size, limits))
    rgb = _rgb(image, _factor(image.size, limits))
    method = _UPRIGHT.get(_orientation(image.info.get("exif", b"")))
    return rgb if method is None else rgb.transpose(method)


def _parsed(data: bytes) -> ImageFile.ImageFile:
    try:
        return Image.open(BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise PictureError(PictureCode.UNSUPPORTED_FORMAT, f"not a {', '.join(FORMATS)} file") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureError(PictureCode.TOO_MANY_PIXELS, "far more pixels than are taken") from None
    except MemoryError:
        raise PictureError(PictureCode.TOO_MANY_PIXELS, "no memory for this many pixels") from None
    except _DAMAGE as error:
        raise _broken(error) from None


def _broken(error: BaseException) -> PictureError:
    text = str(error).lower()
    if "truncat" in text or isinstance(error, EOFError):
        return PictureError(PictureCode.TRUNCATED, "the file ends too early")
    return PictureError(PictureCode.DAMAGED, "the file is damaged")


def _factor(size: tuple[int, int], limits: PictureLimits) -> int:
    """The whole factor by which both sides shrink to fit the limits."""
    return max(1, math.ceil(math.sqrt(size[0] * size[1] / limits.keep_pixels)), -(-max(size) // limits.keep_side))


def _orientation(exif: bytes) -> int:
    """The orientation in the first directory of an EXIF block; 1 where there is none, or the block is damaged; 0 for
    one of a wrong type.

    Read here because Pillow warns on damaged metadata, and these don't make the pixels useless.
    """
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for place in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, place)
            if tag == _ORIENTATION:
                return int(value) if kind == _SHORT else 0
    except struct.error:
        pass
    return 1


def _rgb(image: Image.Image, factor: int) -> Image.Image:
    """8-bit RGB on white, both sides divided by `factor`; strip by strip, as a whole it would be in memory thrice."""
    width, height = image.size
    transparent = image.has_transparency_data
    made = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    rows = factor * max(1, _STRIP // (factor * width))
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        made.paste(_plain(strip, factor, transparent), (0, top // factor))
    return made


def _plain(image: Image.Image, factor: int, transparent: bool) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits a pixel, grey
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if transparent and image.mode != "RGBA":
        image = image.convert("RGBA")
    elif image.mode not in ("RGBA", "RGB", "L", "CMYK"):
        image = image.convert("RGB")
    if factor > 1:
        image = image.reduce(factor)
    if transparent:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")
