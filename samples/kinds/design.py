"""What makes one product differ from another of its kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from samples.geometry import Part
from samples.materials import Material

Choice = TypeVar("Choice")


@dataclass(frozen=True)
class Design:
    """`colour` is a word of `SHADES`, `body` the material of what carries that colour, `shape` 0..3 picks the form.

    `seed` feeds whatever else is left to chance (leaves, books on a shelf).
    """

    colour: str
    body: Material
    shape: int
    seed: int

    def pick(self, *choices: Choice) -> Choice:
        """The choice for this shape; fewer than four choices repeat."""
        return choices[self.shape % len(choices)]

    def random(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)


def moved(parts: list[Part], x: float, y: float, z: float) -> list[Part]:
    """All parts moved together."""
    return [part.moved(x, y, z) for part in parts]


def rotated(parts: list[Part], axis: str, degrees: float) -> list[Part]:
    """All parts turned together about the origin."""
    return [part.rotated(axis, degrees) for part in parts]
