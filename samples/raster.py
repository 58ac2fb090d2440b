"""Draws products with OpenGL in a fraction of the seconds that Cycles (render.py) takes: for catalogues of thousands.

Products, cameras, lamps and walls are those of the renderer; what differs is how light is followed: soft shadows and
mirrored lamps are approximated, light does not bounce between things, and glass does not bend it. docs/quality.md says
how much that matters to a model. Needs `moderngl` and an EGL library; Mesa's llvmpipe needs no graphics card.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from samples.geometry import Mesh, Part, Points
from samples.geometry.mesh import rotation
from samples.materials import Print, linear, material
from samples.scene import FIELD_OF_VIEW, frame, placed, wall
from samples.variety import PRINTS
from samples.views import Lamp, View

PIXELS = 192
SHADOW_PIXELS = 256
LAMPS = 4  # as in raster.frag: at most three of the view, and the sky
SKY = Lamp((0.0, 0.0, 9.0), 4.0, 0.0)
HARD_EDGE = np.cos(np.deg2rad(32))
#: What a vertex holds, as raster.vert reads it, and how many numbers that is.
ATTRIBUTES = {"position": "3f", "normal": "3f", "rgb": "3f", "surface": "4f"}
FLOATS = 13

#: Finish → its number in raster.frag (wood adds its grain's axis), roughness, metallic.
FINISHES: dict[str, tuple[int, float, float]] = {
    "backdrop": (0, 0.75, 0), "wood": (1, 0.42, 0), "fabric": (4, 0.9, 0), "leather": (5, 0.42, 0),
    "wicker": (6, 0.65, 0), "fuzz": (7, 1.0, 0), "leaf": (8, 0.45, 0), "pebble": (9, 0.5, 0), "flame": (11, 1, 0),
    "glow": (11, 1, 0), "shade": (12, 0.9, 0), "brass": (13, 0.25, 1), "metal": (13, 0.3, 1), "iron": (13, 0.5, 0.7),
    "lens": (13, 0.12, 0.3), "ceramic": (13, 0.14, 0), "enamel": (13, 0.2, 0), "matte": (13, 0.75, 0),
    "paint": (13, 0.4, 0), "plastic": (13, 0.32, 0), "wax": (13, 0.45, 0), "glass": (20, 0.02, 0),
    "tinted": (21, 0.05, 0), "liquid": (22, 0.02, 0),
}  # fmt: skip

Floats = NDArray[np.float32]
Indices = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Placed:
    """A product ready to draw.

    Attributes:
        vertices: float32 (n, FLOATS).
        layers: int32 (m, 3) faces of what is opaque, of coloured glass and liquids, of clear glass.
        height: of its top above the floor.
        print: the pattern on its body.
    """

    vertices: Floats
    layers: tuple[Indices, Indices, Indices]
    height: float
    print: Print | None

    @classmethod
    def of(cls, parts: Iterable[Part]) -> Self:
        vertices: list[Floats] = []
        layers: tuple[list[Indices], list[Indices], list[Indices]] = ([], [], [])
        start = 0
        printed = None
        for part in placed(parts):
            printed = printed or part.material.print
            rows, faces = shaded(part)
            vertices.append(rows)
            layer = {"glass": 2, "tinted": 1, "liquid": 1}.get(part.material.finish, 0)
            layers[layer].append(faces + np.int32(start))
            start += len(rows)
        whole = np.vstack(vertices)
        none = np.zeros((0, 3), np.int32)
        opaque, coloured, clear = (np.vstack([none, *layer]) for layer in layers)
        return cls(whole, (opaque, coloured, clear), float(whole[:, 2].max()), printed)


def shaded(part: Part, finish: str | None = None) -> tuple[Floats, Indices]:
    """Vertices (n, FLOATS) and faces (m, 3) of a part: normals run across smooth edges and stop at hard ones."""
    made = part.material
    points, faces = _welded(part.mesh) if part.smooth else (part.mesh.vertices, part.mesh.faces)
    a, b, c = (points[faces[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    flat = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
    normals = np.stack([np.bincount(faces.ravel(), np.repeat(across[:, k], 3), len(points)) for k in range(3)], axis=1)
    normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    agree = np.einsum("fck,fk->fc", normals[faces], flat)
    hard = agree < HARD_EDGE if part.smooth else np.ones_like(agree, bool)
    faces = faces.copy()
    origin = faces[hard]
    faces[hard] = len(points) + np.arange(len(origin))
    points = np.vstack([points, points[origin]])
    normals = np.vstack([normals, flat[np.nonzero(hard)[0]]])
    number, roughness, metallic = FINISHES[finish or made.finish]
    if made.finish == "wood":
        number += int(np.ptp(points, axis=0).argmax()) if made.grain is None else made.grain
    if made.roughness is not None:
        roughness = made.roughness
    rest = [*made.rgb, number, roughness, metallic, float(made.print is not None)]
    rows = np.hstack([points, normals, np.broadcast_to(rest, (len(points), len(rest)))])
    return rows.astype(np.float32), faces.astype(np.int32)


def _welded(mesh: Mesh, tolerance: float = 1e-5) -> tuple[Points, NDArray[np.int64]]:
    """As Mesh.welded, by one number a vertex: four times as fast."""
    cells = np.round(mesh.vertices / tolerance).astype(np.int64) + (1 << 20)
    key = (cells[:, 0] << 42) | (cells[:, 1] << 21) | cells[:, 2]
    _, first, cell = np.unique(key, return_index=True, return_inverse=True)
    faces = cell[mesh.faces]
    apart = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    return mesh.vertices[first], faces[apart]


class Raster:
    """An OpenGL context that draws one picture after another."""

    def __init__(self, pixels: int = PIXELS) -> None:
        import moderngl

        self._flags = moderngl
        options: dict[str, Any] = {"standalone": True, "backend": "egl"}
        self._gl: Any = moderngl.create_context(**options)
        here = Path(__file__).parent
        programs: list[Any] = [
            self._gl.program(
                vertex_shader=(here / f"{name}.vert").read_text(encoding="utf-8"),
                fragment_shader=(here / f"{name}.frag").read_text(encoding="utf-8"),
            )
            for name in ("raster", "depth", "smooth")
        ]
        self._light, self._depth, self._smooth = programs
        size = (pixels, pixels)
        self._jagged = self._gl.texture(size, 4)
        self._drawn = self._gl.framebuffer([self._jagged], self._gl.depth_renderbuffer(size))
        self._shown = self._gl.framebuffer([self._gl.renderbuffer(size, 4)])
        self._whole = self._gl.vertex_array(self._smooth, [])
        self._shadow = self._gl.depth_texture((2 * SHADOW_PIXELS, 2 * SHADOW_PIXELS))
        self._shadow.compare_func = "<="
        self._shadow.repeat_x = self._shadow.repeat_y = False
        self._caster = self._gl.framebuffer([], self._shadow)

    def draw(self, product: Placed, view: View) -> Image.Image:
        """The product seen and lit as `view` says."""
        lamps = view.light.lamps[: LAMPS - 1]
        all_lamps = [*lamps, *[SKY] * (LAMPS - len(lamps))]
        at = np.array([rotation("z", view.turn) @ np.array(lamp.position) for lamp in all_lamps])
        middle = np.array([0, 0, product.height / 2])
        cameras = [_looking(place, middle, 1.15) for place in at]
        framed = frame(view, product.vertices[:, :3].astype(np.float64))
        eye, target = framed.position, framed.target
        seen = _looking(eye, target, np.tan(FIELD_OF_VIEW / 2) * float(np.linalg.norm(eye - target)))
        values = {
            "eye": eye,
            "camera": seen,
            "lamp_at": at,
            "lamp_towards": (middle - at) / np.linalg.norm(middle - at, axis=1, keepdims=True),
            "lamp_size": np.array([lamp.size for lamp in all_lamps]),
            "lamp_watts": np.array([np.multiply(lamp.rgb, lamp.watts) for lamp in all_lamps]),
            "lamp_camera": np.array(cameras),
            "ambient": np.array(view.light.ambient_rgb) * view.light.ambient,
            "wall": np.array(linear(view.backdrop)),
            "product_height": np.array(product.height),
            "second": np.array(product.print.rgb if product.print else (0, 0, 0)),
            "repeat": np.array(product.print.repeat if product.print else 1),
        }
        for name, value in values.items():
            if name in self._light:
                self._light[name].write(_packed(value))
        self._light["lamps"].value = len(lamps)
        self._light["pattern"].value = 1 + PRINTS.index(product.print.pattern) if product.print else 0
        backdrop = shaded(Part(wall(view.turn), material("matte", view.backdrop)), "backdrop")
        self._draw_layers(product, cameras, seen, backdrop)
        self._shown.use()
        self._gl.disable(self._flags.DEPTH_TEST | self._flags.BLEND)
        self._jagged.use(0)
        self._whole.render(self._flags.TRIANGLES, 3)
        raw = self._shown.read(components=3, alignment=1)
        return Image.frombytes("RGB", self._shown.size, raw).transpose(Image.Transpose.FLIP_TOP_BOTTOM)

    def _draw_layers(
        self, product: Placed, lamps: list[Points], seen: Points, backdrop: tuple[Floats, Indices]
    ) -> None:
        gl, flags = self._gl, self._flags
        held: list[Any] = []

        def array(program: Any, vertices: Any, faces: Indices) -> Any:
            names = [name for name in ATTRIBUTES if name in program]
            layout = " ".join(kind if name in names else f"{4 * int(kind[0])}x" for name, kind in ATTRIBUTES.items())
            indices = gl.buffer(faces.tobytes())
            made = gl.vertex_array(program, [(vertices, layout, *names)], index_buffer=indices, index_element_size=4)
            held.extend((made, indices))
            return made

        rows, sheet = (gl.buffer(vertices.tobytes()) for vertices in (product.vertices, backdrop[0]))
        opaque, coloured, clear = product.layers
        # clear glass casts no shadow: Cycles lets light through it, too
        solid = array(self._depth, rows, np.vstack([opaque, coloured]))
        gl.enable(flags.DEPTH_TEST)
        gl.disable(flags.BLEND)
        gl.depth_func = "<="
        self._caster.use()
        self._caster.clear(depth=1.0)
        for place, matrix in enumerate(lamps):
            tile = (place % 2 * SHADOW_PIXELS, place // 2 * SHADOW_PIXELS, SHADOW_PIXELS, SHADOW_PIXELS)
            self._caster.viewport = tile
            self._depth["camera"].write(_packed(matrix))
            solid.render()
        self._shadow.use(0)
        self._drawn.use()
        self._drawn.clear(1, 1, 1, 1, depth=1.0)
        self._drawn.color_mask = False, False, False, False  # depth first: what is hidden need not be lit
        self._depth["camera"].write(_packed(seen))
        if len(opaque):
            array(self._depth, rows, opaque).render()
        self._drawn.color_mask = True, True, True, True
        if len(opaque):
            array(self._light, rows, opaque).render()
        array(self._light, sheet, backdrop[1]).render()
        gl.enable(flags.BLEND)
        gl.blend_func = flags.ONE, flags.ONE_MINUS_SRC_ALPHA
        for faces, depth in ((coloured, True), (clear, False)):
            self._drawn.depth_mask = depth
            if len(faces):
                array(self._light, rows, faces).render()
        self._drawn.depth_mask = True
        for thing in (*held, rows, sheet):
            thing.release()


def _looking(eye: Points, target: Points, reach: float) -> Points:
    """(4, 4) projection of a camera at `eye` whose frame ends `reach` to all sides of `target`."""
    away = float(np.linalg.norm(target - eye))
    forwards = (target - eye) / away
    right = np.cross(forwards, [0, 0, 1] if abs(forwards[2]) < 0.999 else [0, 1, 0])
    right = right / np.linalg.norm(right)
    up = np.cross(right, forwards)
    near, far = away * 0.2, away + 40.0
    axes = np.eye(4)
    axes[:3, :3] = [right, up, -forwards]
    axes[:3, 3] = -axes[:3, :3] @ eye
    lens = np.zeros((4, 4))
    lens[0, 0] = lens[1, 1] = away / reach
    lens[2, 2], lens[2, 3], lens[3, 2] = (near + far) / (near - far), 2 * near * far / (near - far), -1
    return np.asarray(lens @ axes)


def _packed(value: Any) -> bytes:
    """float32 as OpenGL wants it: matrices column by column."""
    array = np.asarray(value, np.float32)
    return np.ascontiguousarray(np.swapaxes(array, -1, -2) if array.shape[-2:] == (4, 4) else array).tobytes()
