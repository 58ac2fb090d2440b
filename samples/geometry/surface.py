"""Surfaces: grids of points, lathes, tubes, rounded boxes, ellipsoids."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from samples.geometry.mesh import Mesh, Points, join
from samples.geometry.profile import Profile, circle


def grid(points: Points, *, wrap_rows: bool = False, wrap_columns: bool = False) -> Mesh:
    """Two triangles for every cell of `points` (rows, columns, 3); a wrapped axis joins its end to its start."""
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    if wrap_rows:
        index = np.vstack([index, index[:1]])
    if wrap_columns:
        index = np.hstack([index, index[:, :1]])
    a, b = index[:-1, :-1].ravel(), index[1:, :-1].ravel()
    c, d = index[1:, 1:].ravel(), index[:-1, 1:].ravel()
    faces = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    return Mesh(points.reshape(-1, 3), faces).solid_faces()


def lathe(profile: Profile, segments: int = 72, ripple: Callable[[Points, Points], Points] | None = None) -> Mesh:
    """`profile` of (radius, height) turned about z; `ripple(angle, height)` gives a factor for the radius."""
    points = np.asarray(profile, float)
    turn = np.linspace(0, 2 * np.pi, segments, endpoint=False)[:, None]
    radius = np.broadcast_to(points[None, :, 0], (segments, len(points)))
    height = np.broadcast_to(points[None, :, 1], radius.shape)
    if ripple is not None:
        radius = radius * ripple(turn, height)
    return grid(np.stack([radius * np.cos(turn), radius * np.sin(turn), height], axis=-1), wrap_rows=True)


def _frames(path: Points, *, closed: bool) -> tuple[Points, Points]:
    """Two unit vectors across `path` (n, 3) at each point, carried along so that the tube does not twist."""
    along = np.roll(path, -1, 0) - np.roll(path, 1, 0) if closed else np.gradient(path, axis=0)
    along = along / np.linalg.norm(along, axis=1, keepdims=True)
    across = np.cross(along[0], [0.0, 0, 1])
    if np.linalg.norm(across) < 0.1:
        across = np.cross(along[0], [0.0, 1, 0])
    normals = []
    for tangent in along:
        across = across - tangent * (across @ tangent)
        across = across / np.linalg.norm(across)
        normals.append(across)
    normal = np.array(normals)
    return normal, np.cross(along, normal)


def tube(
    path: Profile, radius: float | Sequence[float] | Points, sides: int = 16, *, closed: bool = False, flat: float = 1.0
) -> Mesh:
    """A round tube along `path` (n, 3), capped unless `closed`; `radius` one or n values, `flat` widens one axis."""
    points = np.asarray(path, float)
    radii = np.broadcast_to(np.asarray(radius, float), (len(points),))
    normal, binormal = _frames(points, closed=closed)
    if not closed:  # a last ring of radius 0 at either end is the cap
        points = np.vstack([points[:1], points, points[-1:]])
        radii = np.concatenate([[0.0], radii, [0.0]])
        normal = np.vstack([normal[:1], normal, normal[-1:]])
        binormal = np.vstack([binormal[:1], binormal, binormal[-1:]])
    turn = np.linspace(0, 2 * np.pi, sides, endpoint=False)[:, None, None]
    offset = np.cos(turn) * normal[None] + flat * np.sin(turn) * binormal[None]
    return grid(points[None] + radii[None, :, None] * offset, wrap_rows=True, wrap_columns=closed)


def ring(radius: float, height: float, thickness: float, points: int = 90, squash: float = 1.0) -> Mesh:
    """A level ring about z; `thickness` is the radius of its tube."""
    return tube(circle(radius, height, points, squash), thickness, 8, closed=True)


@functools.lru_cache(maxsize=256)  # a clock has the same bar sixty times
def rounded_box(size: tuple[float, float, float], radius: float = 0.02, steps: int = 3, puff: float = 0.0) -> Mesh:
    """A box of `size` centred on the origin with rounded edges; `puff` swells its faces as a cushion's."""
    half = np.asarray(size, float) / 2
    radius = min(radius, float(half.min()) * 0.98)
    inner = half - radius
    arc = radius * (1 - np.cos(np.linspace(0, 1, steps + 1) * np.pi / 2))

    def ticks(axis: int) -> Points:
        flat = np.linspace(-inner[axis], inner[axis], 14 if puff else 2)
        return np.unique(np.concatenate([arc - half[axis], flat, half[axis] - arc]).round(9))

    sides = []
    for axis in range(3):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        u, v = np.meshgrid(ticks(first), ticks(second), indexing="ij")
        for sign in (-1, 1):
            points = np.zeros((*u.shape, 3))
            points[..., axis], points[..., first], points[..., second] = sign * half[axis], u, v
            core = np.clip(points, -inner, inner)
            away = points - core
            points = core + away / np.maximum(np.linalg.norm(away, axis=-1, keepdims=True), 1e-9) * radius
            if puff:
                points = _puffed(points, half, puff)
            side = grid(points)
            sides.append(side if sign > 0 else Mesh(side.vertices, side.faces[:, ::-1]))
    return join(sides)


def _puffed(points: Points, half: Points, puff: float) -> Points:
    swell = 1 - (points / half) ** 2
    factors = [swell[..., (k + 1) % 3] * swell[..., (k + 2) % 3] for k in range(3)]
    return np.asarray(points * (1 + puff * np.stack(factors, axis=-1)))


def ellipsoid(radii: tuple[float, float, float], steps: int = 48) -> Mesh:
    """An ellipsoid about the origin with 2 * `steps` meridians."""
    east, north = np.meshgrid(
        np.linspace(-np.pi, np.pi, 2 * steps, endpoint=False),
        np.linspace(-np.pi / 2, np.pi / 2, steps + 1),
        indexing="ij",
    )
    points = np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], axis=-1)
    return grid(points * np.asarray(radii, float), wrap_rows=True)
