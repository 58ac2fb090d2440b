"""What one plays and trains with."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from samples.geometry import Mesh, Part, Points, ellipsoid, fillet, lathe, tube
from samples.kinds.design import Design, moved, rotated
from samples.materials import STEEL, material


def icosahedron() -> Points:
    """(12, 3) unit corners: where a football's pentagons sit."""
    golden = (1 + 5**0.5) / 2
    corners = np.array([(a, b * golden, 0) for a in (-1, 1) for b in (-1, 1)], float)
    corners = np.vstack([corners, corners[:, [2, 0, 1]], corners[:, [1, 2, 0]]])
    return np.asarray(corners / np.linalg.norm(corners[0]))


def face_centres(corners: Points) -> Points:
    """(20, 3) unit centres of an icosahedron's faces: where a football's hexagons sit."""
    near = np.abs(corners @ corners.T - 0.447) < 0.01
    triples = [
        (i, j, k) for i in range(12) for j in range(i) for k in range(j) if near[i, j] and near[i, k] and near[j, k]
    ]
    centres = np.array([corners[list(triple)].sum(0) for triple in triples])
    return np.asarray(centres / np.linalg.norm(centres, axis=1, keepdims=True))


@functools.cache
def panelled_ball() -> tuple[Mesh, NDArray[np.bool_]]:
    """A ball with a football's seams, and which of its faces lie in a hexagon."""
    corners = icosahedron()
    seats = np.vstack([corners, face_centres(corners)])
    # Distance of each flat panel from the middle: pentagons lie a little further out than hexagons.
    reach = np.concatenate([np.full(12, 0.9393), np.full(20, 0.9149)])

    def nearness(directions: Points) -> Points:
        return np.asarray(directions @ seats.T / reach)

    ball = ellipsoid((1, 1, 1), 200)
    ranked = np.sort(nearness(ball.vertices), axis=1)
    groove = -0.02 * np.exp(-(((ranked[:, -1] - ranked[:, -2]) / 0.012) ** 2))
    middles = ball.vertices[ball.faces].mean(1)
    hexagon = nearness(middles / np.linalg.norm(middles, axis=1, keepdims=True)).argmax(1) >= 12
    return Mesh(ball.vertices * (1 + groove)[:, None], ball.faces), hexagon


def soccer_ball(design: Design) -> list[Part]:
    """Pentagons in the colour; the hexagons white, or tinted for shapes 1 and 3 so that the colour leads."""
    ball, hexagon = panelled_ball()
    white, colour = material("plastic", "white"), design.body
    pentagons, hexagons = (colour, white) if design.colour in ("black", "white") else (white, colour)
    if design.colour == "white":
        pentagons = material("plastic", "gray")
    parts = [
        Part(Mesh(ball.vertices, ball.faces[~hexagon]), pentagons),
        Part(Mesh(ball.vertices, ball.faces[hexagon]), hexagons),
    ]
    return moved(rotated(rotated(parts, "z", 17 + 30 * design.shape), "x", 20), 0, 0, 1)


def seam(path: Points, radius: float, shade: str) -> Part:
    """A cord laid on the unit sphere along the closed `path` (n, 3)."""
    on_ball = path / np.linalg.norm(path, axis=1, keepdims=True)
    return Part(tube(on_ball, radius, 8, closed=True), material("matte", shade))


def basketball(design: Design) -> list[Part]:
    turn = np.linspace(0, 2 * np.pi, 160, endpoint=False)
    cos, sin, zero = np.cos(turn), np.sin(turn), 0 * turn
    paths = [np.column_stack([cos, sin, zero]), np.column_stack([zero, cos, sin])]
    paths += [np.column_stack([side * (0.62 - 0.3 * np.cos(2 * turn)), cos, sin]) for side in (-1, 1)]
    line = "black" if design.colour != "black" else "orange"
    parts = [Part(ellipsoid((1, 1, 1), 80), design.body), *(seam(path, 0.02, line) for path in paths)]
    parts = rotated(rotated(rotated(parts, "y", 15), "z", 35 + 25 * design.shape), "x", 25)
    return moved(parts, 0, 0, 1)


def tennis_ball(design: Design) -> list[Part]:
    turn = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    path = np.column_stack(
        [
            0.72 * np.cos(turn) + 0.28 * np.cos(3 * turn),
            0.72 * np.sin(turn) - 0.28 * np.sin(3 * turn),
            0.9 * np.sin(2 * turn),
        ]
    )
    parts = [Part(ellipsoid((1, 1, 1), 80), design.body), seam(path, 0.035, "white")]
    return moved(rotated(rotated(parts, "z", 20 + 35 * design.shape), "x", 25), 0, 0, 1)


def dumbbell(design: Design) -> list[Part]:
    """Hexagonal heads for shapes 0 and 2, stacked discs for 1 and 3."""
    grip = [(-0.5, 0, 0), (-0.2, 0, 0), (0, 0, 0), (0.2, 0, 0), (0.5, 0, 0)]
    parts = [Part(tube(grip, [0.09, 0.1, 0.12, 0.1, 0.09], 20), STEEL)]
    head = fillet([(0, -0.3), (0.34, -0.3), (0.46, -0.2), (0.46, 0.2), (0.34, 0.3), (0, 0.3)], 0.03)
    for side in (-1, 1):
        if design.shape % 2 == 0:
            hexagon = lathe(head, 6).rotated("y", 90).moved(side * 0.75, 0, 0)
            parts.append(Part(hexagon, design.body, smooth=False))
            continue
        for k, radius in enumerate((0.5, 0.42, 0.32)):
            disc = lathe(fillet([(0, -0.08), (radius, -0.08), (radius, 0.08), (0, 0.08)], 0.03), 56)
            parts.append(Part(disc.rotated("y", 90).moved(side * (0.56 + 0.17 * k), 0, 0), design.body))
        parts.append(Part(tube([(side * 0.9, 0, 0), (side * 1.15, 0, 0)], 0.1, 20), STEEL))
    lowest = min(float(part.mesh.vertices[:, 2].min()) for part in parts)
    return rotated(moved(parts, 0, 0, -lowest), "z", 20)
