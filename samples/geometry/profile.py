"""Open polylines: the profiles that a lathe turns and the paths that a tube follows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from samples.geometry.mesh import Points

Profile = Sequence[Sequence[float]] | Points


def fillet(corners: Profile, radius: float = 0.02, steps: int = 4) -> Points:
    """The polyline `corners` (n, d) with its inner corners rounded; near ends cut the radius down."""
    points = np.asarray(corners, float)
    out = [points[0]]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        back, ahead = np.linalg.norm(before - corner), np.linalg.norm(after - corner)
        cut = min(radius, back * 0.45, ahead * 0.45)
        start = corner + (before - corner) / back * cut
        end = corner + (after - corner) / ahead * cut
        out += [(1 - t) ** 2 * start + 2 * t * (1 - t) * corner + t * t * end for t in np.linspace(0, 1, steps + 1)]
    return np.array([*out, points[-1]])


def curve(knots: Profile, steps: int = 8) -> Points:
    """A Catmull-Rom curve through `knots` (n, d), `steps` points from each knot to the next."""
    points = np.asarray(knots, float)
    padded = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    spans = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False)
    ]
    return np.vstack([*spans, points[-1:]])


def wall(outside: Profile, thickness: float = 0.03) -> Points:
    """A closed thin wall from an outer (radius, height) profile that starts on the axis: out, over the rim, back in."""
    outer = np.asarray(outside, float)
    along = np.gradient(outer, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    inner = outer + normal * thickness
    inner[:, 0] = np.maximum(inner[:, 0], 0)
    inner[0, 0] = 0
    last = outer[-1] - outer[-2]
    rim = (outer[-1] + inner[-1]) / 2 + last / np.linalg.norm(last) * thickness * 0.5
    return np.vstack([outer, rim[None], inner[::-1]])


def circle(radius: float, height: float, points: int = 90, squash: float = 1.0) -> Points:
    """(points, 3) a level circle at `height`, open (the first point is not repeated); `squash` scales y."""
    turn = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([radius * np.cos(turn), squash * radius * np.sin(turn), np.full(points, height)], axis=1)
