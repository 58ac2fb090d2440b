"""Which colours a product has: an 11-bin histogram of named colours over the foreground of a picture."""

import numpy as np
from numpy.typing import NDArray

NAMES = ("black", "white", "gray", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")
SIDE = 112
"""Pictures are looked at in this size, squeezed to a square."""

_BORDER = 5
_LEAST_FOREGROUND = 0.03
_BLACK, _WHITE, _GRAY, _RED, _ORANGE, _YELLOW, _GREEN, _BLUE, _PURPLE, _PINK, _BROWN = range(11)

Floats = NDArray[np.float32]


def histogram(pixels: NDArray[np.uint8]) -> Floats:
    """Shares of the named colours in the foreground.

    Args:
        pixels: uint8, (SIDE, SIDE, 3), RGB.

    Returns:
        float32 of shape (11,), in the order of NAMES, sum 1.
    """
    lab = _lab(pixels)
    weight = _foreground(lab)
    names = _named(np.divide(pixels.reshape(-1, 3), 255, dtype=np.float32))
    shares = np.bincount(names, weights=weight.ravel(), minlength=len(NAMES))
    return np.asarray(shares / shares.sum(), np.float32)


def _foreground(lab: Floats) -> Floats:
    """Weight of each pixel: unlike the border, not its shadow, near the middle; highlights count little."""
    border = np.concatenate([
        lab[:_BORDER].reshape(-1, 3),
        lab[:, :_BORDER].reshape(-1, 3),
        lab[:, -_BORDER:].reshape(-1, 3),
    ])  # fmt: skip
    backdrop = np.median(border, axis=0)
    difference = lab - backdrop
    chroma_off = np.hypot(difference[..., 1], difference[..., 2])
    distance = np.sqrt(np.square(difference).sum(-1))
    spread = float(np.median(np.sqrt(np.square(border - backdrop).sum(-1))))
    inside = distance > max(8.0, 3 * spread)
    # a cast shadow is the backdrop, darker: same chroma, somewhat lower lightness
    shadow = (chroma_off < 4) & (difference[..., 0] < 0) & (difference[..., 0] > -22)
    weight = (inside & ~shadow).astype(np.float32)
    if weight.mean() < _LEAST_FOREGROUND:
        weight = inside.astype(np.float32)
    if weight.mean() < _LEAST_FOREGROUND:
        weight = np.ones_like(weight)
    return np.asarray(weight * _CENTRE * _highlights(lab), np.float32)


def _highlights(lab: Floats) -> Floats:
    """Very light pixels without a hue are reflections more often than paint."""
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    return np.asarray(np.where((lab[..., 0] > 93) & (chroma < 8), 0.35, 1.0), np.float32)


def _centre() -> Floats:
    axis = np.linspace(-1, 1, SIDE, dtype=np.float32)
    return np.asarray(np.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / 1.2), np.float32)


_CENTRE = _centre()


def _named(rgb: Floats) -> NDArray[np.intp]:
    """Index of the named colour of each pixel; rgb (n, 3) in 0..1."""
    value = rgb.max(1)
    chroma = value - rgb.min(1)
    saturation = chroma / np.maximum(value, 1e-6)
    hue = _hue(rgb, value, chroma)
    name = np.full(len(rgb), _RED, np.intp)
    for low, high, colour in (
        (14, 42, _ORANGE),
        (42, 68, _YELLOW),
        (68, 170, _GREEN),
        (170, 256, _BLUE),
        (256, 305, _PURPLE),
        (305, 343, _PINK),
    ):
        name[(hue >= low) & (hue < high)] = colour
    reddish = (hue < 20) | (hue > 330)
    name[reddish & (saturation < 0.6) & (value > 0.72) & (saturation > 0.12)] = _PINK
    name[(hue >= 8) & (hue < 48) & (value < 0.68)] = _BROWN
    name[(hue >= 14) & (hue < 48) & (saturation < 0.5) & (value >= 0.55)] = _BROWN
    grey = (saturation < 0.16) | (chroma < 0.07)
    name[grey & (value > 0.78)] = _WHITE
    name[grey & (value <= 0.78)] = _GRAY
    name[value < 0.20] = _BLACK
    name[grey & (value < 0.28)] = _BLACK
    return name


def _hue(rgb: Floats, value: Floats, chroma: Floats) -> Floats:
    """Degrees, 0 to 360; 0 for grey."""
    red, green, blue = rgb.T
    safe = np.maximum(chroma, 1e-6)
    sector = np.where(
        value == red,
        ((green - blue) / safe) % 6,
        np.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    return np.asarray(np.where(chroma < 1e-6, 0, sector * 60), np.float32)


_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]],
    np.float32,
) / np.array([[0.95047], [1.0], [1.08883]], np.float32)  # relative to the D65 white


def _linear() -> Floats:
    levels = np.arange(256, dtype=np.float32) / 255
    return np.where(levels > 0.04045, ((levels + 0.055) / 1.055) ** 2.4, levels / 12.92).astype(np.float32)


_LINEAR = _linear()


def _lab(pixels: NDArray[np.uint8]) -> Floats:
    """sRGB to CIE L*a*b* (D65), float32 of the same shape."""
    xyz = _LINEAR[pixels] @ _TO_XYZ.T
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1).astype(np.float32)
