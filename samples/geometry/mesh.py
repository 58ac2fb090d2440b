"""A triangle mesh, and a part: a mesh made of one material."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from samples.materials import Material

Points = NDArray[np.float64]
Faces = NDArray[np.int64]


def rotation(axis: str, degrees: float) -> Points:
    """(3, 3) matrix that turns column vectors about "x", "y" or "z", anticlockwise seen against the axis."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    rows = {
        "x": [[1, 0, 0], [0, cos, -sin], [0, sin, cos]],
        "y": [[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]],
        "z": [[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]],
    }
    return np.array(rows[axis], float)


@dataclass(frozen=True, eq=False)
class Mesh:
    """vertices (n, 3) float and faces (m, 3) int, each face anticlockwise seen from outside."""

    vertices: Points
    faces: Faces

    def moved(self, x: float, y: float, z: float) -> Mesh:
        return replace(self, vertices=self.vertices + np.array([x, y, z], float))

    def scaled(self, x: float, y: float, z: float) -> Mesh:
        return replace(self, vertices=self.vertices * np.array([x, y, z], float))

    def rotated(self, axis: str, degrees: float) -> Mesh:
        return replace(self, vertices=self.vertices @ rotation(axis, degrees).T)

    def bent(self, bend: Callable[[Points], Points]) -> Mesh:
        """The mesh with every vertex moved by `bend`, which maps (n, 3) to (n, 3)."""
        return replace(self, vertices=bend(self.vertices))

    def areas(self) -> Points:
        """(m,) area of each face."""
        a, b, c = (self.vertices[self.faces[:, k]] for k in range(3))
        return np.asarray(np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2)

    def solid_faces(self, smallest: float = 1e-10) -> Mesh:
        """Without the faces that collapse to a line or a point, as at the pole of a lathe."""
        return replace(self, faces=self.faces[self.areas() > smallest])

    def welded(self, tolerance: float = 1e-5) -> Mesh:
        """With vertices that fall into the same cell of `tolerance` made one, and no collapsed faces."""
        _, first, cell = np.unique(np.round(self.vertices / tolerance), axis=0, return_index=True, return_inverse=True)
        faces = cell.ravel()[self.faces]
        apart = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
        return Mesh(self.vertices[first], faces[apart])

    def is_closed(self) -> bool:
        """True if every edge belongs to an even number of faces once welded."""
        faces = self.welded().faces
        edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
        _, uses = np.unique(edges, axis=0, return_counts=True)
        return bool((uses % 2 == 0).all())


def join(meshes: Iterable[Mesh]) -> Mesh:
    """One mesh of all."""
    vertices, faces, start = [], [], 0
    for mesh in meshes:
        vertices.append(mesh.vertices)
        faces.append(mesh.faces + start)
        start += len(mesh.vertices)
    return Mesh(np.concatenate(vertices), np.concatenate(faces))


@dataclass(frozen=True, eq=False)
class Part:
    """A mesh of one material; `smooth` shades across faces that meet at less than 50 degrees."""

    mesh: Mesh
    material: Material
    smooth: bool = True

    def moved(self, x: float, y: float, z: float) -> Part:
        return replace(self, mesh=self.mesh.moved(x, y, z))

    def scaled(self, x: float, y: float, z: float) -> Part:
        return replace(self, mesh=self.mesh.scaled(x, y, z))

    def rotated(self, axis: str, degrees: float) -> Part:
        return replace(self, mesh=self.mesh.rotated(axis, degrees))
