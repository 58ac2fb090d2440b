"""Polygons: triangulated by ear clipping, then extruded."""

from __future__ import annotations

import numpy as np

from samples.geometry.mesh import Faces, Mesh, Points
from samples.geometry.profile import Profile


def _cross(origin: Points, a: Points, b: Points) -> float:
    return float((a[0] - origin[0]) * (b[1] - origin[1]) - (a[1] - origin[1]) * (b[0] - origin[0]))


def signed_area(corners: Points) -> float:
    """Area of the polygon (n, 2): positive if anticlockwise."""
    x, y = corners.T
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)


def triangulate(corners: Points) -> Faces:
    """(n - 2, 3) corner indices, anticlockwise, of a simple polygon (n, 2). ValueError if it crosses itself."""
    left = list(range(len(corners)))
    if signed_area(corners) < 0:
        left.reverse()
    triangles = []
    at = 0  # going on round the outline, rather than from its start, leaves no slivers for the end
    while len(left) > 3:
        tries = [(at + step) % len(left) for step in range(len(left))]
        ear = next((k for k in tries if _is_ear(corners, left, k)), None)
        if ear is None:
            raise ValueError("the polygon has no ear left: does it cross itself?")
        triangles.append((left[ear - 1], left[ear], left[(ear + 1) % len(left)]))
        left.pop(ear)
        at = ear + 1
    return np.array([*triangles, tuple(left)])


def _is_ear(corners: Points, left: list[int], k: int) -> bool:
    ia, ib, ic = left[k - 1], left[k], left[(k + 1) % len(left)]
    a, b, c = corners[ia], corners[ib], corners[ic]
    if _cross(a, b, c) <= 1e-12:
        return False
    others = (corners[i] for i in left if i not in (ia, ib, ic))
    return not any(_cross(a, b, p) >= 0 and _cross(b, c, p) >= 0 and _cross(c, a, p) >= 0 for p in others)


def extrude(outline: Profile, height: float) -> Mesh:
    """A prism over the polygon `outline` (n, 2) in xy, `height` tall and centred on z = 0. Shade it flat."""
    corners = np.asarray(outline, float)
    if signed_area(corners) < 0:
        corners = corners[::-1]
    count = len(corners)
    floor = np.column_stack([corners, np.full(count, -height / 2)])
    top = np.column_stack([corners, np.full(count, height / 2)])
    caps = triangulate(corners)
    here = np.arange(count)
    after = (here + 1) % count
    sides = np.vstack(
        [np.stack([here, after, after + count], axis=1), np.stack([here, after + count, here + count], axis=1)]
    )
    return Mesh(np.vstack([floor, top]), np.vstack([caps[:, ::-1], caps + count, sides]))
