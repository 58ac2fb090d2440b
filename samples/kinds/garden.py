"""What hangs in a garden or by the door."""

from __future__ import annotations

from samples.geometry import Part, extrude, lathe, rounded_box, tube
from samples.kinds.design import Design
from samples.materials import material


def birdhouse(design: Design) -> list[Part]:
    """A gabled box; the walls carry the colour."""
    width, depth, eaves = design.pick((1.0, 0.9, 1.05), (0.9, 0.85, 1.25), (1.15, 0.95, 0.95), (1.0, 0.9, 1.15))
    ridge = eaves + width * design.pick(0.5, 0.6, 0.42, 0.55)
    half = width / 2
    gable = [(-half, 0), (half, 0), (half, eaves), (0, ridge), (-half, eaves)]
    walls = extrude(gable, depth).rotated("x", 90)
    hole = lathe([(0, -0.005), (0.16, -0.005), (0.16, 0.005), (0, 0.005)], 48).rotated("x", 90)
    hole = hole.moved(0, -depth / 2 - 0.002, eaves * 0.74)
    over, thick = 0.14, 0.06
    slope = (ridge - eaves) / half
    reach = half + over
    low = ridge - slope * reach
    roof = [
        (-reach, low),
        (0, ridge),
        (reach, low),
        (reach, low + 1.4 * thick),
        (0, ridge + 1.4 * thick),
        (-reach, low + 1.4 * thick),
    ]
    roof_wood = material("wood", "dark wood") if design.colour != "brown" else material("wood", "tan")
    perch = tube([(0, -depth / 2 + 0.05, eaves * 0.45), (0, -depth / 2 - 0.24, eaves * 0.45)], 0.035, 14)
    return [
        Part(walls, design.body, smooth=False),
        Part(extrude(roof, depth + 0.26).rotated("x", 90), roof_wood, smooth=False),
        Part(hole, material("matte", "black")),
        Part(perch, material("wood", "tan")),
        Part(rounded_box((width + 0.16, depth + 0.2, 0.06), 0.015).moved(0, 0, 0), roof_wood),
    ]
