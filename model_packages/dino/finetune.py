"""Fine-tune a DINO transformer on pictures of one's own products.

    python -m neuralshelf.model_packages.dino.finetune --weights DIR --train FILE --held-out FILE --out DIR

It learns which product a picture shows: cross-entropy with a linear head on the CLS vector; the head is left off later.
After each epoch every held-out view is searched among the training pictures: recall@1 is the share whose nearest
picture shows the same product. OUT gets model.safetensors, config.json and recipe.json, which the package's archive
takes, and training.json with settings and history. The same command goes on where a stopped run was, to the same end.
"""

import argparse
import hashlib
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from neuralshelf.model_packages import recipe
from neuralshelf.model_packages.dino import weights
from neuralshelf.model_packages.dino.encoder import DinoEncoder
from neuralshelf.model_packages.dino.training import checkpoints, views
from neuralshelf.model_packages.dino.training.checkpoints import Progress
from neuralshelf.model_packages.dino.training.fit import Fit, Pace
from neuralshelf.model_packages.dino.training.views import TrainingError, View
from neuralshelf.model_packages.encoder import Sample

if TYPE_CHECKING:
    from transformers import ViTModel

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is trained, on what, how long.

    Attributes:
        weights: folder with config.json and weights to begin from.
        train: files of training views.
        held_out: file of views that are only searched with.
        out: folder that gets the result; OUT/checkpoints is where a stopped run goes on.
        size: pixels that pictures are resized to, in training and afterwards.
        batch: pictures a step.
        every: steps between checkpoints.
    """

    weights: Path
    train: tuple[Path, ...]
    held_out: Path
    out: Path
    size: int = 648
    epochs: int = 20
    batch: int = 32
    pace: Pace = field(default_factory=Pace)
    seed: int = 1
    every: int = 200
    workers: int = 2
    device: str = "cpu"


def run(plan: Plan, say: Say) -> list[dict[str, float]]:
    """Train, or go on, and write the result.

    Returns:
        Its history: `epoch` (0 is before training), `loss` (mean of the epoch in nats; not in epoch 0), `recall_at_1`.

    Raises:
        TrainingError: the data, the weights, the device or the checkpoint can't be used.
    """
    shown = [view for file in plan.train for view in views.read(file)]
    asked = views.read(plan.held_out)
    products = {product: number for number, product in enumerate(sorted({view.product for view in shown}))}
    _check(plan, products, asked)
    model = _begin(plan)
    settings = _settings(plan, shown, asked)
    an_epoch = math.ceil(len(shown) / plan.batch)
    steps = plan.epochs * an_epoch
    fit = Fit(model, len(products), steps, plan.pace, plan.seed)
    folder = plan.out / "checkpoints"
    found = checkpoints.last(folder, settings)
    if found is None:
        progress = Progress(history=[{"epoch": 0, "recall_at_1": recall_at_1(fit, plan, shown, asked)}])
    else:
        progress, tensors = found
        fit.restore(tensors, progress.step)
        say(f"going on after step {progress.step} of {steps}")
    say(_line(progress.history[-1]))
    for pixels, numbers in tqdm(
        _batches(plan, shown, products, range(progress.step, steps)), total=steps, initial=progress.step, disable=None
    ):
        progress.loss += fit.learn(progress.step, pixels, numbers)
        progress.step += 1
        if progress.step % an_epoch == 0:
            recall = recall_at_1(fit, plan, shown, asked)
            epoch = progress.step // an_epoch
            progress.history.append({"epoch": epoch, "loss": progress.loss / an_epoch, "recall_at_1": recall})
            progress.loss = 0.0
            say(_line(progress.history[-1]))
        if progress.step % plan.every == 0 or progress.step == steps:
            checkpoints.save(folder, progress, settings, fit.tensors())
    _write(plan, fit, progress, settings)
    return progress.history


def recall_at_1(fit: Fit, plan: Plan, shown: Sequence[View], asked: Sequence[View]) -> float:
    """The share of views asked for whose nearest picture among those shown, by cosine, is of the same product."""
    encoder = DinoEncoder(fit.model, plan.size, "")
    gallery, queries = _vectors(encoder, plan, shown), _vectors(encoder, plan, asked)
    nearest = [int((gallery @ query).argmax()) for query in queries]
    return float(np.mean([shown[place].product == view.product for place, view in zip(nearest, asked, strict=True)]))


def _vectors(encoder: DinoEncoder, plan: Plan, seen: Sequence[View]) -> NDArray[np.float32]:
    batches = (seen[first : first + plan.batch] for first in range(0, len(seen), plan.batch))
    loaded = views.ahead(View.image, batches, plan.workers)
    return np.concatenate([encoder.encode([Sample(image=image) for image in images]) for images in loaded])


def _batches(
    plan: Plan, shown: Sequence[View], products: dict[str, int], steps: range
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Pixels and numbers of products, a step each. What chance does to a picture depends on seed, step and picture."""

    def load(item: tuple[int, int]) -> tuple[NDArray[np.float32], int]:
        step, place = item
        chance = np.random.default_rng((plan.seed, step, place))
        return views.augmented(shown[place].image(), plan.size, chance), products[shown[place].product]

    places = ([(step, place) for place in views.order(len(shown), plan.batch, plan.seed, step)] for step in steps)
    for loaded in views.ahead(load, places, plan.workers):
        yield torch.from_numpy(np.stack([pixels for pixels, _ in loaded])), torch.tensor([n for _, n in loaded])


def _check(plan: Plan, products: dict[str, int], asked: Sequence[View]) -> None:
    if len(products) < 2:
        raise TrainingError(f"{plan.train[0]}: fewer than two products; there is nothing to tell apart")
    unknown = sorted({view.product for view in asked} - products.keys())
    if unknown or not asked:
        said = f"{unknown[0]} has no training picture" if unknown else "no views"
        raise TrainingError(f"{plan.held_out}: {said}; hold out further views of the products that are trained")


def _begin(plan: Plan) -> "ViTModel":
    try:
        return weights.load(plan.weights).to(plan.device)
    except (OSError, ValueError) as error:
        raise TrainingError(f"{error}; name a folder with config.json and weights in safetensors") from None
    except (RuntimeError, AssertionError):
        raise TrainingError(f"device {plan.device} can't be used; name another --device") from None


def _settings(plan: Plan, shown: Sequence[View], asked: Sequence[View]) -> dict[str, object]:
    """What two runs must have in common to give the same weights."""
    data = hashlib.sha256(repr([(view.product, view.path.name) for view in [*shown, *asked]]).encode()).hexdigest()
    begun = weights.fingerprint(plan.weights, "")
    counts = {"size": plan.size, "epochs": plan.epochs, "batch": plan.batch, "seed": plan.seed}
    return {"weights": begun, "data": data, **counts, **asdict(plan.pace)}


def _write(plan: Plan, fit: Fit, progress: Progress, settings: dict[str, object]) -> None:
    fit.model.save_pretrained(plan.out, safe_serialization=True)
    size = json.dumps({"size": plan.size}) + "\n"
    (plan.out / recipe.FILE).write_text(size, encoding="utf-8")
    report = {"format_version": 1, "settings": settings, "history": progress.history}
    (plan.out / "training.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _line(measured: dict[str, float]) -> str:
    loss = f", loss {measured['loss']:.3f}" if "loss" in measured else ""
    return f"epoch {measured['epoch']:g}{loss}, recall@1 of held-out views {measured['recall_at_1']:.3f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 failed, 130 interrupted."""
    words = _parser().parse_args(arguments)
    plan = Plan(
        weights=words.weights,
        train=tuple(words.train),
        held_out=words.held_out,
        out=words.out,
        size=words.size,
        epochs=words.epochs,
        batch=words.batch,
        pace=Pace(words.rate, words.head_rate, words.decay, words.warm_up),
        seed=words.seed,
        every=words.checkpoint_every,
        workers=words.workers,
        device=words.device,
    )

    def say(line: str) -> None:
        tqdm.write(line, file=sys.stderr)

    try:
        history = run(plan, say)
    except TrainingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    print(json.dumps({"format_version": 1, "out": str(plan.out), "before": history[0], "after": history[-1]}))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m neuralshelf.model_packages.dino.finetune",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    usual, pace = Plan(Path(), (), Path(), Path()), Pace()
    parser.add_argument("--weights", type=Path, required=True, metavar="DIR", help="config.json and weights")
    parser.add_argument("--train", type=Path, nargs="+", required=True, metavar="FILE", help="training views")
    parser.add_argument("--held-out", type=Path, required=True, metavar="FILE", help="views to search with")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the result and checkpoints")
    parser.add_argument("--size", type=_count, default=usual.size, help="pixels (default: %(default)s)")
    parser.add_argument("--epochs", type=_count, default=usual.epochs, help="default: %(default)s")
    parser.add_argument("--batch", type=_count, default=usual.batch, help="pictures a step (default: %(default)s)")
    parser.add_argument("--rate", type=_rate, default=pace.rate, help="learning rate (default: %(default)s)")
    parser.add_argument("--head-rate", type=_rate, default=pace.head_rate, help="of the head (default: %(default)s)")
    parser.add_argument("--decay", type=_rate, default=pace.decay, help="weight decay (default: %(default)s)")
    parser.add_argument("--warm-up", type=_rate, default=pace.warm_up, help="share of steps (default: %(default)s)")
    parser.add_argument("--seed", type=_count, default=usual.seed, help="default: %(default)s")
    parser.add_argument("--checkpoint-every", type=_count, default=usual.every, help="steps (default: %(default)s)")
    parser.add_argument("--workers", type=_count, default=usual.workers, help="threads that load pictures")
    parser.add_argument("--device", choices=("cpu", "cuda"), default=usual.device, help="default: %(default)s")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _rate(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
