"""Fine-tune lite's visual block on pictures of one's own products.

    python -m neuralshelf.model_packages.lite.finetune --train FILE --held-out FILE --cache DIR --out visual.npz

Files are JSON lines, `{"id": product, "image": path beside the file}`; several lines show one product, and no product
is in both files. The network stays as it is; what is learnt is the matrix on its features (visual.py), by numpy, in
minutes. Of each held-out product the first picture is in the catalogue, the others are searched with: rank-k is the
share that finds the right product among the first k, by the whole vector of 1024 dimensions. OUT is written if rank-1
got better. The same command goes on where a stopped run was (OUT.work, which can be deleted afterwards).
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from neuralshelf.model_packages.lite import losses, observations
from neuralshelf.model_packages.lite.encoder import LiteEncoder
from neuralshelf.model_packages.lite.losses import Adam, Floats, normalised, through_length
from neuralshelf.model_packages.lite.observations import PicturesError, Seen, Shown
from neuralshelf.model_packages.lite.visual import Visual, centred

DIMENSION = 1024
EVERY = 250

LossName = Literal["cross-entropy", "triplet"]
Numbers = NDArray[np.intp]

#: The best learning rates of docs/quality.md.
RATES: dict[LossName, float] = {"cross-entropy": 1e-3, "triplet": 3e-4}


@dataclass(frozen=True)
class Plan:
    """How the block is trained; docs/quality.md says how well that goes.

    Attributes:
        products: different products in a batch.
        each: pictures of each at most.
        rate: of Adam at its highest; it falls along a half cosine.
        scale: what cosines are multiplied with before the softmax of cross-entropy.
        margin: of cosines, in triplets.
    """

    loss: LossName = "cross-entropy"
    steps: int = 500
    products: int = 32
    each: int = 4
    rate: float = RATES["cross-entropy"]
    scale: float = 16.0
    margin: float = 0.2
    seed: int = 1


def fit(
    plan: Plan, start: Floats, features: Floats, numbers: Numbers, work: Path | None = None, quiet: bool = True
) -> Visual:
    """Train from `start` (1280, 640).

    Args:
        features: (n, 1280), of the training pictures.
        numbers: (n,) product of each, from 0 without gaps.
        work: folder for the checkpoint; None keeps none.
    """
    inputs = centred(features)
    matrices = {"weight": start.astype(np.float32).copy()}
    if plan.loss == "cross-entropy":
        outputs, _ = normalised(inputs @ start)
        counts = np.bincount(numbers)[:, None]
        matrices["proxies"] = np.zeros((len(counts), start.shape[1]), np.float32)
        np.add.at(matrices["proxies"], numbers, outputs)
        matrices["proxies"] /= counts
    adam, done = Adam(matrices), 0
    key = hashlib.sha256(repr(asdict(plan)).encode() + inputs.tobytes() + numbers.tobytes()).hexdigest()
    checkpoint = None if work is None else work / "checkpoint.npz"
    if checkpoint is not None and checkpoint.exists():
        done = _restore(checkpoint, key, adam)
    rows_of = [np.flatnonzero(numbers == product) for product in range(int(numbers.max()) + 1)]
    with tqdm(total=plan.steps, initial=done, desc=plan.loss, unit="step", disable=True if quiet else None) as bar:
        for step in range(done, plan.steps):
            rows = _batch(plan, step, rows_of)
            gradients = _gradients(plan, adam.matrices, inputs[rows], numbers[rows])
            adam.step(step + 1, plan.rate * (1 + np.cos(np.pi * step / plan.steps)) / 2, gradients)
            bar.update()
            if checkpoint is not None and (step + 1) % EVERY == 0:
                _keep(checkpoint, key, step + 1, adam)
    return Visual.sorted_by_weight(adam.matrices["weight"], inputs)


def _batch(plan: Plan, step: int, rows_of: Sequence[Numbers]) -> Numbers:
    """Rows of some products; the same step of the same plan always gives the same ones."""
    chance = np.random.default_rng([plan.seed, step])
    chosen = chance.choice(len(rows_of), min(plan.products, len(rows_of)), replace=False)
    return np.concatenate([chance.permutation(rows_of[product])[: plan.each] for product in chosen])


def _gradients(plan: Plan, matrices: dict[str, Floats], inputs: Floats, numbers: Numbers) -> dict[str, Floats]:
    unit, lengths = normalised(inputs @ matrices["weight"])
    found: dict[str, Floats] = {}
    if plan.loss == "cross-entropy":
        _, gradient, found["proxies"] = losses.cross_entropy(unit, numbers, matrices["proxies"], plan.scale)
    else:
        _, gradient = losses.triplet(unit, numbers, plan.margin)
    return found | {"weight": inputs.T @ through_length(gradient, unit, lengths)}


def _keep(file: Path, key: str, done: int, adam: Adam) -> None:
    partial = file.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.savez(stream, allow_pickle=False, key=np.array(key), done=np.array(done), **adam.matrices, **adam.state)
    partial.replace(file)


def _restore(file: Path, key: str, adam: Adam) -> int:
    """Steps done by an earlier run of the same plan on the same pictures; 0 if it was another."""
    with np.load(file) as stored:
        if str(stored["key"]) != key:
            return 0
        for found in (adam.matrices, adam.state):
            for name in found:
                found[name] = stored[name]
        return int(stored["done"])


def ranks(gallery: Floats, shown: Sequence[str], queries: Floats, wanted: Sequence[str]) -> Numbers:
    """How many products come before the right one, for each query; a product counts by its best picture.

    Args:
        gallery: vectors (n, d) of the catalogue's pictures, of the products `shown`.
        queries: vectors (m, d), of the products `wanted`.
    """
    names, numbers = np.unique(np.asarray(shown), return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    starts = np.searchsorted(numbers[order], np.arange(len(names)))
    right = np.searchsorted(names, np.asarray(wanted))
    scores = np.maximum.reduceat((queries @ gallery.T)[:, order], starts, axis=1)
    return np.asarray((scores > scores[np.arange(len(right)), right][:, None]).sum(1))


@dataclass(frozen=True)
class Pictures:
    """Pictures of some products with what is seen in them."""

    shown: Sequence[Shown]
    seen: Seen

    def ranks(self, encoder: LiteEncoder) -> Numbers:
        """`ranks` with each product's first picture as the catalogue and the others as queries."""
        vectors = encoder.vectors(self.seen.features, self.seen.logits, self.seen.colours, DIMENSION)
        products = [picture.product for picture in self.shown]
        first = [products.index(product) for product in dict.fromkeys(products)]
        rest = sorted(set(range(len(products))) - set(first))
        return ranks(vectors[first], [products[f] for f in first], vectors[rest], [products[r] for r in rest])


def run(plan: Plan, train: Path, held_out: Path, cache: Path, out: Path) -> dict[str, object]:
    """Train, or go on, and write the block.

    Returns:
        Numbers of products and pictures; rank-1 and rank-5 on the held-out products `before` and `after`; `written`.

    Raises:
        PicturesError: a file or a picture can't be used, or there is too little to learn from.
    """
    shown, asked = observations.read(train), observations.read(held_out)
    products = {product: number for number, product in enumerate(sorted({picture.product for picture in shown}))}
    _check(train, held_out, shown, asked, products)
    encoder = LiteEncoder.load(cache)
    work = out.with_name(f"{out.name}.work")
    with tqdm(total=len(shown) + len(asked), desc="look", unit="picture", disable=None) as bar:
        seen, seen_asked = (
            observations.observe(encoder, [picture.path for picture in pictures], work, bar.update)
            for pictures in (shown, asked)
        )
    numbers = np.array([products[picture.product] for picture in shown])
    visual = fit(plan, encoder.visual.weight, seen.features, numbers, work, quiet=False)
    measured = Pictures(asked, seen_asked)
    partial = out.with_name(f"{out.name}.partial")
    partial.write_bytes(visual.save())
    before, after = (_shares(measured.ranks(model)) for model in (encoder, LiteEncoder.load(cache, visual=partial)))
    written = after["rank_1"] > before["rank_1"]
    if written:
        partial.replace(out)
    else:
        partial.unlink()
    counts = {"products": len(products), "pictures": len(shown), "held_out_pictures": len(asked)}
    return {"format_version": 1, **counts, "before": before, "after": after, "written": written}


def _check(
    train: Path, held_out: Path, shown: Sequence[Shown], asked: Sequence[Shown], products: Collection[str]
) -> None:
    names = [picture.product for picture in shown]
    if len(products) < 2 or len(names) == len(products):
        raise PicturesError(f"{train}: needs two products, and two pictures of one at least; add lines")
    held = [picture.product for picture in asked]
    if both := sorted(set(held) & set(products)):
        raise PicturesError(f"{held_out}: {both[0]} is in {train}, too; take it out of one of them")
    if len(held) == len(set(held)):
        raise PicturesError(f"{held_out}: needs two pictures of a product to measure with; add lines")


def _shares(found: Numbers) -> dict[str, float]:
    return {f"rank_{k}": round(float((found < k).mean()), 4) for k in (1, 5)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 written, 1 can't, 3 not better, so nothing was written, 130 interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, metavar="FILE")
    parser.add_argument("--held-out", type=Path, required=True, metavar="FILE")
    parser.add_argument("--cache", type=Path, required=True, metavar="DIR", help="where lite's built parts are kept")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.npz")
    parser.add_argument("--loss", choices=("cross-entropy", "triplet"), default=Plan.loss)
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--rate", type=float, help="default: 0.001 for cross-entropy, 0.0003 for triplets")
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--json", action="store_true")
    words = parser.parse_args(arguments)
    plan = Plan(loss=words.loss, steps=words.steps, rate=words.rate or RATES[words.loss], seed=words.seed)
    try:
        found = run(plan, words.train, words.held_out, words.cache, words.out)
    except PicturesError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}; make room or name another --out", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr)
        return 130
    if words.json:
        print(json.dumps(found))
    else:
        for name in ("before", "after"):
            print(f"{name}: " + ", ".join(f"{k.replace('_', '-')} {v}" for k, v in dict(found[name]).items()))  # type: ignore[call-overload]
        print(f"{words.out} written" if found["written"] else "not better on the held-out products: nothing written")
    return 0 if found["written"] else 3


if __name__ == "__main__":
    sys.exit(main())
