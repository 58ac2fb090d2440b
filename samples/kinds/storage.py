"""What holds other things."""

from __future__ import annotations

import numpy as np

from samples.geometry import Part, Points, curve, extrude, fillet, lathe, ring, rounded_box, tube
from samples.kinds.design import Design, moved, rotated
from samples.materials import BRASS, IRON, STEEL, Material, material


def storage_chest(design: Design) -> list[Part]:
    turn = np.linspace(0, np.pi, 20)
    lid = np.column_stack([0.5 * np.cos(turn), design.pick(0.3, 0.36, 0.24, 0.3) * np.sin(turn)])
    fittings = design.pick(IRON, BRASS)
    bands = design.pick((-0.72, -0.3, 0.3, 0.72), (-0.72, 0.0, 0.72))

    def lengthwise(outline: Points, length: float, of: Material, x: float = 0.0) -> Part:
        return Part(extrude(outline, length).rotated("x", 90).rotated("z", 90).moved(x, 0, 0.73), of, smooth=False)

    parts = [Part(rounded_box((1.6, 1.0, 0.7), 0.02).moved(0, 0, 0.36), design.body), lengthwise(lid, 1.6, design.body)]
    for x in bands:
        parts.append(Part(rounded_box((0.08, 1.03, 0.72), 0.01).moved(x, 0, 0.36), fittings))
        parts.append(lengthwise(np.vstack([lid * 1.04, lid[::-1] * 0.9]), 0.08, fittings, x))
    parts.append(Part(rounded_box((0.24, 0.06, 0.26), 0.02).moved(0, -0.53, 0.68), BRASS))
    for side in (-1, 1):
        handle = [
            (side * 0.82, -0.2, 0.5),
            (side * 0.92, -0.15, 0.42),
            (side * 0.92, 0.15, 0.42),
            (side * 0.82, 0.2, 0.5),
        ]
        parts.append(Part(tube(curve(handle, 5), 0.03, 8), fittings))
    return parts


def basket(design: Design) -> list[Part]:
    rows, stakes = 16, 40
    parts = []
    turn = np.linspace(0, 2 * np.pi, stakes * 6, endpoint=False)
    for k in range(rows):
        radius = 0.62 + 0.2 * k / rows + 0.022 * np.cos(turn * stakes / 2 + (k % 2) * np.pi)
        height = np.full(len(turn), 0.05 + k * 0.055)
        weaver = np.column_stack([radius * np.cos(turn), 0.72 * radius * np.sin(turn), height])
        parts.append(Part(tube(weaver, 0.031, 7, closed=True), design.body))
    arch = np.linspace(0, np.pi, 40)
    rise = design.pick(0.85, 0.7, 1.0, 0.8)
    handle = np.column_stack([0.84 * np.cos(arch), 0 * arch, 0.95 + rise * np.sin(arch)])
    floor = lathe([(0.62, 0.05), (0, 0.05)], 48).scaled(1, 0.72, 1)
    return [
        *parts,
        Part(ring(0.85, 0.95, 0.06, squash=0.72), design.body),
        Part(floor, design.body),
        Part(tube(handle, 0.05, 10), design.body),
    ]


def barrel(design: Design) -> list[Part]:
    """Stands, or lies on its side for shapes 1 and 3."""
    height, staves = 1.7, 22

    def radius(z: Points | float) -> Points:
        return np.asarray(0.55 + 0.17 * np.sin(np.pi * np.asarray(z) / height))

    def seams(turn: Points, _: Points) -> Points:
        return np.asarray(1 - 0.012 * np.exp(-(((np.mod(turn * staves / (2 * np.pi), 1) - 0.5) / 0.06) ** 2)))

    z = np.linspace(0, height, 40)
    end = float(radius(0))
    bottom = [(0, 0.06), (end - 0.06, 0.06), (end - 0.05, 0)]
    top = [(end - 0.05, height), (end - 0.06, height - 0.07), (0, height - 0.07)]
    body = Material(design.body.finish, design.body.rgb, grain=2)
    parts = [Part(lathe(np.vstack([bottom, np.column_stack([radius(z), z]), top]), 264, seams), body)]
    for middle in (0.1, 0.45, 1.25, 1.6):
        low, high = middle - 0.045, middle + 0.045
        a, b = float(radius(low)), float(radius(high))
        hoop = [(a - 0.01, low), (a + 0.014, low), (b + 0.014, high), (b - 0.01, high)]
        parts.append(Part(lathe(hoop, 90), IRON))
    return parts if design.shape % 2 == 0 else moved(rotated(parts, "x", 90), 0, 0.85, 0.72)


def mailbox(design: Design) -> list[Part]:
    turn = np.linspace(0, np.pi, 24)
    arch = np.vstack([[(-0.4, 0), (0.4, 0)], np.column_stack([0.4 * np.cos(turn), 0.55 + 0.4 * np.sin(turn)])])
    length = design.pick(1.5, 1.3, 1.6, 1.4)
    flag = material("plastic", "red" if design.colour != "red" else "white")
    post = material("wood", "tan", grain=2)
    front = -length / 2
    door = extrude(arch * [1.05, 1.03] - [0, 0.01], 0.05).rotated("x", 90).moved(0, front - 0.01, 1.6)
    return [
        Part(extrude(arch, length).rotated("x", 90).moved(0, 0, 1.6), design.body, smooth=False),
        Part(door, design.body, smooth=False),
        Part(rounded_box((0.12, 0.05, 0.06), 0.02).moved(0, front - 0.05, 2.3), STEEL),
        Part(rounded_box((0.025, 0.08, 0.55), 0.008).moved(0.43, -0.35, 2.25), flag),
        Part(rounded_box((0.025, 0.3, 0.18), 0.008).moved(0.43, -0.25, 2.5), flag),
        Part(rounded_box((0.22, 0.22, 1.6), 0.02).moved(0, 0, 0.8), post),
        Part(rounded_box((0.7, 1.2, 0.06), 0.01).moved(0, 0, 1.57), post),
    ]


def padlock(design: Design) -> list[Part]:
    width, height = design.pick((1.1, 0.95), (1.0, 1.05), (1.25, 0.9), (1.1, 1.1))
    reach = width * 0.32
    turn = np.linspace(0, np.pi, 24)
    rise = height + design.pick(0.35, 0.5, 0.3, 0.45)
    arc = np.column_stack([reach * np.cos(turn), 0 * turn, rise + reach * np.sin(turn)])
    shackle = np.vstack([[(reach, 0, height - 0.1)], arc, [(-reach, 0, height - 0.1)]])
    keyhole = lathe(fillet([(0, -0.02), (0.17, -0.02), (0.17, 0.03), (0, 0.03)], 0.015), 40).rotated("x", 90)
    slot = rounded_box((0.05, 0.02, 0.17), 0.008)
    return [
        Part(rounded_box((width, 0.42, height), 0.09, 5).moved(0, 0, height / 2), design.body),
        Part(tube(shackle, 0.085, 20), STEEL),
        Part(keyhole.moved(0, -0.21, height * 0.42), BRASS),
        Part(slot.moved(0, -0.245, height * 0.4), material("matte", "black")),
        Part(rounded_box((width * 1.01, 0.43, 0.06), 0.02).moved(0, 0, height * 0.82), design.body),
    ]
