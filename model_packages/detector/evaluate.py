"""What the detector finds, and what it makes up: `python -m neuralshelf.model_packages.detector.evaluate --help`.

Prints the tables of README.md. A picture counts as found when there is a box of a score above the contract's threshold.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neuralshelf.model_packages.detector import EVERYTHING, SsdDetector
from neuralshelf.model_packages.detector.prompts import IMAGENET, IMAGENET_UNCLEAR, KNOWN, UNKNOWN
from neuralshelf.model_packages.detector.vocabulary import COVERS, Vocabulary
from neuralshelf.model_packages.grounding_dino.contract import BOX_THRESHOLD, TEXT_THRESHOLD, Box, Detection
from neuralshelf.model_packages.lite.labels import class_names
from neuralshelf.model_packages.minilm import MiniLmEncoder

SAMPLES = {
    "chair": "chair",
    "rocking chair": "chair",
    "coffee mug": "mug",
    "dining table": "table",
    "water bottle": "bottle",
    "perfume bottle": "bottle",
}
"""Kinds of the sample catalogue that are one of the network's."""

NEAR = {"park bench", "beer glass", "storage chest", "bookcase", "mailbox"}
"""Kinds that have parts of one, or may pass for one."""

FOOTWEAR = {"Footwear", "footwear"}
OVERLAP = 0.5

Item = Mapping[str, Any]
Picture = NDArray[np.uint8]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("data", "samples", "cache"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    words = parser.parse_args(arguments)
    detector = SsdDetector.load(words.cache)
    print("| pictures | prompt | found |\n|---|---|---|")
    parts = _clothes(detector, words.data), _products(detector, words.data), _samples(detector, words.samples)
    for line in chain.from_iterable(parts):
        print(f"| {line} |", flush=True)
    print("\n| phrases | right | another class | none |\n|---|---|---|---|")
    for line in _phrases():
        print(f"| {line} |")
    print(f"\n{_seconds(detector, words.samples)}")
    return 0


def read(path: Path) -> list[Item]:
    """The items of a JSON lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def opened(folder: Path, item: Item) -> Picture:
    """Its picture: uint8, (height, width, 3)."""
    with Image.open(folder / item["image"]) as image:
        return np.asarray(image.convert("RGB"))


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    shared, areas = 1.0, (one[2] * one[3] + other[2] * other[3])
    for axis in (0, 1):
        low = max(box[axis] - box[axis + 2] / 2 for box in (one, other))
        high = min(box[axis] + box[axis + 2] / 2 for box in (one, other))
        shared *= max(0.0, high - low)
    return shared / (areas - shared)


def outline(image: Picture) -> Box:
    """The box around what differs from the background of a sample's picture, which has one colour a row."""
    background = image[:, [0, -1]].mean(1, keepdims=True)
    thing = np.abs(image - background).max(2) > 40  # above shadow and noise
    spans = []
    for axis in (0, 1):
        places = np.flatnonzero(thing.mean(axis) > 0.01)
        spans.append((places[0] / thing.shape[1 - axis], (places[-1] + 1) / thing.shape[1 - axis]))
    (left, right), (top, bottom) = spans
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top


def _found(detector: SsdDetector, folder: Path, items: Iterable[Item], prompt: str) -> list[list[Detection]]:
    return [detector.detect(opened(folder, item), prompt, BOX_THRESHOLD, TEXT_THRESHOLD) for item in items]


def _share(hits: Sequence[object]) -> str:
    return f"{sum(map(bool, hits))} of {len(hits)}"


def _clothes(detector: SsdDetector, data: Path) -> Iterable[str]:
    folder = data / "clothing-cc0"
    items = read(folder / "items.jsonl")
    for split, chosen in (("test split", {"test"}), ("all splits", {"train", "validation", "test"})):
        for what, wanted in (("shoes", True), ("other clothes (false)", False)):
            some = [i for i in items if i["split"] in chosen and (i["category"] == "shoes") is wanted]
            yield f"clothing-cc0, {split}: {what} | shoes | {_share(_found(detector, folder, some, 'shoes'))}"


def _products(detector: SsdDetector, data: Path) -> Iterable[str]:
    folder = data / "products-mit"
    items = read(folder / "items.jsonl")
    groups: Mapping[str, Callable[[Item], bool]] = {
        "eShop footwear": lambda item: item["category"] == "Footwear",
        "retail-demo-store footwear": lambda item: item["category"] == "footwear",
        "all else (false)": lambda item: item["category"] not in FOOTWEAR,
    }
    for name, belongs in groups.items():
        found = _found(detector, folder, [item for item in items if belongs(item)], "shoes")
        yield f"products-mit: {name} | shoes | {_share(found)}"


def _samples(detector: SsdDetector, samples: Path) -> Iterable[str]:
    items = read(samples)
    for kind, prompt in SAMPLES.items():
        some = [item for item in items if item["kind"] == kind]
        found = _found(detector, samples.parent, some, prompt)
        overlaps = [
            max((overlap(one.box, outline(opened(samples.parent, item))) for one in boxes), default=0.0)
            for item, boxes in zip(some, found, strict=True)
        ]
        right = [value >= OVERLAP for value in overlaps]
        yield f"samples: {kind}, IoU ≥ {OVERLAP} (mean {mean(overlaps):.2f}) | {prompt} | {_share(right)}"
    others = [item for item in items if item["kind"] not in {*SAMPLES, *NEAR}]
    found = _found(detector, samples.parent, others, EVERYTHING)
    yield f"samples: kinds that it does not know (false) | all 23 names | {_share(found)}"


def _phrases() -> Iterable[str]:
    vocabulary = Vocabulary(lambda: MiniLmEncoder.load().embed)
    names = class_names()
    imagenet = {names[number]: IMAGENET.get(number) for number in range(len(names)) if number not in IMAGENET_UNCLEAR}
    sets: Mapping[str, Mapping[str, str | None]] = {
        "known, as shoppers write them": KNOWN,
        "unknown, as shoppers write them": dict.fromkeys(UNKNOWN),
        "ImageNet's names: known, without dogs": {
            name: is_a for name, is_a in imagenet.items() if is_a not in (None, "dog")
        },
        "ImageNet's names: 118 breeds of dogs": {name: is_a for name, is_a in imagenet.items() if is_a == "dog"},
        "ImageNet's names: unknown": {name: None for name, is_a in imagenet.items() if is_a is None},
    }
    for title, phrases in sets.items():
        meant = {
            phrase: vocabulary.meanings([phrase.lower()], TEXT_THRESHOLD).get(phrase.lower()) for phrase in phrases
        }
        none = sum(classes is None for classes in meant.values())
        right = sum(_fits(phrases[phrase], classes) for phrase, classes in meant.items() if classes is not None)
        yield f"{title} ({len(phrases)}) | {right} | {len(phrases) - none - right} | {none}"


def _fits(is_a: str | None, classes: set[str]) -> bool:
    return is_a is not None and bool({is_a, *COVERS.get(is_a, ())} & classes)


def _seconds(detector: SsdDetector, samples: Path) -> str:
    """Processor time, which other processes don't lengthen much; all of it is spent in the calling thread."""
    pictures = [opened(samples.parent, item) for item in read(samples)[::20]]
    taken: list[float] = []
    for picture in pictures * 3:
        start = time.thread_time()
        detector.detect(picture, EVERYTHING, BOX_THRESHOLD, TEXT_THRESHOLD)
        taken.append(time.thread_time() - start)
    ninth = sorted(taken)[int(len(taken) * 0.9)]
    spread = f"median of {len(taken)}; 9 of 10 within {ninth * 1000:.0f} ms"
    return f"{median(taken) * 1000:.0f} ms of one thread's processor time a picture ({spread})"


if __name__ == "__main__":
    raise SystemExit(main())
