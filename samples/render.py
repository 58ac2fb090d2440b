"""Renders the catalogue's pictures with Blender's Cycles (bpy, in a virtual environment of its own; see README.md).

    python -m samples.render [--folder samples/images] [--only teapot,wine-glass-03] [--views catalogue|query|all]

Pictures that exist are skipped, so that a stopped run goes on where it was. The first design of all kinds comes first.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy  # type: ignore[import-not-found]
import numpy as np
from mathutils import Vector  # type: ignore[import-not-found]

from samples.assortment import Product, products
from samples.catalogue import has_query_views
from samples.geometry import Mesh, Part, Points
from samples.geometry.mesh import rotation
from samples.materials import material
from samples.scene import FIELD_OF_VIEW, frame, placed, wall
from samples.shaders import shader
from samples.views import View, catalogue_view, query_views

PIXELS, SAMPLES, QUALITY = 256, 12, 88


def new_scene() -> Any:
    """An empty scene with the renderer's settings."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.view_settings.view_transform = "Standard"  # AgX and Filmic would pale the colours
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    render.threads_mode, render.threads = "FIXED", 2
    render.resolution_x = render.resolution_y = PIXELS
    render.image_settings.file_format, render.image_settings.quality = "JPEG", QUALITY
    cycles.device, cycles.seed, cycles.samples = "CPU", 0, SAMPLES
    cycles.use_adaptive_sampling, cycles.adaptive_threshold = True, 0.03
    cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
    cycles.max_bounces = cycles.transmission_bounces = cycles.transparent_max_bounces = 10
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 4.0
    return scene


def add_mesh(scene: Any, mesh: Mesh, smooth: bool, surface: Any) -> Any:
    """An object of `mesh` in the scene; smooth ones are welded first, so that normals run across seams."""
    if smooth:
        mesh = mesh.welded()
    vertices, faces = mesh.vertices, mesh.faces
    data = bpy.data.meshes.new("part")
    data.vertices.add(len(vertices))
    data.vertices.foreach_set("co", vertices.astype(np.float32).ravel())
    data.loops.add(faces.size)
    data.loops.foreach_set("vertex_index", faces.astype(np.int32).ravel())
    data.polygons.add(len(faces))
    data.polygons.foreach_set("loop_start", np.arange(0, faces.size, 3, dtype=np.int32))
    data.update(calc_edges=True)
    data.validate()
    if smooth:
        data.shade_smooth()
        data.set_sharp_from_angle(angle=np.deg2rad(50))
    else:
        data.shade_flat()
    data.materials.append(surface)
    thing = bpy.data.objects.new("part", data)
    scene.collection.objects.link(thing)
    return thing


def add_product(scene: Any, parts: list[Part]) -> Points:
    """The product where it stands (see scene.placed). Returns all its vertices (n, 3)."""
    parts = placed(parts)
    for part in parts:
        longest = int(np.ptp(part.mesh.vertices, axis=0).argmax())
        add_mesh(scene, part.mesh, part.smooth, shader(part.material, longest))
    return np.vstack([part.mesh.vertices for part in parts])


def add_backdrop(scene: Any, shade: str, turn: float) -> None:
    add_mesh(scene, wall(turn), True, shader(material("matte", shade), 0))


def aim(thing: Any, position: Points, target: Points) -> None:
    """Puts a lamp or camera at `position`, looking at `target`."""
    thing.location = tuple(position)
    thing.rotation_euler = Vector(tuple(target - position)).to_track_quat("-Z", "Y").to_euler()


def add_light(scene: Any, view: View, height: float) -> None:
    world = bpy.data.worlds.new("world")
    world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (*view.light.ambient_rgb, 1)
    background.inputs["Strength"].default_value = view.light.ambient
    scene.world = world
    for lamp in view.light.lamps:
        data = bpy.data.lights.new("lamp", "AREA")
        data.energy, data.size, data.color = lamp.watts, lamp.size, lamp.rgb
        thing = bpy.data.objects.new("lamp", data)
        scene.collection.objects.link(thing)
        aim(thing, rotation("z", view.turn) @ np.array(lamp.position), np.array([0, 0, height / 2]))


def add_camera(scene: Any, view: View, vertices: Points) -> None:
    seen = frame(view, vertices)
    data = bpy.data.cameras.new("camera")
    data.angle = FIELD_OF_VIEW
    thing = bpy.data.objects.new("camera", data)
    scene.collection.objects.link(thing)
    scene.camera = thing
    aim(thing, seen.position, seen.target)


def render(product: Product, view: View, file: Path) -> None:
    """One picture. It appears at `file` only when complete."""
    scene = new_scene()
    vertices = add_product(scene, product.parts())
    add_backdrop(scene, view.backdrop, view.turn)
    add_light(scene, view, float(vertices[:, 2].max()))
    add_camera(scene, view, vertices)
    with tempfile.TemporaryDirectory() as folder, quiet():
        scene.render.filepath = str(Path(folder) / "picture.jpg")
        bpy.ops.render.render(write_still=True)
        partial = file.with_suffix(".partial")
        partial.write_bytes(without_remarks((Path(folder) / "picture.jpg").read_bytes()))
        partial.replace(file)


def without_remarks(jpeg: bytes) -> bytes:
    """The JPEG without comments and application data: Blender's differ in every run."""
    out, at = jpeg[:2], 2
    while jpeg[at + 1] != 0xDA:  # start of scan: the picture itself
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if jpeg[at + 1] != 0xFE and jpeg[at + 1] not in range(0xE1, 0xF0):
            out += jpeg[at:end]
        at = end
    return out + jpeg[at:]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Blender writes to file descriptor 1 past Python."""
    sys.stdout.flush()
    kept = os.dup(1)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def jobs(which: str, only: list[str]) -> list[tuple[Product, View, str]]:
    """(product, view, file name) of all wanted pictures, the catalogue's before the queries'."""
    wanted = sorted(products(), key=lambda p: p.variant)
    if only:
        wanted = [p for p in wanted if p.id in only or p.kind.slug in only]
    out = []
    if which in ("catalogue", "all"):
        out += [(p, catalogue_view(p), f"{p.id}.jpg") for p in wanted]
    if which in ("query", "all"):
        queries = [p for p in wanted if has_query_views(p)]
        out += [(p, view, f"{p.id}-{suffix}.jpg") for p in queries for suffix, view in query_views(p).items()]
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "images")
    parser.add_argument("--only", default="", help="product ids or kinds, comma separated")
    parser.add_argument("--views", choices=("catalogue", "query", "all"), default="all")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    todo = jobs(arguments.views, [name for name in arguments.only.split(",") if name])
    todo = [job for job in todo if not (arguments.folder / job[2]).exists()]
    start = time.monotonic()
    for number, (product, view, name) in enumerate(todo, 1):
        render(product, view, arguments.folder / name)
        pace = (time.monotonic() - start) / number
        print(f"{number}/{len(todo)} {name} {pace:.1f} s each", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
