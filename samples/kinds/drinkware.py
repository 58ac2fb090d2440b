"""What one pours from and drinks from."""

from __future__ import annotations

import numpy as np

from samples.geometry import Part, Points, curve, fillet, lathe, rounded_box, tube, wall
from samples.kinds.design import Design
from samples.materials import BRASS, CLEAR_GLASS, material


def radius_at(profile: Points, height: float) -> float:
    """The radius of an upright (radius, height) profile at `height`."""
    return float(np.interp(height, profile[:, 1], profile[:, 0]))


def coffee_mug(design: Design) -> list[Part]:
    height, radius = design.pick((1.05, 0.46), (0.95, 0.5), (1.2, 0.42), (1.0, 0.48))
    flare = 1.06 if design.shape == 3 else 1
    foot = [(0, 0.03), (radius * 0.8, 0.03), (radius * 0.84, 0), (radius * 0.95, 0.02), (radius, 0.12)]
    outside = fillet([*foot, (radius * flare, height)], 0.06)
    handle = [
        (radius - 0.02, 0, height * 0.82), (radius + 0.2, 0, height * 0.84), (radius + 0.34, 0, height * 0.62),
        (radius + 0.3, 0, height * 0.36), (radius + 0.12, 0, height * 0.2), (radius - 0.02, 0, height * 0.2),
    ]  # fmt: skip
    return [
        Part(lathe(wall(outside, 0.04), 80), design.body),
        Part(tube(curve(handle), 0.06, flat=1.3), design.body),
        Part(lathe([(radius - 0.03, height * 0.86), (0, height * 0.86)], 48), material("ceramic", "3a1d0c")),
    ]


def teapot(design: Design) -> list[Part]:
    k = design.pick(1.0, 0.85, 1.1, 0.95)
    profile = curve([(0, 0), (0.42, 0), (0.45, 0.04), (0.72, 0.3), (0.8, 0.62), (0.68, 0.95), (0.4, 1.12)])
    body = profile * [1, k]
    top = float(body[-1, 1])
    lid = [(0.42, -0.01), (0.42, 0.03), (0.3, 0.12), (0.12, 0.18), (0.06, 0.2)]
    knob = [(0.05, 0.19), (0.05, 0.23), (0.1, 0.28), (0.09, 0.35), (0.0, 0.38)]
    spout = curve(
        [(0.6, 0, 0.38 * k), (0.95, 0, 0.45 * k), (1.1, 0, 0.75 * k), (1.25, 0, 1.05 * k), (1.38, 0, 1.12 * k)]
    )
    bore = np.linspace(0.2, 0.085, len(spout))
    bore[-4:] += 0.015
    handle = [
        (-0.62, 0, 0.98 * k), (-0.95, 0, 1.08 * k), (-1.2, 0, 0.9 * k),
        (-1.15, 0, 0.55 * k), (-0.9, 0, 0.35 * k), (-0.72, 0, 0.35 * k),
    ]  # fmt: skip
    return [
        Part(lathe(np.vstack([body, [(0, top)]]), 80), design.body),
        Part(lathe(curve(lid, 6), 64).moved(0, 0, top), design.body),
        Part(lathe(curve(knob, 6), 40).moved(0, 0, top), design.body),
        Part(tube(spout, bore, 24), design.body),
        Part(tube(curve(handle), 0.07, flat=1.3), design.body),
    ]


def pitcher(design: Design) -> list[Part]:
    outside = curve(
        design.pick(
            [(0, 0), (0.42, 0), (0.46, 0.04), (0.62, 0.5), (0.56, 0.95), (0.38, 1.3), (0.36, 1.55), (0.48, 1.8)],
            [(0, 0), (0.5, 0), (0.53, 0.05), (0.5, 0.7), (0.44, 1.3), (0.46, 1.75)],
            [(0, 0), (0.36, 0), (0.4, 0.04), (0.52, 0.4), (0.54, 0.9), (0.4, 1.4), (0.4, 1.6), (0.5, 1.85)],
            [(0, 0), (0.48, 0), (0.5, 0.05), (0.6, 0.6), (0.48, 1.2), (0.4, 1.5), (0.5, 1.8)],
        )
    )
    top = float(outside[-1, 1])

    def pour_lip(points: Points) -> Points:
        angle = np.arctan2(points[:, 1], points[:, 0])
        pull = np.exp(-((angle / 0.35) ** 2)) * np.clip((points[:, 2] - top * 0.78) / (top * 0.22), 0, 1) ** 2
        out = points.copy()
        out[:, :2] *= (1 + 0.5 * pull)[:, None]
        out[:, 2] += 0.1 * pull
        return out

    upper, lower = radius_at(outside, top * 0.9), radius_at(outside, top * 0.35)
    handle = [
        (0.03 - upper, 0, top * 0.9), (-upper - 0.3, 0, top * 0.95), (-upper - 0.46, 0, top * 0.72),
        (-lower - 0.2, 0, top * 0.4), (0.03 - lower, 0, top * 0.33),
    ]  # fmt: skip
    return [
        Part(lathe(wall(outside, 0.035), 96).bent(pour_lip), design.body),
        Part(tube(curve(handle), 0.065, flat=1.4), design.body),
    ]


def wine_glass(design: Design) -> list[Part]:
    """A clear glass; the wine in it carries the colour."""
    bowl, top = design.pick((0.52, 2.1), (0.46, 2.2), (0.42, 2.3), (0.56, 2.0))
    foot = fillet([(0, 0), (0.42, 0), (0.43, 0.02), (0.1, 0.07), (0.045, 0.16)], 0.05)
    stem_and_bowl = [
        (0.04, 0.3), (0.04, 0.8), (0.06, 0.95), (0.3, 1.08), (bowl, 1.4), (bowl * 0.97, 1.75), (bowl * 0.82, top),
    ]  # fmt: skip
    rim = [(bowl * 0.82 - 0.009, top + 0.01)]
    inside = [
        (bowl * 0.82 - 0.018, top), (bowl * 0.97 - 0.02, 1.75), (bowl - 0.02, 1.4), (0.3, 1.11), (0.1, 1.02), (0, 1.0),
    ]  # fmt: skip
    glass = np.vstack([foot, curve(stem_and_bowl, 10), rim, curve(inside, 10)])
    level = top - 0.22
    filled = curve([(0, 1.005), (0.1, 1.025), (0.3, 1.115), (bowl - 0.021, 1.4), (bowl * 0.97 - 0.021, 1.75)], 10)
    filled = filled[filled[:, 1] < level]
    surface = float(np.interp(level, [1.75, top], [bowl * 0.97 - 0.021, bowl * 0.82 - 0.019]))
    wine = np.vstack([filled, [(surface, level), (0, level)]])
    return [Part(lathe(glass, 96), CLEAR_GLASS), Part(lathe(wine, 96), design.body)]


def beer_glass(design: Design) -> list[Part]:
    straight = design.shape == 1
    knots = design.pick(
        [(0, 0), (0.34, 0), (0.36, 0.04), (0.42, 0.6), (0.5, 1.3), (0.53, 1.75)],
        [(0, 0), (0.4, 0), (0.42, 0.05), *((0.42, 0.1 * k) for k in range(1, 16))],
        [(0, 0), (0.34, 0), (0.36, 0.05), (0.34, 0.3), (0.46, 0.9), (0.5, 1.3), (0.44, 1.75)],
        [(0, 0), (0.36, 0), (0.37, 0.04), (0.4, 0.8), (0.55, 1.2), (0.5, 1.7)],
    )
    outside = fillet(knots, 0.05) if straight else curve(knots)
    top = float(outside[-1, 1])
    level, brim = top * 0.8, float(outside[-1, 0]) - 0.03
    filled = outside[outside[:, 1] < level]
    surface = radius_at(outside, level) - 0.029
    beer = np.vstack(
        [
            [(0, 0.06)],
            np.column_stack([np.maximum(filled[:, 0] - 0.028, 0), np.maximum(filled[:, 1], 0.06)])[1:],
            [(surface, level), (0, level)],
        ]
    )
    foam = [(0, level + 0.001), (surface, level + 0.001), (brim, top * 0.99), (brim * 0.97, top * 1.03),
            (brim * 0.6, top * 1.07), (0, top * 1.08)]  # fmt: skip
    parts = [
        Part(lathe(wall(outside, 0.03)), CLEAR_GLASS),
        Part(lathe(beer), design.body),
        Part(lathe(fillet(foam, 0.05)), material("matte", "fff6e0")),
    ]
    if straight:
        handle = [(0.41, 0, 1.25), (0.7, 0, 1.28), (0.8, 0, 1.0), (0.78, 0, 0.55), (0.68, 0, 0.35), (0.41, 0, 0.35)]
        parts.append(Part(tube(curve(handle), 0.06), CLEAR_GLASS))
    return parts


def water_bottle(design: Design) -> list[Part]:
    height, radius = design.pick((1.35, 0.36), (1.5, 0.34), (1.2, 0.38), (1.4, 0.33))
    lower = fillet([(0, 0), (radius - 0.03, 0), (radius, 0.04), (radius, height)], 0.05)
    shoulder = [(radius, 0.05), (radius * 0.92, 0.2), (0.2, 0.33), (0.19, 0.4), (0, 0.4)]
    cap = [(0.0, 0.38), (0.24, 0.38), (0.24, 0.65), (0.2, 0.69), (0, 0.69)]
    turn = np.linspace(0, np.pi, 20)
    loop = np.column_stack([0.2 * np.cos(turn), 0 * turn, height + 0.65 + 0.2 * np.sin(turn)])
    black = material("plastic", "black")
    upper = curve(shoulder, 6) + np.array([0, height])
    return [
        Part(lathe(np.vstack([lower, upper])), design.body),
        Part(lathe(fillet(cap, 0.03), 60).moved(0, 0, height), black if design.colour != "black" else design.body),
        Part(tube(loop, 0.035, 10), black),
    ]


def perfume_bottle(design: Design) -> list[Part]:
    if design.shape % 2 == 0:
        bottle = [
            Part(rounded_box((1.0, 0.5, 1.1), 0.08, 4).moved(0, 0, 0.55), design.body),
            Part(rounded_box((0.5, 0.01, 0.3), 0.004).moved(0, -0.255, 0.5), material("matte", "cream")),
        ]
    else:
        profile = curve([(0, 0), (0.4, 0), (0.45, 0.05), (0.62, 0.5), (0.5, 0.9), (0.2, 1.1), (0, 1.12)])
        bottle = [Part(lathe(profile), design.body)]
    collar = fillet([(0, 1.08), (0.2, 1.08), (0.2, 1.2), (0, 1.2)], 0.02)
    stopper = fillet([(0, 1.2), (0.14, 1.2), (0.16, 1.24), (0.16, 1.5), (0.12, 1.54), (0, 1.54)], 0.03)
    return [*bottle, Part(lathe(collar, 48), BRASS), Part(lathe(stopper, 48), BRASS)]
