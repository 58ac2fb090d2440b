"""Where things stand before the camera, the same for both renderers (render.py, raster.py)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from samples.geometry import Mesh, Part, Points, grid
from samples.geometry.mesh import rotation
from samples.views import View

FIELD_OF_VIEW = np.deg2rad(28)


def placed(parts: Iterable[Part]) -> list[Part]:
    """The product on the floor at the origin, 2 across its diagonal."""
    parts = list(parts)
    everything = np.vstack([part.mesh.vertices for part in parts])
    low, high = everything.min(0), everything.max(0)
    size = 2.0 / float(np.linalg.norm(high - low))
    x, y = (low[:2] + high[:2]) / 2
    return [replace(part, mesh=part.mesh.moved(-x, -y, -low[2]).scaled(size, size, size)) for part in parts]


def wall(turn: float) -> Mesh:
    """A floor that rises into a wall without a seam, square to the camera."""
    bow = np.linspace(0, np.pi / 2, 24)
    y = np.concatenate([[-14, -5], 4 + 4 * np.sin(bow), [8]])
    z = np.concatenate([[0, 0], 4 - 4 * np.cos(bow), [24]]) - 1e-3
    sheet = np.stack([np.column_stack([np.full_like(y, x), y, z]) for x in (-30, 30)])
    return grid(sheet).rotated("z", turn)


@dataclass(frozen=True)
class Frame:
    """Where the camera stands, and the shares of the picture's width and height that the product takes.

    Attributes:
        position, target: of the camera, and what it looks at. The product is in the middle of the picture.
    """

    position: Points
    target: Points
    width: float
    height: float


def frame(view: View, vertices: Points) -> Frame:
    """A camera whose picture `vertices` (n, 3; about 2 across) fill to `view.fill`, found in a few steps."""
    tilt = np.deg2rad(view.tilt)
    backwards = rotation("z", view.turn) @ np.array([0, -np.cos(tilt), np.sin(tilt)])
    right = np.cross(-backwards, [0, 0, 1])
    right = right / np.linalg.norm(right)
    up = np.cross(right, -backwards)
    target, distance = (vertices.max(0) + vertices.min(0)) / 2, 4.0
    for _ in range(8):
        seen = vertices - (target + backwards * distance)
        depth = seen @ -backwards
        x, y = seen @ right / depth, seen @ up / depth
        target = target + (right * (x.max() + x.min()) + up * (y.max() + y.min())) / 2 * distance
        distance *= max(np.ptp(x), np.ptp(y)) / 2 / (view.fill * np.tan(FIELD_OF_VIEW / 2))
    shares = np.array([np.ptp(x), np.ptp(y)])
    width, height = view.fill * shares / shares.max()
    return Frame(np.asarray(target + backwards * distance), np.asarray(target), float(width), float(height))
