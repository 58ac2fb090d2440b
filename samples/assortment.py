"""Which products there are: every kind in ten designs, each drawn from its own seed."""

from __future__ import annotations

import functools
import random
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from samples.geometry import Part
from samples.kinds import BUILDERS, Design
from samples.materials import SHADES, Finish, Material, linear

FOLDER = Path(__file__).parent
DESIGNS_PER_KIND = 10


@dataclass(frozen=True)
class Kind:
    """A row of kinds.toml. `materials` maps a shop name to a finish, `turn` and `tilt` are degrees."""

    noun: str
    colours: tuple[str, ...]
    materials: dict[str, Finish]
    price: tuple[float, float]
    turn: tuple[float, float]
    tilt: tuple[float, float]

    @property
    def slug(self) -> str:
        return self.noun.replace(" ", "-")


@dataclass(frozen=True)
class Product:
    """One design of a kind: `id` is "teapot-07"; `width` and `height` stretch the built shape."""

    id: str
    kind: Kind
    variant: int
    material: str
    design: Design
    width: float
    height: float

    @property
    def colour(self) -> str:
        return self.design.colour

    def chance(self, purpose: str) -> random.Random:
        """Random numbers for one purpose, so that a change of words never changes a picture."""
        return random.Random(f"{self.id}/{purpose}")

    def parts(self) -> list[Part]:
        """The product's geometry."""
        built = BUILDERS[self.kind.noun](self.design)
        return [part.scaled(self.width, self.width, self.height) for part in built]


@functools.cache
def kinds() -> tuple[Kind, ...]:
    """All kinds of kinds.toml in the file's order."""
    rows = tomllib.loads((FOLDER / "kinds.toml").read_text(encoding="utf-8"))
    return tuple(
        Kind(
            noun,
            tuple(row["colours"]),
            row["materials"],
            tuple(row["price"]),
            tuple(row["turn"]),
            tuple(row["tilt"]),
        )
        for noun, row in rows.items()
    )


#: Finishes without a coat of paint, and the colours such products have.
BARE = {"wood": {"brown"}, "metal": {"gray"}, "brass": {"yellow"}}


def materials_for(kind: Kind, colour: str) -> list[str]:
    """Shop names of the materials that products of that colour come in: the bare ones where there are any."""
    bare = [name for name, finish in kind.materials.items() if colour in BARE.get(finish, ())]
    return sorted(bare or [name for name, finish in kind.materials.items() if finish not in BARE])


#: Kinds that would look squashed if stretched.
ROUND = {"basketball", "soccer ball", "tennis ball", "wall clock"}


def product(kind: Kind, variant: int) -> Product:
    """The `variant`-th design of `kind`; the same arguments always give the same product."""
    id = f"{kind.slug}-{variant:02d}"
    chance = random.Random(f"{id}/design")
    colour = kind.colours[variant % len(kind.colours)]
    material = chance.choice(materials_for(kind, colour))
    shade = SHADES[colour][variant // len(kind.colours) % len(SHADES[colour])]
    body = Material(kind.materials[material], linear(shade))
    shape = (variant + variant // len(kind.colours)) % 4
    design = Design(colour, body, shape, seed=chance.randrange(2**31))
    width, height = chance.uniform(0.94, 1.06), chance.uniform(0.92, 1.1)
    if kind.noun in ROUND:
        width = height = 1.0
    return Product(id, kind, variant, material, design, width, height)


def products() -> Iterator[Product]:
    """All products, kind by kind."""
    for kind in kinds():
        for variant in range(DESIGNS_PER_KIND):
            yield product(kind, variant)
