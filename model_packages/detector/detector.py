"""Things in a picture by name, behind the contract of Grounding DINO, without a cloud, a hub or PyTorch."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from neuralshelf.model_packages.detector import weights
from neuralshelf.model_packages.detector.ssd import Floats, Ssd
from neuralshelf.model_packages.detector.vocabulary import CLASSES, Embed, Vocabulary
from neuralshelf.model_packages.grounding_dino.contract import Detection, terms

SAME_OBJECT = 0.5
"""Of two boxes that overlap by more than this (intersection over union), the one of the lower score is dropped."""

MOST = 100
RECIPE = "detector-1"


class Network(Protocol):
    """See Ssd."""

    def run(self, image: NDArray[np.uint8]) -> tuple[Floats, Floats]: ...


class SsdDetector:
    """A `Detector` of 23 kinds of things; whatever else a prompt names is not found, rather than guessed."""

    name = "ssd-mobilenetv2-open-images"

    def __init__(self, network: Network, vocabulary: Vocabulary, fingerprint: str) -> None:
        self._network = network
        self._vocabulary = vocabulary
        self.fingerprint = fingerprint

    @classmethod
    def load(
        cls,
        folder: Path,
        embed: Callable[[], Embed] | None = None,
        progress: weights.Progress | None = None,
        threads: int = 1,
    ) -> Self:
        """The model, fetched into `folder` unless it is there.

        Args:
            embed: loads what makes vectors of texts; default: MiniLM, when a prompt needs it.

        Raises:
            WeightsError: it can't be had.
        """
        model = weights.load(folder, progress)
        fingerprint = hashlib.sha256(RECIPE.encode() + model).hexdigest()[:16]
        return cls(Ssd(model, threads), Vocabulary(embed or _minilm), fingerprint)

    def prepare(self) -> None:
        """See Vocabulary.prepare."""
        self._vocabulary.prepare()

    def detect(
        self, image: NDArray[np.uint8], prompt: str, box_threshold: float, text_threshold: float
    ) -> list[Detection]:
        """See Detector.detect. `text_threshold` is how sure a phrase has to be of a class: see Vocabulary.meanings."""
        meanings = self._vocabulary.meanings(terms(prompt), text_threshold)
        if not meanings:
            return []
        boxes, scores = self._network.run(image)
        columns = [[1 + CLASSES.index(name) for name in sorted(asked)] for asked in meanings.values()]
        by_phrase = np.stack([scores[:, asked].max(1) for asked in columns], axis=1)
        best = by_phrase.max(1)
        phrases = list(meanings)
        return [
            Detection(box, float(best[row]), phrases[int(by_phrase[row].argmax())])
            for row, box in apart(boxes, best, box_threshold)
        ]


def apart(boxes: Floats, scores: Floats, threshold: float) -> list[tuple[int, tuple[float, float, float, float]]]:
    """Rows with a score above `threshold`, the best first, one an object, with their boxes cut at the picture's edge.

    Args:
        boxes: float32 of shape (n, 4), as `Ssd.run` gives them.
        scores: float32 of shape (n,).
    """
    half = boxes[:, 2:] / 2
    first, last = np.clip(boxes[:, :2] - half, 0, 1), np.clip(boxes[:, :2] + half, 0, 1)
    sizes = (last - first).astype(np.float64)
    areas = sizes.prod(1)
    left = [int(row) for row in np.argsort(-scores, kind="stable") if scores[row] > threshold and areas[row] > 0]
    kept: list[tuple[int, tuple[float, float, float, float]]] = []
    while left and len(kept) < MOST:
        row, rest = left[0], np.asarray(left[1:], int)
        (x, y), (width, height) = (first[row] + last[row]).astype(np.float64) / 2, sizes[row]
        kept.append((row, (float(x), float(y), float(width), float(height))))
        shared = (np.minimum(last[rest], last[row]) - np.maximum(first[rest], first[row])).clip(0).prod(1)
        overlap = shared / (areas[rest] + areas[row] - shared)
        left = [int(other) for other in rest[overlap <= SAME_OBJECT]]
    return kept


def _minilm() -> Embed:
    from neuralshelf.model_packages.minilm import MiniLmEncoder

    return MiniLmEncoder.load().embed
