"""Awkward pictures, made in code, each with what admission has to do with it."""

import io
import math
import random
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from PIL import Image

Bytes = Callable[[], bytes]
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@dataclass(frozen=True)
class Awkward:
    """One picture.

    Attributes:
        make: its bytes.
        becomes: why it is converted, as `Admitted.converted` says it; "plain" when it goes on as it is.
        refused: the code it is refused with, instead.
    """

    make: Bytes
    becomes: str = ""
    refused: str = ""


def encoded(image: Image.Image, fmt: str, **options: Any) -> bytes:
    """A file of `image`."""
    out = io.BytesIO()
    image.save(out, fmt, **options)
    return out.getvalue()


@cache
def _scene() -> Image.Image:
    width, height = 96, 64
    across = Image.linear_gradient("L").rotate(90).resize((width, height))
    down = Image.linear_gradient("L").resize((width, height))
    ring = Image.radial_gradient("L").resize((width, height))
    image = Image.merge("RGB", (across, down, ring))
    image.paste((250, 240, 20), (12, 8, 32, 20))
    return image


def scene(width: int = 96, height: int = 64) -> Image.Image:
    """Soft colours, another in each corner, with a few edges: what a wrong turn, cut or colour changes a lot."""
    return _scene().resize((width, height))


def large(width: int, height: int) -> Image.Image:
    """The same in coarse squares, which is quicker made and packed."""
    return _scene().resize((width, height), Image.Resampling.NEAREST)


def noise(width: int, height: int) -> Image.Image:
    """Pixels that no format can pack."""
    return Image.frombytes("RGB", (width, height), random.Random(width).randbytes(width * height * 3))


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG with its checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def raw_png(size: tuple[int, int], bits: int, kind: int, rows: bytes, *more: bytes) -> bytes:
    """A PNG of rows as they are packed (each begins with its filter byte); `more`: chunks before the pixels."""
    head = struct.pack(">IIBBBBB", *size, bits, kind, 0, 0, 0)
    parts = (chunk(b"IHDR", head), *more, chunk(b"IDAT", zlib.compress(rows, 6)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def of_bits(bits: int, kind: int, channels: int, side: int = 32) -> bytes:
    """A PNG of noise with any depth and colour type."""
    bytes_of_row = math.ceil(side * bits * channels / 8)
    chance = random.Random(bits * 10 + kind)
    return raw_png((side, side), bits, kind, b"".join(b"\0" + chance.randbytes(bytes_of_row) for _ in range(side)))


def bomb(side: int) -> bytes:
    """A PNG of side x side zeros, one bit each, in some kilobytes."""
    packer = zlib.compressobj(9)
    rows = b"\0" * (math.ceil(side / 8) + 1) * 100
    packed = b"".join(packer.compress(rows) for _ in range(math.ceil(side / 100))) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def turned(orientation: int, fmt: str = "JPEG", image: Image.Image | None = None) -> bytes:
    """The scene, stored turned, with the EXIF orientation that turns it back."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"quality": 92} if fmt != "PNG" else {}
    return encoded((image or scene()).transpose(TURNS[orientation]), fmt, exif=exif, **options)


def exif_last() -> bytes:
    """A PNG that says behind its pixels that it lies on its side."""
    whole = turned(6, "PNG")
    start = whole.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(whole[start : start + 4])
    return whole[:start] + whole[end:-12] + whole[start:end] + whole[-12:]


def without_adobe() -> bytes:
    """A CMYK JPEG that is not said to be inverted."""
    whole = encoded(scene().convert("CMYK"), "JPEG", quality=92)
    start = whole.index(b"\xff\xee")
    return whole[:start] + whole[start + 2 + int.from_bytes(whole[start + 2 : start + 4]) :]


def ycck() -> bytes:
    """A JPEG that says its four channels are luminance, two differences and black."""
    whole = bytearray(encoded(scene().convert("CMYK"), "JPEG", quality=92))
    whole[whole.index(b"Adobe") + 11] = 2
    return bytes(whole)


def palette(transparency: int | bytes | None = None) -> bytes:
    """A PNG with a palette; `transparency`: one clear colour, or the opacity of each."""
    options = {} if transparency is None else {"transparency": transparency}
    return encoded(scene().quantize(16), "PNG", **options)


def faded(mode: str = "RGBA") -> Image.Image:
    """The scene, clear on one side."""
    image = scene().convert(mode.removesuffix("A")).convert(mode)
    image.putalpha(Image.linear_gradient("L").rotate(90).resize(image.size))
    return image


def moving(fmt: str, frames: int = 3, side: int = 48) -> bytes:
    """An animation whose first frame is the scene."""
    first = scene(side, side)
    later = [Image.new("RGB", (side, side), (number % 256, 99, 7)) for number in range(1, frames)]
    options = {"method": 0, "quality": 30} if fmt == "WEBP" else {}
    return encoded(first, fmt, save_all=True, append_images=later, **options)


def claiming(data: bytes, width: int, height: int, frame: bytes = b"\xff\xc0") -> bytes:
    """The same JPEG, its frame header claiming another size."""
    place = data.index(frame)
    return data[: place + 5] + struct.pack(">HH", height, width) + data[place + 9 :]


def twelve_bits() -> bytes:
    """A JPEG that says its samples have 12 bits."""
    data = bytearray(encoded(scene(), "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    return bytes(data)


def many_scans() -> bytes:
    """A progressive JPEG with its last scan 200 times: each costs a pass over all pixels."""
    data = encoded(scene(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 200 + data[-2:]


def wordy() -> bytes:
    """A PNG with some kilobytes of comments that unpack to 60 MB."""
    packed = zlib.compress(b" " * 1_000_000, 9)
    texts = (chunk(b"zTXt", b"Comment %d\0\0" % number + packed) for number in range(60))
    return raw_png((8, 8), 8, 0, b"\0" * 72, *texts)


def cut(data: bytes, share: float = 0.6) -> bytes:
    """The beginning of a file."""
    return data[: int(len(data) * share)]


def damaged(data: bytes) -> bytes:
    """One byte of the pixels of a PNG flipped."""
    place = data.index(b"IDAT") + 20
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


GIF_OF_65535 = b"GIF89a" + b"\xff\xff" * 2 + b"\x80\0\0" + b"\0" * 6 + b",\0\0\0\0" + b"\xff\xff" * 2 + b"\0\x02\0;"

SMALL: Mapping[str, Awkward] = {
    **{f"JPEG of EXIF orientation {n}": Awkward(lambda n=n: turned(n), "turned") for n in TURNS},  # type: ignore[misc]
    "PNG on its side": Awkward(lambda: turned(6, "PNG"), "turned"),
    "PNG that says so behind its pixels": Awkward(exif_last, "turned"),
    "WebP upside down": Awkward(lambda: turned(3, "WEBP"), "WEBP, turned"),
    "CMYK JPEG, Adobe's inverted values": Awkward(lambda: encoded(scene().convert("CMYK"), "JPEG"), "CMYK"),
    "CMYK JPEG, not inverted": Awkward(without_adobe, "CMYK"),
    "YCCK JPEG": Awkward(ycck, "CMYK"),
    "CMYK JPEG on its side": Awkward(lambda: turned(8, image=scene().convert("CMYK")), "turned, CMYK"),
    "RGB with alpha": Awkward(lambda: encoded(faded(), "PNG"), "transparent"),
    "grey with alpha": Awkward(lambda: encoded(faded("LA"), "PNG"), "transparent"),
    "wholly transparent": Awkward(lambda: encoded(Image.new("RGBA", (9, 9), (255, 0, 0, 0)), "PNG"), "transparent"),
    "one clear colour": Awkward(lambda: encoded(scene(), "PNG", transparency=(250, 240, 20)), "transparent"),
    "one clear grey": Awkward(lambda: encoded(scene().convert("L"), "PNG", transparency=200), "transparent"),
    "palette": Awkward(palette, "palette"),
    "palette, one clear colour": Awkward(lambda: palette(0), "transparent, palette"),
    "palette of opacities": Awkward(lambda: palette(bytes(range(0, 256, 16))), "transparent, palette"),
    "1 bit": Awkward(lambda: encoded(scene().convert("1"), "PNG"), "few bits"),
    "2 bits of grey": Awkward(lambda: of_bits(2, 0, 1), "few bits"),
    "4 bits of grey": Awkward(lambda: of_bits(4, 0, 1), "few bits"),
    "16 bits of grey": Awkward(lambda: of_bits(16, 0, 1), "16 bits"),
    "16 bits of grey with alpha": Awkward(lambda: of_bits(16, 4, 2), "transparent, 16 bits"),
    "16 bits RGB": Awkward(lambda: of_bits(16, 2, 3), "16 bits"),
    "16 bits RGB with alpha": Awkward(lambda: of_bits(16, 6, 4), "transparent, 16 bits"),
    "GIF": Awkward(lambda: encoded(scene(), "GIF"), "GIF, palette"),
    "GIF with a clear colour": Awkward(
        lambda: encoded(scene().quantize(8), "GIF", transparency=0), "GIF, transparent, palette"
    ),
    "GIF that moves": Awkward(lambda: moving("GIF"), "GIF, palette"),
    "GIF of 1,000 frames": Awkward(lambda: moving("GIF", 1000, 16), "GIF, palette"),
    "PNG that moves": Awkward(lambda: moving("PNG"), "animated"),
    "WebP": Awkward(lambda: encoded(scene(), "WEBP"), "WEBP"),
    "WebP with alpha": Awkward(lambda: encoded(faded(), "WEBP", lossless=True), "WEBP, transparent"),
    "WebP that moves": Awkward(lambda: moving("WEBP"), "WEBP, animated"),
    "WebP of 1,000 frames": Awkward(lambda: moving("WEBP", 1000, 16), "WEBP, animated"),
    "a phone's two pictures in one": Awkward(
        lambda: encoded(scene(), "MPO", save_all=True, append_images=[scene(48, 32)]), "MPO"
    ),
    "a hidden megabyte-long comment, sixty times": Awkward(wordy, "plain"),
    "a JPEG called PNG, with bytes behind its end": Awkward(
        lambda: encoded(scene(), "JPEG") + b"trailing" * 99, "plain"
    ),
    "one pixel": Awkward(lambda: encoded(Image.new("RGB", (1, 1), "red"), "PNG"), "plain"),
    "no bytes": Awkward(lambda: b"", refused="EmptyPicture"),
    "HTML": Awkward(lambda: b"<!doctype html><title>404 Not Found</title>", refused="UnsupportedFormat"),
    "SVG": Awkward(lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>', refused="UnsupportedFormat"),
    "TIFF": Awkward(lambda: encoded(scene(), "TIFF"), refused="UnsupportedFormat"),
    "BMP": Awkward(lambda: encoded(scene(), "BMP"), refused="UnsupportedFormat"),
    "PostScript": Awkward(lambda: encoded(scene(), "EPS"), refused="UnsupportedFormat"),
    "PDF": Awkward(lambda: encoded(scene(), "PDF"), refused="UnsupportedFormat"),
    "JPEG of 12 bits": Awkward(twelve_bits, refused="UnsupportedFormat"),
    "a cut JPEG": Awkward(lambda: cut(encoded(scene(), "JPEG")), refused="TruncatedPicture"),
    "a cut progressive JPEG": Awkward(
        lambda: cut(encoded(scene(), "JPEG", progressive=True)), refused="TruncatedPicture"
    ),
    "a cut PNG": Awkward(lambda: cut(encoded(scene(), "PNG")), refused="TruncatedPicture"),
    "a cut GIF": Awkward(lambda: cut(encoded(scene(), "GIF")), refused="TruncatedPicture"),
    "a cut WebP": Awkward(lambda: cut(encoded(scene(), "WEBP")), refused="DamagedPicture"),
    "a PNG with a wrong checksum": Awkward(lambda: damaged(encoded(scene(), "PNG")), refused="DamagedPicture"),
    "200 scans": Awkward(many_scans, refused="TooManyScans"),
    "a bomb of 30,000 x 30,000": Awkward(lambda: bomb(30_000), refused="TooManyPixels"),
    "a bomb of 6,400 x 6,400": Awkward(lambda: bomb(6_400), refused="TooManyPixels"),
    "GIF that says 65535 x 65535": Awkward(lambda: GIF_OF_65535, refused="TooManyPixels"),
    "JPEG that says 65500 x 65500": Awkward(
        lambda: claiming(encoded(scene(), "JPEG"), 65_500, 65_500), refused="TooManyPixels"
    ),
    "progressive JPEG of 40 megapixels in full colour resolution": Awkward(
        lambda: claiming(encoded(scene(), "JPEG", progressive=True, subsampling=0), 7300, 5400, b"\xff\xc2"),
        refused="TooManyPixels",
    ),
    "25 MB and a byte": Awkward(lambda: bytes(25_000_001), refused="TooManyBytes"),
}
"""What needs no time to make."""

LARGE: Mapping[str, Awkward] = {
    "JPEG of 40 megapixels": Awkward(lambda: encoded(large(7300, 5400), "JPEG", quality=80), "too many pixels"),
    "progressive JPEG of 40 megapixels": Awkward(
        lambda: encoded(large(7300, 5400), "JPEG", quality=80, progressive=True), "too many pixels"
    ),
    "PNG of 40 megapixels": Awkward(lambda: encoded(large(7300, 5400), "PNG", compress_level=1), "too many pixels"),
    "PNG of 25 MB": Awkward(
        lambda: encoded(noise(2880, 2880), "PNG", compress_level=0), "too many pixels, too many bytes"
    ),
    "RGBA of 12 megapixels": Awkward(
        lambda: encoded(large(4000, 3000).convert("RGBA"), "PNG", compress_level=1), "transparent, too many pixels"
    ),
    "WebP of 12 megapixels": Awkward(lambda: encoded(large(4032, 3024), "WEBP", method=0), "WEBP, too many pixels"),
    "WebP of 20 megapixels": Awkward(
        lambda: encoded(Image.new("RGB", (5000, 4000)), "WEBP", method=0), refused="TooManyPixels"
    ),
    "a panorama": Awkward(lambda: encoded(large(12_000, 300), "JPEG"), "too many pixels"),
    "a line of 70,000 pixels": Awkward(lambda: encoded(large(1, 70_000), "PNG"), "too many pixels"),
    "JPEG that is too heavy": Awkward(
        lambda: encoded(noise(2000, 2000), "JPEG", quality=95, subsampling=0), "too many bytes"
    ),
}
"""What takes up to a second each."""

PICTURES: Mapping[str, Awkward] = {**SMALL, **LARGE}
