"""Awkward pictures: each is decoded right or refused with its code."""

import base64
import io
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from neuralshelf.model_packages.server.pictures import (
    PictureCode,
    PictureError,
    PictureLimits,
    check,
    decode,
    from_base64,
)

LIMITS = PictureLimits()


def encoded(image: Image.Image, fmt: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, fmt, **options)
    return out.getvalue()


def corners(size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Red, green, blue and white quarters: any wrong turn or mirror shows."""
    image = Image.new("RGB", size, "white")
    half = (size[0] // 2, size[1] // 2)
    for place, colour in (((0, 0), "red"), ((half[0], 0), "lime"), ((0, half[1]), "blue")):
        image.paste(colour, (*place, place[0] + half[0], place[1] + half[1]))
    return image


def png_chunk(name: bytes, content: bytes, crc: int | None = None) -> bytes:
    checksum = zlib.crc32(name + content) if crc is None else crc
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def raw_png(width: int, height: int, pixels: bytes, *, crc: int | None = None, bits: int = 8, kind: int = 0) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    body = png_chunk(b"IHDR", head) + png_chunk(b"IDAT", zlib.compress(pixels, 9), crc) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def bomb(side: int) -> bytes:
    """A PNG of side x side zeros in a few kilobytes."""
    squeezer = zlib.compressobj(9)
    rows = b"\0" * (side // 8 + 1) * 64
    packed = b"".join(squeezer.compress(rows) for _ in range(side // 64)) + squeezer.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", packed) + png_chunk(b"IEND", b"")


def quarters(pixels: np.ndarray[Any, Any]) -> list[tuple[int, ...]]:
    """The colours in the middle of the four quarters, rounded: red, lime, blue, white when upright."""
    height, width, _ = pixels.shape
    places = [(height // 4, width // 4), (height // 4, 3 * width // 4), (3 * height // 4, width // 4)]
    places.append((3 * height // 4, 3 * width // 4))
    return [tuple(int(value > 127) for value in pixels[place]) for place in places]


UPRIGHT = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)]
TURNS = [
    None,
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.ROTATE_180,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_90,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_270,
]


def rotated(orientation: int, fmt: str = "JPEG") -> bytes:
    """`corners`, stored turned, with the EXIF orientation that turns it back."""
    turn = TURNS[orientation - 1]
    image = corners() if turn is None else corners().transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, fmt, exif=exif)


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(orientation: int, fmt: str) -> None:
    pixels = decode(rotated(orientation, fmt), LIMITS)
    assert pixels.shape == (48, 64, 3)
    assert quarters(pixels) == UPRIGHT


@pytest.mark.filterwarnings("ignore:Corrupt EXIF:UserWarning")
def test_a_damaged_exif_block_leaves_the_pixels_usable() -> None:
    exif = b"Exif\x00\x00" + b"MM\x00*\xff\xff\xff\xff" + b"\x00" * 4
    assert quarters(decode(encoded(corners(), "JPEG", exif=exif), LIMITS)) == UPRIGHT


def animation(fmt: str) -> bytes:
    return encoded(corners(), fmt, save_all=True, append_images=[Image.new("RGB", (64, 48), "black")] * 3)


def adobe_cmyk() -> bytes:
    """A CMYK JPEG as Photoshop writes it: Adobe marker, inverted values (Pillow writes and reads both)."""
    return encoded(corners().convert("CMYK"), "JPEG", quality=95)


DECODED: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: encoded(corners(), "JPEG"),
    "progressive JPEG": lambda: encoded(corners(), "JPEG", progressive=True),
    "CMYK JPEG with Adobe's inverted values": adobe_cmyk,
    "PNG": lambda: encoded(corners(), "PNG"),
    "interlaced palette PNG": lambda: encoded(corners().quantize(8), "PNG"),
    "PNG with alpha": lambda: encoded(corners().convert("RGBA"), "PNG"),
    "WebP": lambda: encoded(corners(), "WEBP"),
    "GIF": lambda: encoded(corners(), "GIF"),
    "animated GIF": lambda: animation("GIF"),
    "animated PNG": lambda: animation("PNG"),
    "animated WebP": lambda: animation("WEBP"),
    "a phone's MPO": lambda: encoded(corners((2400, 1800)), "MPO", save_all=True, append_images=[corners()]),
    "bytes after the end": lambda: encoded(corners(), "PNG") + b"trailing" * 100,
    "a JPEG named .png": lambda: encoded(corners(), "JPEG"),
    "a large JPEG, reduced while decoding": lambda: encoded(corners((4000, 3000)), "JPEG"),
    "a large CMYK JPEG": lambda: encoded(corners((4000, 3000)).convert("CMYK"), "JPEG"),
    "a large PNG": lambda: encoded(corners((3000, 2400)), "PNG"),
}


@pytest.mark.parametrize("name", DECODED)
def test_a_usable_picture_becomes_upright_rgb_of_its_first_frame(name: str) -> None:
    pixels = decode(DECODED[name](), LIMITS)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.shape[0] * pixels.shape[1] <= LIMITS.keep_pixels
    assert quarters(pixels) == UPRIGHT


def test_transparency_is_laid_on_white() -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([255, 0, 0] * 256)
    grey = Image.new("LA", (8, 8), (0, 0))
    assert decode(encoded(clear, "PNG"), LIMITS).min() == 255
    assert decode(encoded(clear, "WEBP", lossless=True), LIMITS).min() == 255
    assert set(np.unique(decode(encoded(half, "PNG"), LIMITS))) == {127}
    assert decode(encoded(palette, "PNG", transparency=0), LIMITS).min() == 255
    assert decode(encoded(palette, "GIF", transparency=0), LIMITS).min() == 255
    assert decode(encoded(grey, "PNG"), LIMITS).min() == 255
    assert decode(encoded(Image.new("RGB", (8, 8), "red"), "PNG", transparency=(255, 0, 0)), LIMITS).min() == 255


def test_sixteen_bits_are_scaled_not_cut() -> None:
    rows = b"".join(b"\0" + struct.pack(">4H", 0, 0x4000, 0x8000, 0xFFFF) for _ in range(2))
    grey = decode(raw_png(4, 2, rows, bits=16), LIMITS)
    assert grey[0, :, 0].tolist() == [0, 64, 128, 255]
    colour = b"".join(b"\0" + struct.pack(">6H", 0xFFFF, 0, 0x8000, 0, 0, 0) for _ in range(2))
    assert decode(raw_png(2, 2, colour, bits=16, kind=2), LIMITS)[0, 0].tolist() == [255, 0, 128]


@pytest.mark.parametrize("mode", ["1", "L"])
def test_grey_and_black_and_white_become_rgb(mode: str) -> None:
    pixels = decode(encoded(Image.new(mode, (5, 7), 255), "PNG"), LIMITS)
    assert pixels.shape == (7, 5, 3)
    assert pixels.min() == 255


def test_one_pixel_is_a_picture() -> None:
    assert decode(encoded(Image.new("RGB", (1, 1), "red"), "PNG"), LIMITS).tolist() == [[[255, 0, 0]]]


def test_checking_needs_no_numpy_as_ingestion_works_without_the_models() -> None:
    code = "import sys; import neuralshelf.model_packages.server.pictures; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_check_reads_the_header_only() -> None:
    info = check(encoded(corners(), "JPEG"), LIMITS)
    assert (info.format, info.width, info.height) == ("JPEG", 64, 48)


def many_scans() -> bytes:
    """A progressive JPEG with its last scan repeated: each costs a pass over all pixels."""
    data = encoded(corners((512, 512)), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 200 + data[-2:]


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


NOISE = np.random.default_rng(7).integers(0, 255, (60, 80, 3), dtype=np.uint8)
REFUSED: dict[str, tuple[PictureCode, Callable[[], bytes]]] = {
    "no bytes": (PictureCode.EMPTY, lambda: b""),
    "text": (PictureCode.UNSUPPORTED_FORMAT, lambda: b"a picture of a cat"),
    "HTML": (PictureCode.UNSUPPORTED_FORMAT, lambda: b"<!doctype html><title>404</title>"),
    "SVG": (PictureCode.UNSUPPORTED_FORMAT, lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
    "EPS": (PictureCode.UNSUPPORTED_FORMAT, lambda: encoded(corners(), "EPS")),
    "TIFF": (PictureCode.UNSUPPORTED_FORMAT, lambda: encoded(corners(), "TIFF")),
    "BMP": (PictureCode.UNSUPPORTED_FORMAT, lambda: encoded(corners(), "BMP")),
    "FITS": (PictureCode.UNSUPPORTED_FORMAT, lambda: b"SIMPLE  =                    T".ljust(2880)),
    "PDF": (PictureCode.UNSUPPORTED_FORMAT, lambda: encoded(corners(), "PDF")),
    "a PNG signature alone": (PictureCode.UNSUPPORTED_FORMAT, lambda: b"\x89PNG\r\n\x1a\n"),
    "a cut JPEG": (PictureCode.TRUNCATED, lambda: encoded(Image.fromarray(NOISE), "JPEG")[:-400]),
    "a cut PNG": (PictureCode.TRUNCATED, lambda: encoded(Image.fromarray(NOISE), "PNG")[:-400]),
    "a cut GIF": (PictureCode.TRUNCATED, lambda: encoded(Image.fromarray(NOISE), "GIF")[:-400]),
    "a cut WebP": (PictureCode.DAMAGED, lambda: encoded(Image.fromarray(NOISE), "WEBP")[:-400]),
    "a PNG with a wrong checksum": (PictureCode.DAMAGED, lambda: raw_png(4, 4, b"\0" * 20, crc=1)),
    "a PNG with a wrong header checksum": (
        PictureCode.UNSUPPORTED_FORMAT,
        lambda: flipped(encoded(corners(), "PNG"), 30),
    ),
    "a PNG without pixel data": (PictureCode.TRUNCATED, lambda: raw_png(4, 4, b"\0")),
    "a PNG bomb": (PictureCode.TOO_MANY_PIXELS, lambda: bomb(30_016)),
    "just too many pixels": (PictureCode.TOO_MANY_PIXELS, lambda: bomb(6400)),
    "a GIF of 65535 squared": (
        PictureCode.TOO_MANY_PIXELS,
        lambda: b"GIF89a" + b"\xff\xff" * 2 + b"\x80\0\0" + b"\0" * 6 + b",\0\0\0\0" + b"\xff\xff" * 2 + b"\0\x02\0;",
    ),
    "a JPEG that says 65500 squared": (
        PictureCode.TOO_MANY_PIXELS,
        lambda: _resized_jpeg(encoded(corners(), "JPEG"), 65500),
    ),
    "a WebP that says 16383 squared": (
        PictureCode.TOO_MANY_PIXELS,
        lambda: encoded(Image.new("RGB", (16383, 2500)), "WEBP", quality=1),
    ),
    "a progressive JPEG of 200 scans": (PictureCode.TOO_MANY_SCANS, many_scans),
    "25 MB and one byte": (PictureCode.TOO_MANY_BYTES, lambda: bytes(LIMITS.max_bytes + 1)),
}


def _resized_jpeg(data: bytes, side: int) -> bytes:
    """The same file, its frame header claiming side x side."""
    frame = data.index(b"\xff\xc0")
    return data[: frame + 5] + struct.pack(">HH", side, side) + data[frame + 9 :]


@pytest.mark.parametrize("name", REFUSED)
def test_an_unusable_picture_is_refused_with_its_code(name: str) -> None:
    code, made = REFUSED[name]
    data = made()
    with pytest.raises(PictureError) as caught:
        decode(data, LIMITS)
    assert caught.value.code == code, caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("http://example.com/a.png", PictureCode.URL_NOT_FETCHED),
        ("HTTPS://169.254.169.254/latest", PictureCode.URL_NOT_FETCHED),
        ("file:///etc/passwd", PictureCode.URL_NOT_FETCHED),
        ("data:image/png;base64,iVBORw0KGgo=", PictureCode.INVALID_BASE64),
        ("not base64!", PictureCode.INVALID_BASE64),
        ("aGk", PictureCode.INVALID_BASE64),
        ("aGk==", PictureCode.INVALID_BASE64),
        ("aGk=aGk=", PictureCode.INVALID_BASE64),
        ("_-8=", PictureCode.INVALID_BASE64),
        ("aGkä", PictureCode.INVALID_BASE64),
        ("a G k =", PictureCode.INVALID_BASE64),
    ],
)
def test_only_standard_base64_is_taken(text: str, code: PictureCode) -> None:
    with pytest.raises(PictureError) as caught:
        from_base64(text)
    assert caught.value.code == code


def test_line_breaks_in_base64_are_skipped() -> None:
    data = bytes(range(256))
    assert from_base64(base64.encodebytes(data).decode()) == data
    assert from_base64(base64.encodebytes(data).decode().replace("\n", "\r\n")) == data


def test_the_message_for_url_safe_letters_says_so() -> None:
    with pytest.raises(PictureError, match="URL-safe"):
        from_base64("_-8=")


def test_a_jpeg_of_too_many_pixels_is_refused_before_python_allocates_them() -> None:
    data = _resized_jpeg(encoded(corners(), "JPEG"), 65500)
    tracemalloc.start()
    try:
        with pytest.raises(PictureError):
            decode(data, LIMITS)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
