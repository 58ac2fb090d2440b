"""What one wears or carries."""

from __future__ import annotations

import numpy as np

from samples.geometry import Mesh, Part, Points, curve, ellipsoid, grid, lathe, ring, tube
from samples.kinds.design import Design, moved, rotated
from samples.materials import IRON, STEEL, Material, material

RIBS = 8


def canopy() -> Points:
    """(96, 24, 3) the cloth of an umbrella: sags between its ribs."""
    turn = np.linspace(0, 2 * np.pi, RIBS * 12, endpoint=False)[:, None]
    out = np.linspace(0, 1, 24)[None]
    between = np.mod(turn * RIBS / (2 * np.pi), 1)
    sag = 4 * between * (1 - between)
    radius, height = rib(out)
    radius = radius * (1 - 0.1 * sag * out)
    height = height - 0.035 * sag * np.sin(np.pi * out) + 0.05 * sag * out**6
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), height], axis=-1)


def rib(out: Points) -> tuple[Points, Points]:
    """Radius and height along a rib, from the tip (0) to the hem (1)."""
    bow = 1.25
    radius = 1.25 * np.sin(out * bow) / np.sin(bow)
    return np.asarray(radius), np.asarray(0.75 * (np.cos(out * bow) - np.cos(bow)) / (1 - np.cos(bow)))


def umbrella(design: Design) -> list[Part]:
    parts = [Part(grid(canopy(), wrap_rows=True), design.body)]
    radius, height = rib(np.linspace(0, 1, 24))
    for turn in 2 * np.pi * np.arange(RIBS) / RIBS:
        path = np.column_stack([radius * np.cos(turn), radius * np.sin(turn), height - 0.02])
        parts.append(Part(tube(path, 0.012, 6), IRON))
    shaft = tube([(0, 0, 0.9), (0, 0, 0.75), (0, 0, -1.1)], [0.012, 0.025, 0.025], 10)
    crook = [(0, 0, -1.05), (0, 0, -1.3), (0.06, 0, -1.45), (0.18, 0, -1.48), (0.28, 0, -1.4), (0.3, 0, -1.28)]
    parts += [Part(shaft, STEEL), Part(tube(curve(crook, 6), 0.05, 14), material("wood", "brown"))]
    lean, tip = design.pick((28, -20), (-30, -15), (20, -25), (35, -12))
    return moved(rotated(rotated(parts, "y", lean), "x", tip), 0, 0, 1.6)


def cowboy_hat(design: Design) -> list[Part]:
    crown = curve([(0.52, 0), (0.5, 0.2), (0.46, 0.45), (0.36, 0.62), (0.2, 0.6), (0, 0.52)])
    brim = curve([(1.05, 0), (0.8, 0), (0.6, 0), (0.52, 0.02)])
    curl = design.pick(0.42, 0.5, 0.36, 0.45)

    def shape(points: Points) -> Points:
        """Turns up the sides of the brim, narrows and creases the crown."""
        x, y, z = points.T
        radius = np.hypot(x, y)
        out = np.clip((radius - 0.5) / 0.55, 0, 1)
        side = np.abs(x) / np.maximum(radius, 1e-6)
        front = np.abs(y) / np.maximum(radius, 1e-6)
        up = np.clip(z / 0.6, 0, 1) ** 2
        height = z + curl * out**1.6 * side**2 - 0.1 * out * front**3
        height = height - 0.14 * up * np.exp(-((x / 0.13) ** 2)) * np.clip(1 - np.abs(y) / 0.5, 0, 1)
        height = height + 0.05 * up * (1.15 * np.abs(y) / 0.4)
        return np.column_stack([x * (1 - 0.18 * out) * (1 - 0.22 * up), 1.15 * y, height])

    band = curve([(0.535, 0.03), (0.535, 0.1), (0.52, 0.15)], 4)
    edge = [(1.06, -0.012), (1.06, 0.012), (1.04, 0.012)]
    ribbon = material("leather", "black" if design.colour == "brown" else "dark wood")
    if design.colour == "black":
        ribbon = material("leather", "gray")
    return [
        Part(lathe(np.vstack([brim, crown]), 120).bent(shape), design.body),
        Part(lathe(edge, 120).bent(shape), design.body),
        Part(lathe(band, 96).bent(shape), ribbon),
    ]


def sombrero(design: Design) -> list[Part]:
    profile = curve(
        [(1.45, 0.38), (1.42, 0.22), (1.2, 0.04), (0.8, 0.0), (0.55, 0.02), (0.5, 0.08), (0.46, 0.4), (0.3, 0.85),
         (0.14, 1.0), (0, 1.02)], 10
    )  # fmt: skip
    trim = material("fabric", "yellow" if design.colour not in ("yellow", "white") else "red")
    white = material("fabric", "white" if design.colour != "white" else "red")
    parts = [Part(lathe(profile, 120), design.body)]
    for radius, height, thick in ((1.44, 0.38, 0.04), (1.22, 0.065, 0.02), (0.52, 0.1, 0.035), (0.475, 0.35, 0.02)):
        parts.append(Part(ring(radius, height, thick, 100), trim if thick > 0.03 else white))
    for turn in 2 * np.pi * np.arange(16) / 16:
        bobble = ellipsoid((0.05, 0.05, 0.03), 8).moved(1.33 * np.cos(turn), 1.33 * np.sin(turn), 0.17)
        parts.append(Part(bobble, white))
    return parts


def sunglasses(design: Design) -> list[Part]:
    """Thick frames; the lenses are mirrored in the frame's colour."""
    power = design.pick(3.2, 2.2, 2.8, 2.4)
    half_width, half_height = design.pick((0.5, 0.36), (0.45, 0.42), (0.52, 0.34), (0.46, 0.4))
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)

    def superellipse(wave: Points) -> Points:
        return np.asarray(np.sign(wave) * np.abs(wave) ** (2 / power))

    z = half_height * superellipse(np.sin(turn))
    x = half_width * superellipse(np.cos(turn)) * (1 + 0.1 * z / half_height)
    lens_material = Material("lens", design.body.rgb)
    parts = []
    for side in (-1, 1):
        outline = np.column_stack([side * (x + 0.58), 0.08 * (x + 0.58) ** 2, z])
        fan = np.vstack([outline.mean(0)[None], outline])
        k = np.arange(60)
        lens = Mesh(fan, np.stack([0 * k, k + 1, (k + 1) % 60 + 1], axis=1))
        arm = [
            (1.06, 0.1, 0.16), (1.12, 0.2, 0.18), (1.1, 1.0, 0.16), (1.05, 1.45, 0.05), (1.02, 1.7, -0.2),
        ]  # fmt: skip
        path = curve([(side * a, b, c) for a, b, c in arm], 6)
        parts.append(Part(tube(outline, 0.075, 12, closed=True), design.body))
        parts.append(Part(lens, lens_material))
        parts.append(Part(tube(path, 0.05, 10, flat=1.4), design.body))
    bridge = curve([(-0.14, 0.02, 0.08), (0, 0, 0.13), (0.14, 0.02, 0.08)], 5)
    parts.append(Part(tube(bridge, 0.05, 10), design.body))
    return moved(rotated(parts, "x", -4), 0, 0, 0.42)
