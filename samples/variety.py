"""More designs of a kind than the ten of the sample catalogue: other proportions, tints, prints and fittings.

A catalogue of any size is `designs(kind, count)` of every kind. Two products are different if their styles or designs
differ in one attribute at least; those that differ in one step of one attribute only are called near-twins. A real
catalogue has them, too: the same vase a size larger.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from samples.assortment import BARE, DESIGNS_PER_KIND, ROUND, Kind, Product, materials_for
from samples.geometry import Part, Points
from samples.kinds import BUILDERS, Design
from samples.materials import BRASS, IRON, SHADES, STEEL, Material, Print, linear, material

#: Shapes that are shapes of their own, where not all four are (balls are only turned).
FORMS: dict[str, tuple[int, ...]] = {
    "barrel": (0, 1), "basketball": (0,), "bucket": (0, 1), "chair": (0, 1), "dumbbell": (0, 1),
    "filing cabinet": (0, 1, 3), "frying pan": (0, 1, 2), "hourglass": (0,), "park bench": (0,),
    "perfume bottle": (0, 1), "piggy bank": (0, 1, 2), "plant pot": (0, 1), "rocking chair": (0,),
    "salt shaker": (0, 1), "soccer ball": (0,), "sombrero": (0,), "tennis ball": (0,),
}  # fmt: skip
#: How many of the last entries of a key are steps on a scale, whose neighbours are alike.
STEPS = 4
#: How a colour word's shade is varied: towards which linear grey, and how far.
TINTS: tuple[tuple[float, float], ...] = ((0.0, 0.0), (0.0, 0.4), (0.9, 0.22), (0.25, 0.35))
PRINTS = ("bands", "stripes", "checks", "dots", "dip", "speckle")
REPEATS = {"bands": (3, 6), "stripes": (8, 16), "checks": (4, 8), "dots": (5, 9), "dip": (3, 5), "speckle": (8, 20)}
#: Finishes that nothing is printed on.
UNPRINTED = {"brass", "glass", "liquid", "metal", "tinted", "wood"}
METALS = (STEEL, BRASS, IRON)
FITTINGS: tuple[Material, ...] = (*METALS, material("plastic", "cream"), material("plastic", "red"))
#: Kinds with a front and sides, which may be deeper or flatter; the others are round about z and stay so.
BOXY = {
    "basket", "birdhouse", "bookcase", "chair", "dining table", "filing cabinet", "mailbox", "padlock", "park bench",
    "perfume bottle", "rocking chair", "sofa", "storage chest", "toaster", "wardrobe",
}  # fmt: skip
#: Across and front to back, against the height: the camera fits the product, so size alone can't be seen.
GIRTHS = (0.68, 0.78, 0.89, 1.0, 1.14, 1.3, 1.48)
DEPTHS = (0.82, 1.0, 1.22)
TAPERS = (-0.26, -0.13, 0.0, 0.13, 0.26)
BULGES = (-0.16, 0.0, 0.16)


@dataclass(frozen=True)
class Style:
    """What is done to a built design. All but `print` and `fitting` are steps on the scales above.

    `girth` stretches across, `depth` front to back; `taper` narrows the top or the foot, `bulge` swells the middle.
    `fitting` replaces bare metal parts.
    """

    tint: int
    girth: int
    depth: int
    taper: int
    bulge: int
    print: Print | None
    fitting: int

    def bend(self, points: Points, low: float, high: float) -> Points:
        """(n, 3) points of a product that stands between the heights `low` and `high`."""
        up = np.clip((points[:, 2] - low) / max(high - low, 1e-9), 0, 1)
        across = GIRTHS[self.girth] * (1 + TAPERS[self.taper] * (2 * up - 1) + BULGES[self.bulge] * np.sin(np.pi * up))
        return np.column_stack([points[:, 0] * across, points[:, 1] * across * DEPTHS[self.depth], points[:, 2]])


@dataclass(frozen=True)
class Styled(Product):
    """A product beyond the ten of its kind."""

    style: Style

    @property
    def key(self) -> tuple[object, ...]:
        """What tells it from others of its kind; equal keys are the same product."""
        style = self.style
        print_ = (None, "", 0) if style.print is None else (style.print.pattern, style.print.colour, style.print.repeat)
        words = (self.colour, self.design.shape, self.design.body.finish, *print_, style.tint, style.fitting)
        return (*words, style.girth, style.depth, style.taper, style.bulge)

    def parts(self) -> list[Part]:
        built = BUILDERS[self.kind.noun](self.design)
        heights = np.concatenate([part.mesh.vertices[:, 2] for part in built])
        low, high = float(heights.min()), float(heights.max())
        return [
            replace(part, mesh=part.mesh.bent(lambda p: self.style.bend(p, low, high)), material=self._made_of(part))
            for part in built
        ]

    def _made_of(self, part: Part) -> Material:
        body = self.design.body
        if (part.material.finish, part.material.rgb) == (body.finish, body.rgb):
            return replace(part.material, print=self.style.print)
        return FITTINGS[self.style.fitting] if part.material in METALS else part.material


@functools.cache
def _has_fittings(noun: str, shape: int) -> bool:
    design = Design("red", material("matte", "red"), shape, seed=0)
    return any(part.material in METALS for part in BUILDERS[noun](design))


def _tinted(shade: str, tint: int) -> tuple[float, float, float]:
    grey, share = TINTS[tint]
    red, green, blue = (channel * (1 - share) + grey * share for channel in linear(shade))
    return red, green, blue


def styled(kind: Kind, variant: int) -> Styled:
    """The `variant`-th design of `kind`, from DESIGNS_PER_KIND on; the same arguments always give the same product."""
    id = f"{kind.slug}-{variant:02d}"
    chance = random.Random(f"{id}/style")
    colour = kind.colours[variant % len(kind.colours)]
    name = chance.choice(materials_for(kind, colour))
    finish = kind.materials[name]
    # black and white can't be mixed much and stay what they are called
    tint = chance.randrange(2) if colour in ("black", "white") or finish in BARE else chance.randrange(len(TINTS))
    body = Material(finish, _tinted(SHADES[colour][0], tint))
    design = Design(colour, body, chance.choice(FORMS.get(kind.noun, (0, 1, 2, 3))), seed=chance.randrange(2**31))
    printed: Print | None = None
    if finish not in UNPRINTED and chance.random() < 0.6:
        pattern = chance.choice(PRINTS)
        second = chance.choice([word for word in SHADES if word != colour])
        printed = Print(pattern, second, linear(second), chance.choice(REPEATS[pattern]))
    girth, depth, taper, bulge = (chance.randrange(len(scale)) for scale in (GIRTHS, DEPTHS, TAPERS, BULGES))
    if kind.noun in ROUND:
        girth, taper, bulge = GIRTHS.index(1.0), TAPERS.index(0.0), BULGES.index(0.0)
    if kind.noun not in BOXY:
        depth = DEPTHS.index(1.0)
    fitting = chance.randrange(len(FITTINGS)) if _has_fittings(kind.noun, design.shape) else 0
    style = Style(tint, girth, depth, taper, bulge, printed, fitting)
    return Styled(id, kind, variant, name, design, 1.0, 1.0, style)


def designs(kind: Kind, count: int) -> tuple[Styled, ...]:
    """`count` different products of a kind. ValueError if it has not so many."""
    found: dict[tuple[object, ...], Styled] = {}
    for variant in range(DESIGNS_PER_KIND, DESIGNS_PER_KIND + 4 * count):
        item = styled(kind, variant)
        found.setdefault(item.key, item)
        if len(found) == count:
            return tuple(found.values())
    raise ValueError(f"{kind.noun} has {len(found)} different designs, not {count}")


def near_twins(products: tuple[Styled, ...]) -> int:
    """How many of `products`, all of one kind, differ from another one in a single step of a single attribute."""
    words = [item.key[:-STEPS] for item in products]
    number = {word: place for place, word in enumerate(dict.fromkeys(words))}
    same = np.array([number[word] for word in words])
    steps = np.array([item.key[-STEPS:] for item in products], int)
    apart = np.abs(steps[:, None] - steps[None]).sum(-1)
    return int(((apart == 1) & (same[:, None] == same[None])).any(1).sum())


def order(kinds: tuple[Kind, ...], count: int) -> Iterator[Styled]:
    """`count` products, the kinds in turn: any beginning has as many of each kind (give or take one)."""
    each = -(-count // len(kinds))
    rows = zip(*(designs(kind, each) for kind in kinds), strict=True)
    yield from [item for row in rows for item in row][:count]
