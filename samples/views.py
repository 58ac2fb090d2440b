"""From where, in what light and before what a product is seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from samples.assortment import Product
from samples.geometry import Points
from samples.geometry.mesh import rotation

FIELD_OF_VIEW = np.deg2rad(28)
LIGHT_PRODUCTS = {"white", "gray"}
CLEAR_KINDS = {"beer glass", "hourglass", "wine glass"}


@dataclass(frozen=True)
class Lamp:
    """A square softbox: position before the camera (x right, y away, z up; the product is 2 across), size, watts."""

    position: tuple[float, float, float]
    size: float
    watts: float
    rgb: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Light:
    """The lamps, and the strength and colour (linear) of the light from everywhere."""

    lamps: tuple[Lamp, ...]
    ambient: float
    ambient_rgb: tuple[float, float, float] = (1.0, 1.0, 1.0)


STUDIO = Light(
    (
        Lamp((-3.2, -2.6, 4.2), 2.2, 220),
        Lamp((3.6, -2.2, 2.4), 2.6, 90),
        Lamp((0.6, 3.0, 4.6), 2.0, 110),
    ),
    ambient=0.5,
)
WINDOW = Light((Lamp((4.2, -1.4, 2.6), 3.4, 330, (0.93, 0.97, 1.0)), Lamp((-3.0, -3.0, 3.0), 2.0, 35)), ambient=0.38)
EVENING = Light(
    (Lamp((-2.4, -3.4, 3.4), 1.2, 210, (1.0, 0.9, 0.78)), Lamp((2.6, 2.8, 3.8), 1.4, 110, (1.0, 0.92, 0.82))),
    ambient=0.34,
    ambient_rgb=(1.0, 0.96, 0.9),
)


@dataclass(frozen=True)
class View:
    """`turn` and `tilt` of the camera in degrees; `fill` is the share of the frame the product takes."""

    turn: float
    tilt: float
    light: Light
    backdrop: str
    fill: float = 0.8


def backdrop(product: Product) -> str:
    """Near white (sRGB hex), or grey where a near-white one would swallow the product or its glass."""
    if product.colour in LIGHT_PRODUCTS:
        return "c4c6c9"
    return "e4e5e6" if product.kind.noun in CLEAR_KINDS else "f4f4f4"


def catalogue_view(product: Product) -> View:
    """The picture of the catalogue."""
    chance = product.chance("catalogue view")
    turn = product.kind.turn[product.variant % 2] + chance.uniform(-6, 6)
    return View(turn, chance.uniform(*product.kind.tilt), STUDIO, backdrop(product))


def query_views(product: Product) -> dict[str, View]:
    """Suffix of the file name → a picture as a customer might take it: other side, light and background."""
    chance = product.chance("query views")
    here, there = product.kind.turn[product.variant % 2], product.kind.turn[(product.variant + 1) % 2]
    low, high = product.kind.tilt
    window = View(there + chance.uniform(-8, 8), chance.uniform(low, high), WINDOW, chance.choice(ROOMS), 0.74)
    evening = View(here + chance.uniform(-14, 14), high + chance.uniform(0, 6), EVENING, chance.choice(ROOMS), 0.7)
    return {"b": window, "c": evening}


#: Walls and table tops of the query pictures (sRGB).
ROOMS = ("d8cdbb", "b9c2c4", "cfd6cc", "a9a29a", "dcd3d0")


@dataclass(frozen=True)
class Frame:
    """Where the camera stands, and the shares of the picture's width and height that the product takes.

    `backwards` points from `target` to the camera. The product is in the middle of the picture.
    """

    target: Points
    backwards: Points
    distance: float
    width: float
    height: float


def frame(view: View, vertices: Points) -> Frame:
    """A camera whose picture `vertices` (n, 3; about 2 across) fill to `view.fill`, found in a few steps."""
    tilt = np.deg2rad(view.tilt)
    backwards = rotation("z", view.turn) @ np.array([0, -np.cos(tilt), np.sin(tilt)])
    right = np.cross(-backwards, [0, 0, 1])
    right = right / np.linalg.norm(right)
    up = np.cross(right, -backwards)
    target, distance = (vertices.max(0) + vertices.min(0)) / 2, 4.0
    for _ in range(8):
        seen = vertices - (target + backwards * distance)
        depth = seen @ -backwards
        x, y = seen @ right / depth, seen @ up / depth
        target = target + (right * (x.max() + x.min()) + up * (y.max() + y.min())) / 2 * distance
        distance *= max(np.ptp(x), np.ptp(y)) / 2 / (view.fill * np.tan(FIELD_OF_VIEW / 2))
    shares = np.array([np.ptp(x), np.ptp(y)])
    width, height = view.fill * shares / shares.max()
    return Frame(target, backwards, distance, float(width), float(height))
