"""What one sits on, eats at and keeps things in."""

from __future__ import annotations

import numpy as np

from samples.geometry import Part, curve, ellipsoid, fillet, lathe, rounded_box, tube
from samples.kinds.design import Design, moved
from samples.materials import BRASS, IRON, STEEL, Material, material

BOOK_SHADES = ("b5121f", "1f4fa8", "2f7d3c", "e8d9b0", "7a4a2a", "33353a", "d08a2a", "5a2a4a", "86a8b8", "f2f1ec")


def square_leg(x: float, y: float, height: float, half: float, of: Material) -> Part:
    return Part(rounded_box((2 * half, 2 * half, height), 0.012).moved(x, y, height / 2), of)


def round_leg(x: float, y: float, height: float, radius: float, of: Material) -> Part:
    profile = fillet([(0, 0), (radius * 0.6, 0), (radius, height), (0, height)], 0.01)
    return Part(lathe(profile, 24).moved(x, y, 0), of)


def corners(x: float, y: float) -> list[tuple[float, float]]:
    return [(sx * x, sy * y) for sx in (-1, 1) for sy in (-1, 1)]


def dining_table(design: Design) -> list[Part]:
    wood = design.body
    width, depth = design.pick((2.4, 1.2), (2.2, 1.15), (2.0, 1.3), (2.6, 1.1))
    leg = round_leg if design.shape in (1, 3) else square_leg
    parts = [Part(rounded_box((width, depth, 0.08), 0.02).moved(0, 0, 1.0), wood)]
    parts += [leg(x, y, 0.97, 0.06, wood) for x, y in corners(width / 2 - 0.12, depth / 2 - 0.12)]
    for side in (-1, 1):
        long_apron = rounded_box((width - 0.3, 0.04, 0.14), 0.01).moved(0, side * (depth / 2 - 0.12), 0.9)
        short_apron = rounded_box((0.04, depth - 0.3, 0.14), 0.01).moved(side * (width / 2 - 0.12), 0, 0.9)
        parts += [Part(long_apron, wood), Part(short_apron, wood)]
    return parts


def chair(design: Design) -> list[Part]:
    """Shapes 0 and 2 have a ladder back, 1 and 3 a spindle back."""
    wood = design.body
    parts = [Part(rounded_box((0.9, 0.85, 0.07), 0.03).moved(0, 0, 0.9), wood)]
    parts += [square_leg(x, -0.35, 0.88, 0.045, wood) for x in (-0.37, 0.37)]
    for x in (-0.37, 0.37):
        post = [(x, 0.45, 0), (x, 0.36, 0.9), (x, 0.42, 1.4), (x, 0.55, 2.0)]
        parts.append(Part(tube(post, 0.05, 12), wood))
    if design.shape % 2 == 0:
        for k in range(3):
            slat = rounded_box((0.7, 0.035, 0.13), 0.015).rotated("x", -12)
            parts.append(Part(slat.moved(0, 0.41 + 0.055 * k, 1.25 + 0.27 * k), wood))
    else:
        rail = rounded_box((0.8, 0.04, 0.13), 0.015).rotated("x", -12).moved(0, 0.53, 1.92)
        spindles = [[(x, 0.36, 0.92), (x, 0.42, 1.4), (x, 0.53, 1.9)] for x in np.linspace(-0.26, 0.26, 5)]
        parts += [Part(rail, wood), *(Part(tube(path, 0.024, 10), wood) for path in spindles)]
    stretchers = [
        [(-0.37, -0.35, 0.4), (0.37, -0.35, 0.4)],
        [(-0.37, -0.35, 0.3), (-0.37, 0.42, 0.3)],
        [(0.37, -0.35, 0.3), (0.37, 0.42, 0.3)],
    ]
    return parts + [Part(tube(path, 0.03, 10), wood) for path in stretchers]


def rocking_chair(design: Design) -> list[Part]:
    wood = design.body
    parts = moved(chair(Design(design.colour, wood, 1, design.seed)), 0, 0, 0.1)
    along = np.linspace(-1, 1, 24)
    for side in (-1, 1):
        runner = np.column_stack([np.full(24, side * 0.37), along + 0.08, 0.05 + 0.22 * along**2])
        parts.append(Part(tube(runner, 0.05, 12), wood))
        parts.append(Part(rounded_box((0.1, 0.8, 0.05), 0.02).moved(side * 0.44, 0, 1.42), wood))
        parts.append(Part(tube([(side * 0.42, -0.33, 0.97), (side * 0.43, -0.35, 1.42)], 0.03, 10), wood))
    return parts


def bookcase(design: Design) -> list[Part]:
    wood, chance = design.body, design.random()
    width, height, shelves = design.pick((1.3, 2.2, 5), (1.6, 2.0, 4), (1.1, 2.3, 5), (1.5, 2.2, 5))
    depth = 0.4
    levels = np.linspace(0.08, height - 0.03, shelves + 1)
    parts = [
        Part(rounded_box((0.06, depth, height), 0.01).moved(x, 0, height / 2), wood) for x in (-width / 2, width / 2)
    ]
    parts.append(Part(rounded_box((width, 0.02, height), 0.005).moved(0, depth / 2 - 0.01, height / 2), wood))
    parts += [Part(rounded_box((width, depth, 0.05), 0.01).moved(0, 0, z), wood) for z in levels]
    for level in levels[:-1]:
        x = -width / 2 + 0.05
        end = width / 2 - 0.05 - chance.uniform(0.15, 0.5) * width
        while x < end:
            thick = chance.uniform(0.035, 0.085)
            tall = (levels[1] - levels[0]) * chance.uniform(0.6, 0.85)
            book = rounded_box((thick * 0.94, 0.26, tall), 0.008, 2)
            shade = BOOK_SHADES[int(chance.integers(len(BOOK_SHADES)))]
            parts.append(Part(book.moved(x + thick / 2, 0.03, level + 0.025 + tall / 2), material("matte", shade)))
            x += thick
    return parts


def sofa(design: Design) -> list[Part]:
    cover = design.body
    width = design.pick(2.4, 2.0, 2.5, 2.2)
    seats = 3 if width > 2.3 else 2
    each = (width - 0.28) / seats
    parts = [
        Part(rounded_box((width, 1.0, 0.3), 0.06).moved(0, 0, 0.33), cover),
        Part(rounded_box((width, 0.28, 0.75), 0.12, 4).moved(0, 0.42, 0.72), cover),
    ]
    arm = rounded_box((0.26, 1.02, 0.62), design.pick(0.13, 0.1), 5)
    parts += [Part(arm.moved(side * (width / 2 + 0.02), 0, 0.5), cover) for side in (-1, 1)]
    for k in range(seats):
        x = -width / 2 + 0.14 + each * (k + 0.5)
        seat = rounded_box((each * 0.99, 0.74, 0.2), 0.07, 4, puff=0.06).moved(x, -0.1, 0.57)
        back = rounded_box((each * 0.97, 0.2, 0.5), 0.09, 4, puff=0.12).rotated("x", -10).moved(x, 0.24, 0.88)
        parts += [Part(seat, cover), Part(back, cover)]
    legs = [round_leg(x, y, 0.2, 0.045, material("wood", "dark wood")) for x, y in corners(width / 2 - 0.1, 0.4)]
    return parts + legs


def park_bench(design: Design) -> list[Part]:
    slats = [rounded_box((2.4, 0.12, 0.045), 0.012).moved(0, 0.15 * i - 0.36, 0.8) for i in range(5)]
    for i in range(4):
        slat = rounded_box((2.4, 0.04, 0.12), 0.012).rotated("x", -12)
        slats.append(slat.moved(0, 0.36 + 0.035 * i, 0.98 + 0.17 * i))
    parts = [Part(slat, design.body) for slat in slats]
    for x in (-1.0, 1.0):
        front = [(x, -0.4, 0), (x, -0.36, 0.4), (x, -0.38, 0.77), (x, 0.28, 0.77), (x, 0.36, 1.0), (x, 0.52, 1.6)]
        rear = [(x, 0.45, 0), (x, 0.3, 0.4), (x, 0.28, 0.77)]
        arm = [(x, -0.38, 0.77), (x, -0.42, 1.08), (x, -0.3, 1.14), (x, 0.38, 1.12)]
        parts += [Part(tube(curve(path, 6), r, 10), IRON) for path, r in ((front, 0.04), (rear, 0.04), (arm, 0.035))]
    return parts


def wardrobe(design: Design) -> list[Part]:
    wood = design.body
    width, height = design.pick((1.4, 2.1), (1.5, 2.0), (1.3, 2.2), (1.6, 2.1))
    parts = [
        Part(rounded_box((width, 0.65, height), 0.015).moved(0, 0, height / 2 + 0.1), wood),
        Part(rounded_box((width + 0.12, 0.74, 0.09), 0.03).moved(0, 0, height + 0.13), wood),
        Part(rounded_box((width + 0.06, 0.7, 0.1), 0.02).moved(0, 0, 0.07), wood),
    ]
    door = width / 2 - 0.04
    for side in (-1, 1):
        x = side * (door / 2 + 0.012)
        parts.append(Part(rounded_box((door, 0.04, height - 0.2), 0.01).moved(x, -0.33, height / 2 + 0.1), wood))
        for level, tall in ((0.3, 0.36), (0.72, 0.4)):
            panel = rounded_box((door * 0.72, 0.04, height * tall), 0.02).moved(x, -0.352, height * level + 0.08)
            parts.append(Part(panel, wood))
        handle = [(side * 0.06, -0.4, height * 0.46), (side * 0.06, -0.4, height * 0.6)]
        parts.append(Part(tube(handle, 0.022, 10), BRASS))
    return parts


def filing_cabinet(design: Design) -> list[Part]:
    count = design.pick(4, 3, 4, 2)
    height, width = 0.52 * count, 0.8
    parts = [Part(rounded_box((width, 0.95, height), 0.015).moved(0, 0, height / 2), design.body)]
    for k in range(count):
        z = 0.52 * (k + 0.5)
        parts.append(Part(rounded_box((width - 0.07, 0.05, 0.46), 0.012).moved(0, -0.485, z), design.body))
        parts.append(Part(rounded_box((0.24, 0.05, 0.045), 0.015).moved(0, -0.53, z + 0.02), STEEL))
        parts.append(Part(rounded_box((0.2, 0.012, 0.09), 0.004).moved(0, -0.515, z + 0.13), STEEL))
        parts.append(
            Part(rounded_box((0.17, 0.012, 0.06), 0.002).moved(0, -0.521, z + 0.13), material("matte", "paper"))
        )
    lock = ellipsoid((0.03, 0.02, 0.03), 12).moved(width / 2 - 0.1, -0.51, height - 0.06)
    return [*parts, Part(lock, STEEL)]
