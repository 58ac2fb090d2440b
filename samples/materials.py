"""Colours and materials of the products, free of the renderer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Rgb = tuple[float, float, float]
Finish = Literal[
    "brass", "ceramic", "enamel", "fabric", "flame", "fuzz", "glass", "glow", "iron", "leaf", "leather", "lens",
    "liquid", "matte", "metal", "paint", "pebble", "plastic", "shade", "tinted", "wax", "wicker", "wood",
]  # fmt: skip

#: The catalogue's colour words, each with the shades (sRGB) that products of that colour come in.
SHADES: dict[str, tuple[str, ...]] = {
    "black": ("0b0b0c", "101011"),
    "white": ("f0f0ee", "e9eaea"),
    "gray": ("7f8184", "8d9092"),
    "red": ("b80d16", "c4161c"),
    "orange": ("f0690c", "ea6008"),
    "yellow": ("f3c613", "efc81e"),
    "green": ("1f7d35", "2c8a3a"),
    "blue": ("1447b0", "1b58c4"),
    "purple": ("5f2796", "6f2fa6"),
    "pink": ("ee7fb0", "f08cba"),
    "brown": ("6e3f1e", "7c4823"),
}
#: Shades of details that no product is named after.
DETAIL_SHADES: dict[str, str] = {
    "brass": "d9a441", "steel": "c9cbcf", "iron": "33353a", "cream": "efe3c8", "tan": "c9a26b", "dark wood": "3a2a20",
    "leaf": "3d7a34", "soil": "2c1f17", "paper": "fbfaf5", "terracotta": "b5532f", "sand": "e3bf85",
}  # fmt: skip


def linear(shade: str) -> Rgb:
    """A colour word, the name of a detail shade or six hex digits (sRGB) as linear RGB in 0..1."""
    code = SHADES[shade][0] if shade in SHADES else DETAIL_SHADES.get(shade, shade)

    def channel(start: int) -> float:
        value = int(code[start : start + 2], 16) / 255
        return float(((value + 0.055) / 1.055) ** 2.4) if value > 0.04045 else value / 12.92

    return channel(0), channel(2), channel(4)


@dataclass(frozen=True)
class Print:
    """A pattern in a second colour (its word, and linear RGB), `repeat` times around or along the product.

    Only the rasteriser draws prints (raster.py).
    """

    pattern: str
    colour: str
    rgb: Rgb
    repeat: int


@dataclass(frozen=True)
class Material:
    """What a part is made of: `finish` says how it takes light, `rgb` is linear.

    `grain` is the axis (0, 1, 2) of wood grain where the part's longest side is the wrong guess; `roughness` (0..1)
    and `strength` (of a light source) replace the finish's own.
    """

    finish: Finish
    rgb: Rgb
    grain: int | None = None
    roughness: float | None = None
    strength: float | None = None
    print: Print | None = None


def material(finish: Finish, shade: str, *, grain: int | None = None, roughness: float | None = None) -> Material:
    """The material of that finish in that shade (see `linear`)."""
    return Material(finish, linear(shade), grain, roughness)


BRASS = material("metal", "brass", roughness=0.25)
STEEL = material("metal", "steel", roughness=0.22)
IRON = material("iron", "iron")
CLEAR_GLASS = material("glass", "ffffff")
