"""From where, in what light and before what a product is seen."""

from __future__ import annotations

import colorsys
import math
import random
from dataclasses import dataclass

from samples.assortment import Product

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


def mobile_views(product: Product, count: int) -> list[View]:
    """Pictures as customers take them: from an angle, in light and before a wall that no two have alike.

    The turn is anywhere between the two catalogue sides and 25 degrees beyond, the tilt up to 8 degrees beyond the
    kind's own; lamps are moved about the product and differ in strength and warmth; walls have any dull colour.
    """
    chance = product.chance("mobile views")
    sides, (low, high) = sorted(product.kind.turn), product.kind.tilt
    views = []
    for _ in range(count):
        turn, tilt = chance.uniform(sides[0] - 25, sides[1] + 25), chance.uniform(max(low - 4, 1), high + 8)
        light = _moved(chance.choice((WINDOW, EVENING)), chance)
        hue, depth, value = chance.random(), chance.uniform(0.0, 0.3), chance.uniform(0.35, 0.95)
        wall = "".join(f"{round(255 * channel):02x}" for channel in colorsys.hsv_to_rgb(hue, depth, value))
        views.append(View(turn, tilt, light, wall, chance.uniform(0.55, 0.85)))
    return views


def _moved(light: Light, chance: random.Random) -> Light:
    turn, strength, warmth = chance.uniform(-180, 180), chance.uniform(0.7, 1.3), chance.uniform(-0.12, 0.12)
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    lamps = []
    for lamp in light.lamps:
        x, y, z = lamp.position
        red, green, blue = lamp.rgb
        rgb = (min(red + warmth, 1.0), green, min(blue - warmth, 1.0))
        lamps.append(Lamp((x * cos - y * sin, x * sin + y * cos, z), lamp.size, lamp.watts * strength, rgb))
    return Light(tuple(lamps), light.ambient * chance.uniform(0.8, 1.4), light.ambient_rgb)


def second_catalogue_view(product: Product) -> View:
    """Another picture of the catalogue: the other side in the same studio."""
    chance = product.chance("second catalogue view")
    turn = product.kind.turn[(product.variant + 1) % 2] + chance.uniform(-6, 6)
    return View(turn, chance.uniform(*product.kind.tilt), STUDIO, backdrop(product))
