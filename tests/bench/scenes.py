"""Scenes of several products, composed of `samples/views.jsonl`: another side, other light and another wall than in the
catalogue. Two to four of them, of different kinds, stand on one background at different sizes.

The background of a view is its border, carried inwards row by row; what differs from it is the product, what is darker
is its shadow, which is kept.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
WIDTH, HEIGHT = 960, 640
SIZES = (190, 400)
"""Pixels of a product's whole view, of which it fills about 0.7."""

ROOMS = ((216, 205, 187), (185, 194, 196), (207, 214, 204), (169, 162, 154), (220, 211, 208))
"""Walls and floors, as those of samples/views.py."""

_CLEAR, _THING = 14.0, 42.0
"""Differences of 8-bit values: up to the first all is background, from the second on all is product."""

Floats = NDArray[np.float32]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Placed:
    """One product in a scene.

    Attributes:
        box: around what is seen of it: centre and size, in shares of the scene.
    """

    product: str
    kind: str
    view: str
    box: Box


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture of several products: uint8, shape (HEIGHT, WIDTH, 3)."""

    image: NDArray[np.uint8]
    placed: tuple[Placed, ...]


def scenes(number: int, seed: int = 0) -> Iterator[Scene]:
    """`number` scenes, always the same for a seed; views are used evenly, no kind is twice in a scene."""
    rng = np.random.default_rng(seed)
    kinds = {row["id"]: row["kind"] for row in _rows("catalogue.jsonl")}
    views = [(row["id"], kinds[row["id"]], row["image"]) for row in _rows("views.jsonl")]
    left: list[tuple[str, str, str]] = []
    for _ in range(number):
        chosen: list[tuple[str, str, str]] = []
        for _ in range(int(rng.integers(2, 5))):
            if len(left) < len(views) // 4:
                left += [views[place] for place in rng.permutation(len(views))]
            pick = next(view for view in left if view[1] not in {kind for _, kind, _ in chosen})
            left.remove(pick)
            chosen.append(pick)
        yield _composed(chosen, rng)


def _composed(chosen: Sequence[tuple[str, str, str]], rng: np.random.Generator) -> Scene:
    canvas = _room(rng)
    placed = []
    columns = np.linspace(0, WIDTH, len(chosen) + 1)
    for (product, kind, view), left, right in zip(chosen, columns[:-1], columns[1:], strict=True):
        room = int(right - left)
        side = int(rng.integers(SIZES[0], min(SIZES[1], int(room * 1.3)) + 1))
        thing, light = cut_out(SAMPLES / view, side)
        # a view has a margin of about an eighth of its side, so views may overlap a little where products don't
        x = int(np.clip(left + rng.integers(0, max(1, abs(room - side))) * np.sign(room - side), 0, WIDTH - side))
        y = int(rng.integers(HEIGHT // 5, HEIGHT - side + 1)) if side < HEIGHT * 4 // 5 else HEIGHT - side
        part = canvas[y : y + side, x : x + side]
        part[:] = part * light * (1 - thing[..., 3:]) + thing[..., :3] * thing[..., 3:]
        placed.append(Placed(product, kind, view, _around(thing[..., 3] > 0.5, x, y)))
    return Scene(canvas.round().clip(0, 255).astype(np.uint8), tuple(placed))


def cut_out(path: Path, side: int) -> tuple[Floats, Floats]:
    """A view's product, and what its shadow leaves of the light.

    Returns:
        float32 of shape (side, side, 4): colours 0 to 255, and how much of a pixel is product, 0 to 1;
        float32 of shape (side, side, 1): 0 to 1.
    """
    with Image.open(path) as file:
        image = np.asarray(file.convert("RGB").resize((side, side), Image.Resampling.LANCZOS), np.float32)
    edge = max(2, side // 64)
    first, last = image[:, :edge].mean(1, keepdims=True), image[:, -edge:].mean(1, keepdims=True)
    across = np.linspace(0, 1, side, dtype=np.float32)[None, :, None]
    background = first * (1 - across) + last * across
    alpha = ((np.abs(image - background).max(2, keepdims=True) - _CLEAR) / (_THING - _CLEAR)).clip(0, 1)
    light = (image / background.clip(1)).mean(2, keepdims=True).clip(0, 1)
    return np.concatenate([image, alpha], axis=2), light


def _room(rng: np.random.Generator) -> Floats:
    """A wall that gets darker upwards, with some grain."""
    colour = np.asarray(ROOMS[int(rng.integers(len(ROOMS)))], np.float32)
    light = np.linspace(0.82, 1.04, HEIGHT, dtype=np.float32)[:, None, None]
    grain = rng.normal(0, 1.5, (HEIGHT, WIDTH, 1)).astype(np.float32)
    return colour * light + grain


def _around(thing: NDArray[np.bool_], x: int, y: int) -> Box:
    rows, columns = np.flatnonzero(thing.mean(1) > 0.01), np.flatnonzero(thing.mean(0) > 0.01)
    left, right = (x + columns[0]) / WIDTH, (x + columns[-1] + 1) / WIDTH
    top, bottom = (y + rows[0]) / HEIGHT, (y + rows[-1] + 1) / HEIGHT
    return float((left + right) / 2), float((top + bottom) / 2), float(right - left), float(bottom - top)


def _rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SAMPLES / name).read_text(encoding="utf-8").splitlines()]
