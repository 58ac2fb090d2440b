"""Shapes as triangle meshes, with numpy only: profiles are revolved, paths become tubes, polygons are extruded.

Lengths are in no particular unit (the camera fits the product), z points up, the front of a product faces -y.
"""

from samples.geometry.mesh import Mesh, Part, Points
from samples.geometry.polygon import extrude
from samples.geometry.profile import Profile, circle, curve, fillet, wall
from samples.geometry.surface import ellipsoid, grid, lathe, ring, rounded_box, tube

__all__ = [
    "Mesh",
    "Part",
    "Points",
    "Profile",
    "circle",
    "curve",
    "ellipsoid",
    "extrude",
    "fillet",
    "grid",
    "lathe",
    "ring",
    "rounded_box",
    "tube",
    "wall",
]
