"""What one makes music with."""

from __future__ import annotations

import numpy as np

from samples.geometry import Part, curve, ellipsoid, extrude, fillet, lathe, ring, rounded_box, tube
from samples.kinds.design import Design, moved, rotated
from samples.materials import STEEL, material


def drum(design: Design) -> list[Part]:
    height = design.pick(0.9, 0.6, 1.1, 0.8)
    tan = material("wood", "tan")
    parts = [
        Part(lathe([(0, 0.02), (0.9, 0.02), (0.9, height - 0.02)], 96), design.body),
        Part(lathe(fillet([(0.9, height - 0.02), (0.88, height), (0, height)], 0.02), 96), material("matte", "fbf8ee")),
        Part(ring(0.93, 0.05, 0.045, 100), STEEL),
        Part(ring(0.93, height - 0.04, 0.045, 100), STEEL),
    ]
    for turn in 2 * np.pi * np.arange(10) / 10:
        x, y = 0.95 * np.cos(turn), 0.95 * np.sin(turn)
        parts.append(Part(tube([(x, y, 0.03), (x, y, height - 0.03)], 0.018, 8), STEEL))
        parts.append(Part(ellipsoid((0.05, 0.05, 0.13), 10).moved(x, y, height / 2), STEEL))
    for side in (-1, 1):
        stick = [
            (-0.55, 0.3 * side - 0.25, height + 0.05),
            (0.95, 0.22 * side - 0.2, height + 0.08),
            (1.1, 0.21 * side - 0.2, height + 0.09),
        ]
        parts.append(Part(tube(stick, [0.03, 0.03, 0.05], 12), tan))
    return parts


def acoustic_guitar(design: Design) -> list[Part]:
    """Upright, facing the viewer; the top and sides carry the colour."""
    waist = design.pick(0.46, 0.5, 0.42, 0.48)
    half = curve(
        [
            (0, 0),
            (0.36, 0.04),
            (0.7, 0.28),
            (0.72, 0.6),
            (waist + 0.03, 1.0),
            (0.54, 1.4),
            (0.42, 1.68),
            (0.1, 1.8),
            (0, 1.81),
        ],
        6,
    )
    outline = np.vstack([half, (half * [-1, 1])[::-1][1:-1]])
    dark, steel = material("wood", "dark wood", grain=2), STEEL
    body = extrude(outline, 0.36).rotated("x", 90)
    edge = tube(np.column_stack([outline[:, 0], np.full(len(outline), -0.18), outline[:, 1]]), 0.022, 8, closed=True)
    hole = lathe([(0, -0.004), (0.2, -0.004), (0.2, 0.004), (0, 0.004)], 48).rotated("x", 90).moved(0, -0.184, 1.12)
    rosette = ring(0.23, 0, 0.018).rotated("x", 90).moved(0, -0.184, 1.12)
    cream = material("plastic", "cream")
    parts = [
        Part(body, design.body, smooth=False),
        Part(edge, cream),
        Part(hole, material("matte", "black")),
        Part(rosette, cream),
        Part(rounded_box((0.46, 0.05, 0.08), 0.015).moved(0, -0.2, 0.52), dark),
        Part(rounded_box((0.18, 0.09, 1.9), 0.02).moved(0, -0.18, 2.35), dark),
        Part(rounded_box((0.28, 0.07, 0.5), 0.03).rotated("x", -8).moved(0, -0.15, 3.5), design.body),
    ]
    for k in range(14):
        parts.append(Part(rounded_box((0.18, 0.012, 0.012), 0.003, 1).moved(0, -0.228, 3.2 - 0.1 * k), steel))
    for k in range(6):
        x = -0.07 + 0.028 * k
        parts.append(Part(tube([(x, -0.232, 0.52), (x, -0.24, 3.28)], 0.005, 6), steel))
    for side in (-1, 1):
        for k in range(3):
            parts.append(Part(ellipsoid((0.05, 0.03, 0.045), 12).moved(side * 0.19, -0.15, 3.35 + 0.14 * k), cream))
    return parts


def maraca(design: Design) -> list[Part]:
    """A crossed pair, one leaning each way."""
    head = [(0, 0), (0.1, 0.02), (0.34, 0.3), (0.42, 0.65), (0.3, 0.98), (0, 1.1)]
    handle = [(0, -1.1), (0.12, -1.1), (0.14, -1.0), (0.07, -0.75), (0.075, 0.02), (0, 0.02)]
    stripe = material("paint", "yellow" if design.colour not in ("yellow", "orange") else "red")
    size = design.pick(1.0, 1.1, 0.95, 1.05)
    one = [
        Part(lathe(curve(head), 64).scaled(size, size, size), design.body),
        Part(lathe(fillet(handle, 0.03), 32), material("wood", "tan")),
        Part(ring(0.425 * size, 0.65 * size, 0.025), stripe),
        Part(ring(0.355 * size, 0.3 * size, 0.02), stripe),
    ]
    left = moved(rotated(one, "y", 24), -0.1, 0.25, 1.2)
    return left + moved(rotated(one, "y", -24), 0.1, -0.25, 1.2)
