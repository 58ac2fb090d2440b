"""Cross-entropy against triplets for lite's visual block, at equal budget, asked of products that neither has seen.

    python tests/bench/quality_training.py --folder DIR [--steps 600] [--seeds 3] [--out results/quality-training.json]

DIR is made by `python -m samples.many`. Both losses begin with the same matrix and get the same batches and steps.
The learning rate is chosen for each from RATES by rank-1 on a fifth of the training products that the choice's
training leaves out; the catalogue's products are used for nothing but the table. "Unseen kinds": trained on three
quarters of the kinds, asked of the others. DIR/visual-LOSS.npz is the first seed's block, for `quality.py --visual`.
"""

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from quality import DIMENSIONS, HERE, RESAMPLES, ROOT, SEED, SIZES, Found, Pictures, asked
from tabulate import tabulate

from neuralshelf.model_packages.lite import LiteEncoder
from neuralshelf.model_packages.lite.finetune import LossName, Plan, fit, ranks
from neuralshelf.settings import Folders

RATES = (1e-4, 3e-4, 1e-3, 3e-3)
LOSSES: tuple[LossName, ...] = get_args(LossName)
VALIDATION = 5  # every fifth product
UNSEEN = 4  # every fourth kind


class Arena:
    """The pictures, and lite with any visual block. What is trained is kept in DIR/blocks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = Folders.default(ROOT).cache
        self.base = LiteEncoder.load(self.cache)
        self.training = Pictures.read(folder / "training.jsonl", self.base)

    @cached_property
    def catalogue(self) -> Pictures:
        """Catalogue pictures and queries."""
        return Pictures.read(self.folder / "catalogue.jsonl", self.base)

    @cached_property
    def queries(self) -> Pictures:
        return self.catalogue.where(role="query")

    @cached_property
    def shown(self) -> Pictures:
        return self.catalogue.where(role="catalogue")

    def with_block(self, block: Path | None) -> LiteEncoder:
        return self.base if block is None else LiteEncoder.load(self.cache, visual=block)

    def trained(self, plan: Plan, pictures: Pictures) -> Path:
        """File of the block that `plan` makes of `pictures`."""
        names = {name: number for number, name in enumerate(dict.fromkeys(pictures.ids))}
        key = hashlib.sha256(f"{plan}\n{pictures.ids}".encode()).hexdigest()[:16]
        file = self.folder / "blocks" / f"{plan.loss}-{key}.npz"
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            numbers = np.array([names[name] for name in pictures.ids])
            start, began = self.base.visual.weight, time.process_time()
            content = fit(plan, start, pictures.features, numbers, quiet=not sys.stderr.isatty()).save()
            print(f"{plan}: {time.process_time() - began:.0f} s of one core", file=sys.stderr, flush=True)
            partial = file.with_suffix(".partial")
            partial.write_bytes(content)
            partial.replace(file)
        return file

    def validated(self, plan: Plan | None) -> float:
        """Rank-1 on the training products that are left out: the catalogue picture finds by the other ones."""
        order = {name: number for number, name in enumerate(dict.fromkeys(self.training.ids))}
        left = [order[name] % VALIDATION == 0 for name in self.training.ids]
        kept = self.training.take([place for place, out in enumerate(left) if not out])
        held = self.training.take([place for place, out in enumerate(left) if out])
        encoder = self.with_block(None if plan is None else self.trained(plan, kept))
        return asked(encoder, DIMENSIONS[-1], held.where(role="catalogue"), held.where(role="query")).share(1)

    def measured(self, block: Path | None) -> dict[str, Found]:
        """Dimension and size of the catalogue → what is found."""
        encoder = self.with_block(block)
        out = {}
        for dimension in DIMENSIONS:
            shown, wanted = (p.vectors(encoder, dimension) for p in (self.shown, self.queries))
            for size in SIZES:
                if size <= len(shown):
                    before = ranks(shown[:size], self.shown.ids[:size], wanted, self.queries.ids)
                    out[f"{dimension}/{size}"] = Found(before, self.queries.ids)
        return out


def difference(a: Found, b: Found, k: int = 1) -> list[float]:
    """Rank-k of `a` less that of `b`, with its 95 % interval: the same products are drawn again for both."""
    names, place = np.unique(a.ids, return_inverse=True)
    gain = np.bincount(place, (a.before < k).astype(float) - (b.before < k).astype(float))
    times = np.bincount(place)
    chance = np.random.default_rng(SEED)
    drawn = [chance.integers(len(names), size=len(names)) for _ in range(RESAMPLES)]
    low, high = np.percentile([gain[d].sum() / times[d].sum() for d in drawn], [2.5, 97.5])
    return [float(gain.sum() / times.sum()), float(low), float(high)]


def unseen_kinds(arena: Arena, plans: Sequence[Plan]) -> dict[str, Any]:
    """Rank-1 and rank-5 in the smallest catalogue, on some kinds, trained without and with them."""
    kinds = sorted({row["kind"] for row in arena.training.rows})
    left_out = set(kinds[::UNSEEN])
    others = arena.training.take([i for i, row in enumerate(arena.training.rows) if row["kind"] not in left_out])
    queries = arena.queries.take([i for i, row in enumerate(arena.queries.rows) if row["kind"] in left_out])
    gallery = arena.shown.take(range(SIZES[0]))

    def shares(block: Path | None) -> dict[str, float]:
        got = asked(arena.with_block(block), DIMENSIONS[-1], gallery, queries)
        return {"rank_1": got.share(1), "rank_5": got.share(5)}

    out: dict[str, Any] = {"kinds": sorted(left_out), "queries": len(queries.rows), "lite as it is": shares(None)}
    for plan in plans:
        out[f"{plan.loss}, without them"] = shares(arena.trained(plan, others))
        out[f"{plan.loss}, with them"] = shares(arena.trained(plan, arena.training))
    return out


def compare(arena: Arena, steps: int, seeds: int) -> dict[str, Any]:
    """The whole comparison as JSON."""
    plans: list[Plan] = []
    validation: dict[str, Any] = {"none": round(arena.validated(None), 4)}
    for loss in LOSSES:
        tried = {rate: arena.validated(Plan(loss=loss, steps=steps, rate=rate)) for rate in RATES}
        validation[loss] = {str(rate): round(share, 4) for rate, share in tried.items()}
        plans.append(Plan(loss=loss, steps=steps, rate=max(tried, key=lambda rate: tried[rate])))
    blocks = [
        (plan.loss, seed, arena.trained(replace(plan, seed=seed), arena.training))
        for plan in plans
        for seed in range(1, seeds + 1)
    ]
    plain = arena.measured(None)
    runs: list[dict[str, Any]] = [{"loss": "none", "seed": 0, **summaries(plain)}]
    first: dict[str, Mapping[str, Found]] = {}
    for loss, seed, block in blocks:
        measured = arena.measured(block)
        if seed == 1:
            first[loss] = measured
            (arena.folder / f"visual-{loss}.npz").write_bytes(block.read_bytes())
        runs.append({"loss": loss, "seed": seed, **summaries(measured)})
    out: dict[str, Any] = {
        "products": len(set(arena.training.ids)),
        "pictures": len(arena.training.rows),
        "plans": [asdict(plan) for plan in plans],
        "validation": validation,
        "runs": runs,
    }
    out["differences"] = {
        key: {
            "cross-entropy less none": difference(first["cross-entropy"][key], plain[key]),
            "triplet less none": difference(first["triplet"][key], plain[key]),
            "cross-entropy less triplet": difference(first["cross-entropy"][key], first["triplet"][key]),
        }
        for key in plain
    }
    out["unseen_kinds"] = unseen_kinds(arena, plans)
    return out


def summaries(measured: Mapping[str, Found]) -> dict[str, dict[str, float]]:
    return {key: {f"rank_{k}": round(each.share(k), 4) for k in (1, 5, 10)} for key, each in measured.items()}


def table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Means over the seeds with their standard deviations, as Markdown."""

    def cell(loss: str, key: str, rank: str) -> str:
        values: NDArray[np.float64] = np.array([run[key][rank] for run in runs if run["loss"] == loss])
        return f"{values.mean():.3f}" + (f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else "")

    keys = [key for key in runs[0] if "/" in key]
    body = [
        [key.split("/")[0], f"{int(key.split('/')[1]):,}", rank.replace("_", "-")]
        + [cell(loss, key, rank) for loss in ("none", *LOSSES)]
        for key in keys
        for rank in ("rank_1", "rank_5")
    ]
    return tabulate(body, ["dim", "products", "", "as it is", *LOSSES], tablefmt="github")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "quality-training.json")
    words = parser.parse_args()
    compared = compare(Arena(words.folder), words.steps, words.seeds)
    compared["load"] = [round(value, 1) for value in os.getloadavg()]
    words.out.write_text(json.dumps(compared) + "\n", encoding="utf-8")
    print(table(compared["runs"]))
    for name in ("validation", "differences", "unseen_kinds"):
        print(name, json.dumps(compared[name]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
