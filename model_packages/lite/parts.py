"""What `lite` computes once from its packages and keeps in a cache file: graph, label vectors, projections.

The file is a SHA-256 (32 bytes) and then an npz; whatever does not match its sum is built anew.
"""

import hashlib
import io
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from neuralshelf.model_packages.lite import labels, network, torchfile
from neuralshelf.model_packages.lite.labels import Labels, Progress
from neuralshelf.model_packages.minilm import MiniLmEncoder

_SUM = 32
_SEED = 20_260_101

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Parts:
    """Attributes:
    graph: the network as a serialised ONNX model.
    labels: vectors of the label sentences.
    projection: (1280, width), features to the visual block.
    axes: (384, 256), text-side vectors to their 256 main axes.
    """

    graph: bytes
    labels: Labels
    projection: Floats
    axes: Floats

    @classmethod
    def load(
        cls, path: Path, weights: bytes, text: MiniLmEncoder, width: int, axes: int, progress: Progress | None
    ) -> Self:
        """From `path`, or built and written there whole when it is missing or broken.

        Raises:
            OSError: the file can't be written.
        """
        stored = _read(path)
        if stored is not None:
            return cls._unpacked(stored)
        table = labels.build(text, progress)
        built = cls(
            network.build(torchfile.read(weights)),
            table,
            _projection(network.FEATURES, width),
            _main_axes(table.plain.astype(np.float32), axes),
        )
        _write(path, built._packed())
        return built

    @classmethod
    def _unpacked(cls, content: bytes) -> Self:
        with np.load(io.BytesIO(content)) as stored:
            table = Labels(stored["plain"], stored["coloured"])
            return cls(stored["graph"].tobytes(), table, stored["projection"], stored["axes"])

    def _packed(self) -> bytes:
        buffer = io.BytesIO()
        np.savez(
            buffer,
            graph=np.frombuffer(self.graph, np.uint8),
            plain=self.labels.plain,
            coloured=self.labels.coloured,
            projection=self.projection,
            axes=self.axes,
        )
        return buffer.getvalue()


def _read(path: Path) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    whole = content[:_SUM] == hashlib.sha256(content[_SUM:]).digest()
    return content[_SUM:] if whole else None


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".lite-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(content).digest() + content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _projection(rows: int, columns: int) -> Floats:
    """Random orthogonal columns: keeps angles, needs no data (Johnson and Lindenstrauss)."""
    square = np.random.default_rng(_SEED).standard_normal((rows, columns))
    q, r = np.linalg.qr(square)
    return np.asarray(q * np.sign(np.diag(r)), np.float32)


def _main_axes(vectors: Floats, count: int) -> Floats:
    """The first `count` principal directions of `vectors`, as columns."""
    _, _, axes = np.linalg.svd(vectors, full_matrices=False)
    main = axes[:count].T
    # a singular vector's sign is up to the LAPACK at hand; it has to be the same on every machine
    largest = main[np.abs(main).argmax(0), np.arange(count)]
    return np.ascontiguousarray(main * np.sign(largest), np.float32)
