"""What makes a room one's own."""

from __future__ import annotations

import numpy as np

from samples.geometry import Part, Points, circle, curve, ellipsoid, fillet, grid, lathe, rounded_box, tube, wall
from samples.kinds.design import Design, moved
from samples.materials import BRASS, CLEAR_GLASS, STEEL, Material, linear, material


def vase(design: Design) -> list[Part]:
    knots = design.pick(
        [
            (0, 0),
            (0.3, 0),
            (0.34, 0.03),
            (0.55, 0.55),
            (0.6, 0.95),
            (0.42, 1.4),
            (0.24, 1.65),
            (0.24, 1.85),
            (0.36, 2.05),
        ],
        [
            (0, 0),
            (0.26, 0),
            (0.3, 0.04),
            (0.38, 0.6),
            (0.52, 1.3),
            (0.55, 1.6),
            (0.36, 1.85),
            (0.3, 1.95),
            (0.36, 2.05),
        ],
        [
            (0, 0),
            (0.42, 0),
            (0.5, 0.06),
            (0.7, 0.45),
            (0.66, 0.8),
            (0.3, 1.15),
            (0.18, 1.45),
            (0.17, 1.8),
            (0.26, 2.05),
        ],
        [(0, 0), (0.3, 0), (0.32, 0.04), (0.3, 0.3), (0.42, 0.9), (0.5, 1.4), (0.42, 1.75), (0.44, 1.9), (0.58, 2.05)],
    )

    def flutes(turn: Points, height: Points) -> Points:
        fade = np.clip((height - 0.1) / 0.3, 0, 1) * np.clip((1.9 - height) / 0.3, 0, 1)
        return np.asarray(1 + 0.025 * np.cos(16 * turn) * fade)

    return [Part(lathe(wall(curve(knots, 10), 0.035), 96, flutes if design.shape == 3 else None), design.body)]


def table_lamp(design: Design) -> list[Part]:
    knots = design.pick(
        [(0, 0), (0.4, 0), (0.42, 0.04), (0.2, 0.1), (0.12, 0.2), (0.34, 0.55), (0.36, 0.75), (0.1, 1.1), (0.06, 1.2)],
        [(0, 0), (0.35, 0), (0.37, 0.05), (0.34, 0.1), (0.36, 0.5), (0.3, 0.9), (0.1, 1.1), (0.06, 1.2)],
        [(0, 0), (0.42, 0), (0.42, 0.06), (0.12, 0.1), (0.08, 0.2), (0.08, 1.2)],
        [(0, 0), (0.3, 0), (0.32, 0.05), (0.45, 0.35), (0.3, 0.75), (0.1, 1.05), (0.06, 1.2)],
    )
    base = fillet(knots, 0.03) if design.shape == 2 else curve(knots)
    (low_radius, low), (high_radius, high) = design.pick([(0.72, 1.2), (0.42, 1.95)], [(0.66, 1.2), (0.55, 1.9)])
    shade = [(low_radius, low), (high_radius, high), (high_radius - 0.015, high), (low_radius - 0.015, low)]
    glow = Material("glow", linear("ffe2b0"), strength=4.0)
    return [
        Part(lathe(np.vstack([base, [(0.04, 1.5), (0, 1.5)]]), 64), design.body),
        Part(lathe(shade, 80), Material("shade", design.body.rgb)),
        Part(ellipsoid((0.11, 0.11, 0.14), 16).moved(0, 0, 1.55), glow),
    ]


def candle(design: Design) -> list[Part]:
    radius, top = design.pick((0.3, 1.0), (0.24, 1.4), (0.36, 0.8), (0.3, 1.2))
    wax = [
        (0, 0.12),
        (radius, 0.12),
        (radius, top),
        (radius * 0.9, top + 0.02),
        (radius * 0.7, top - 0.04),
        (0, top - 0.05),
    ]
    wick = [(0, 0, top - 0.05), (0.01, 0, top + 0.05), (0.03, 0, top + 0.12)]
    flame = [(0, 0.07), (0.06, 0.14), (0.055, 0.22), (0.02, 0.36), (0, 0.42)]
    dish = [(0, 0), (radius * 1.3, 0), (radius * 1.45, 0.08), (radius * 1.41, 0.1), (radius * 1.2, 0.05), (0, 0.12)]
    return [
        Part(lathe(fillet(wax, 0.04), 64), design.body),
        Part(tube(wick, 0.018, 8), material("matte", "black")),
        Part(lathe(curve(flame), 24).moved(0, 0, top), Material("flame", linear("ffb648"), strength=9.0)),
        Part(lathe(fillet(dish, 0.03), 64), design.pick(STEEL, BRASS)),
    ]


def leaf(length: float, spread: float) -> Points:
    """(12, 5, 3) grid of an arched leaf that starts at a pot's soil and leans out along x."""
    t = np.linspace(0, 1, 12)
    across = np.linspace(-1, 1, 5)
    half_width = 0.12 * np.sin(np.pi * np.clip(t * 0.93 + 0.07, 0, 1)) ** 0.8
    points = np.zeros((12, 5, 3))
    points[..., 0] = (0.06 + spread * length * t)[:, None]
    points[..., 1] = half_width[:, None] * across
    rise = 0.84 + length * 1.1 * t - 0.825 * spread * length * t * t
    points[..., 2] = rise[:, None] + 0.05 * np.abs(across) * half_width[:, None] / 0.12
    return points


def plant_pot(design: Design) -> list[Part]:
    outside = design.pick(
        fillet([(0, 0), (0.5, 0), (0.74, 0.9), (0.8, 0.9), (0.82, 1.12), (0.74, 1.12)], 0.02),
        curve([(0, 0), (0.48, 0), (0.53, 0.05), (0.76, 0.6), (0.7, 1.1)]),
    )
    chance = design.random()
    parts = [
        Part(lathe(wall(outside, 0.05)), design.body),
        Part(lathe([(0.69, 1.0), (0, 1.03)], 48), material("matte", "soil")),
    ]
    for k in range(26):
        rank = k / 26
        turn = np.rad2deg(k * 2.4 + chance.uniform(-0.2, 0.2))
        length = chance.uniform(0.5, 0.85) * (1 - 0.3 * rank)
        blade = grid(leaf(length, 0.15 + 0.7 * (1 - rank))).rotated("z", float(turn)).moved(0, 0, 0.17)
        parts.append(Part(blade, material("leaf", "leaf")))
    return parts


def hourglass(design: Design) -> list[Part]:
    glass = curve(
        [(0, 0.14), (0.2, 0.14), (0.42, 0.25), (0.45, 0.5), (0.25, 0.82), (0.06, 0.98), (0.06, 1.02), (0.25, 1.18),
         (0.45, 1.5), (0.42, 1.75), (0.2, 1.86), (0, 1.86)]
    )  # fmt: skip
    inside = np.column_stack([np.maximum(glass[:, 0] - 0.02, 0), 1 + (glass[:, 1] - 1) * 0.975])
    fallen = curve([(0, 0.17), (0.2, 0.17), (0.39, 0.27), (0.42, 0.42), (0.34, 0.55), (0.12, 0.74), (0, 0.78)], 6)
    waiting = curve([(0, 1.02), (0.05, 1.03), (0.23, 1.19), (0.4, 1.45), (0.39, 1.5), (0, 1.44)], 6)
    disc = fillet([(0, 0), (0.56, 0), (0.6, 0.04), (0.6, 0.1), (0.54, 0.15), (0, 0.15)], 0.03)
    post = curve(
        [(0, 0.1), (0.065, 0.1), (0.06, 0.3), (0.085, 0.6), (0.05, 0.95), (0.05, 1.05), (0.085, 1.4), (0.06, 1.7),
         (0.065, 1.9), (0, 1.9)], 6
    )  # fmt: skip
    sand = Material("matte", design.body.rgb)
    parts = [
        Part(lathe(np.vstack([glass, inside[::-1]]), 64), CLEAR_GLASS),
        Part(lathe(fallen, 48), sand),
        Part(lathe(waiting, 48), sand),
        Part(lathe(disc, 64), design.body),
        Part(lathe(disc, 64).moved(0, 0, 1.85), design.body),
    ]
    for turn in np.deg2rad([30, 150, 270]):
        parts.append(Part(lathe(post, 20).moved(0.5 * np.cos(turn), 0.5 * np.sin(turn), 0), design.body))
    return parts


def wall_clock(design: Design) -> list[Part]:
    """The dial carries the colour; numerals are bars. Shape 1 has a broad rim, shape 2 a white one."""
    mark = material("matte", "black" if design.colour in ("white", "yellow") else "paper")
    rim = design.pick(design.body, design.body, material("plastic", "paper"), design.body)
    around = circle(1.0, 0.0, 100)[:, [0, 2, 1]]
    parts = [
        Part(tube(around, design.pick(0.09, 0.13, 0.09, 0.07), 16, closed=True), rim),
        Part(lathe([(1, 0), (0, 0.001)], 80).rotated("x", 90), Material("plastic", design.body.rgb)),
    ]
    for minute in range(60):
        length, width = (0.18, 0.055) if minute % 5 == 0 else (0.05, 0.014)
        bar = rounded_box((width, 0.01, length), 0.002, 1).moved(0, -0.012, 0.86 - length / 2)
        parts.append(Part(bar.rotated("y", 6 * minute), mark))
    for turn, length, width in ((-55, 0.55, 0.07), (62, 0.78, 0.05)):
        hand = rounded_box((width, 0.012, length), 0.004, 1).moved(0, -0.03, length / 2 - 0.06)
        parts.append(Part(hand.rotated("y", turn), mark))
    parts.append(Part(ellipsoid((0.06, 0.03, 0.06), 12).moved(0, -0.03, 0), mark))
    return moved(parts, 0, 0, 1.1)


def piggy_bank(design: Design) -> list[Part]:
    """Faces right: snout at +x."""
    skin, black = design.body, material("plastic", "black")
    fat = design.pick(1.0, 0.92, 1.08, 1.0)
    parts = [Part(ellipsoid((0.85, 0.62 * fat, 0.6 * fat), 48).moved(0, 0, 0.85), skin)]
    snout = fillet([(0, 0), (0.23, 0), (0.21, 0.26), (0, 0.26)], 0.05)
    parts.append(Part(ellipsoid((0.4, 0.42, 0.4), 32).moved(0.62, 0, 0.98), skin))
    parts.append(Part(lathe(snout, 40).rotated("y", 90).moved(0.9, 0, 0.92), skin))
    parts += [Part(ellipsoid((0.02, 0.04, 0.06), 12).moved(1.165, y, 0.93), black) for y in (-0.08, 0.08)]
    parts += [Part(ellipsoid((0.04, 0.04, 0.055), 16).moved(0.93, y, 1.17), black) for y in (-0.2, 0.2)]
    for y in (-0.26, 0.26):
        ear = ellipsoid((0.06, 0.15, 0.22), 20).rotated("y", 25).rotated("x", -25 * np.sign(y)).moved(0.6, y, 1.38)
        parts.append(Part(ear, skin))
    leg = lathe(fillet([(0, 0), (0.15, 0), (0.19, 0.5), (0, 0.5)], 0.04), 32)
    parts += [Part(leg.moved(x, y, 0), skin) for x in (-0.42, 0.42) for y in (-0.3, 0.3)]
    turn = np.linspace(0, 3.2 * np.pi, 40)
    tail = np.column_stack([-0.82 - 0.09 * turn / 3, 0.08 * np.sin(turn), 0.95 + 0.08 * np.cos(turn)])
    parts.append(Part(tube(tail, 0.03, 10), skin))
    slot = rounded_box((0.34, 0.06, 0.03), 0.01).moved(-0.05, 0, 0.85 + 0.6 * fat)
    return [*parts, Part(slot, black)]
