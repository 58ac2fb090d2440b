"""What stands in a kitchen."""

from __future__ import annotations

import numpy as np

from samples.geometry import Part, curve, ellipsoid, fillet, lathe, ring, rounded_box, tube, wall
from samples.kinds.design import Design
from samples.materials import IRON, STEEL, material


def mixing_bowl(design: Design) -> list[Part]:
    outside = design.pick(
        curve([(0, 0.02), (0.3, 0.02), (0.34, 0), (0.4, 0.03), (0.75, 0.3), (0.95, 0.65), (1.0, 0.8)]),
        fillet([(0, 0), (0.45, 0), (0.6, 0.1), (0.95, 0.7), (1.0, 0.72)], 0.2),
        curve([(0, 0), (0.4, 0), (0.75, 0.18), (0.93, 0.5), (0.95, 0.85)]),
        curve([(0, 0), (0.35, 0), (0.4, 0.1), (0.8, 0.3), (1.05, 0.7)]),
    )
    return [Part(lathe(wall(outside, 0.035), 96), design.body)]


def frying_pan(design: Design) -> list[Part]:
    outside = fillet([(0, 0), (0.72, 0), (0.95, 0.24), (1.0, 0.25)], 0.12)
    handle = [(0.95, 0, 0.2), (1.2, 0, 0.28), (1.6, 0, 0.36), (2.1, 0, 0.42), (2.25, 0, 0.42)]
    grip = design.pick(material("plastic", "black"), design.body, material("wood", "brown"), design.body)
    return [
        Part(lathe(wall(outside, 0.035), 96), design.body),
        Part(tube(curve(handle, 6), 0.075, 14, flat=1.4), grip),
    ]


def salt_shaker(design: Design) -> list[Part]:
    body = curve([(0, 0), (0.36, 0), (0.38, 0.04), (0.3, 0.5), (0.26, 1.0)])
    cap = fillet([(0, 0.98), (0.29, 0.98), (0.3, 1.25), (0.22, 1.38), (0, 1.42)], 0.08)
    sides = 8 if design.shape % 2 == 0 else 64
    holes = []
    for k in range(7):
        away, drop = (0.0, 0.0) if k == 6 else (0.1, 0.012)
        x, y = away * np.cos(k * np.pi / 3), away * np.sin(k * np.pi / 3)
        hole = ellipsoid((0.018, 0.018, 0.006), 8).moved(x, y, 1.415 - drop)
        holes.append(Part(hole, material("matte", "black")))
    return [Part(lathe(wall(body, 0.03), sides), design.body), Part(lathe(cap, 64), STEEL), *holes]


def bucket(design: Design) -> list[Part]:
    outside = fillet([(0, 0.03), (0.5, 0.03), (0.52, 0), (0.54, 0.03), (0.72, 1.15)], 0.02)
    parts = [Part(lathe(wall(outside, 0.025), 80), design.body), Part(ring(0.735, 1.16, 0.03, 80), design.body)]
    parts += [Part(ring(0.548 + 0.18 * z / 1.15, z, 0.018, 80), design.body) for z in (0.35, 0.8)]
    turn = np.linspace(0, np.pi, 40)
    upright = design.shape % 2 == 0
    if upright:
        bail = np.column_stack([0.75 * np.cos(turn), 0 * turn, 1.08 + 0.75 * np.sin(turn)])
        grip = tube([(-0.16, 0, 1.83), (0.16, 0, 1.83)], 0.05, 14)
        parts.append(Part(grip, material("wood", "tan")))
    else:
        bail = np.column_stack([0.75 * np.cos(turn), -0.7 * np.sin(turn), 1.08 - 0.25 * np.sin(turn)])
    parts.append(Part(tube(bail, 0.02, 10), IRON))
    ears = [rounded_box((0.05, 0.16, 0.16), 0.02).moved(x, 0, 1.05) for x in (-0.73, 0.73)]
    return parts + [Part(ear, design.body) for ear in ears]


def toaster(design: Design) -> list[Part]:
    width = design.pick(1.5, 1.3, 1.6, 1.4)
    body = rounded_box((width, 0.85, 0.95), design.pick(0.22, 0.12, 0.3, 0.18), 6).moved(0, 0, 0.55)
    black, bread = material("plastic", "black"), material("matte", "c98a45")
    parts = [Part(body, design.body), Part(rounded_box((width * 0.92, 0.75, 0.14), 0.03).moved(0, 0, 0.07), black)]
    for y in (-0.17, 0.17):
        parts.append(Part(rounded_box((width * 0.7, 0.15, 0.02), 0.005).moved(0, y, 1.025), IRON))
        parts.append(Part(rounded_box((width * 0.55, 0.09, 0.4), 0.04).moved(0, y, 1.08), bread))
    end = width / 2
    parts.append(Part(rounded_box((0.02, 0.07, 0.5), 0.008).moved(end, 0, 0.58), black))
    parts.append(Part(rounded_box((0.13, 0.26, 0.08), 0.03).moved(end + 0.06, 0, 0.72), black))
    dial = lathe(fillet([(0, 0), (0.09, 0), (0.08, 0.06), (0, 0.06)], 0.02), 32).rotated("y", 90)
    return [*parts, Part(dial.moved(end, -0.22, 0.35), STEEL)]
