"""Open Images SSD-MobileNetV2 (Liu et al., SSD, 2016; Sandler et al., MobileNetV2, 2018): pixels to boxes and scores.

The network gives raw offsets from 1,917 anchors and a logit a class. Anchors, scales and the range of pixels are those
of the graph that its package was made for: mediapipe/modules/objectron/object_detection_oid_v4_cpu.pbtxt.
"""

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from PIL import Image

SIDE = 300
STRIDES = (16, 32, 64, 128, 256, 512)
SCALES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95)
RATIOS = (1.0, 2.0, 0.5, 3.0, 0.3333)
LOWEST = ((0.1, 1.0), (0.2, 2.0), (0.2, 0.5))
"""(scale, ratio of width to height) of the anchors at the smallest stride, which has fewer of them."""
CENTRE_UNIT, SIZE_UNIT = 10.0, 5.0

Floats = NDArray[np.float32]


class Ssd:
    """The network in memory. May be called from any thread; calls wait for each other."""

    def __init__(self, model: bytes, threads: int = 1) -> None:
        """`model`: the TFLite file.

        Raises:
            ValueError: it is no TFLite file, or of another network.
        """
        with _silence():
            self._interpreter = Interpreter(model_content=model, num_threads=threads)
            self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        outputs = {tuple(given["shape"][1:]): given["index"] for given in self._interpreter.get_output_details()}
        self._anchors = anchors()
        shapes = {shape[1]: shape for shape in outputs if len(shape) == 2 and shape[0] == len(self._anchors)}
        if len(shapes) != 2 or 4 not in shapes:
            raise ValueError(f"not this network: its outputs have the shapes {sorted(outputs)}")
        self._offsets = outputs[shapes.pop(4)]
        ((_, shape),) = shapes.items()
        self._logits = outputs[shape]
        self._one_at_a_time = threading.Lock()

    def run(self, image: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """What is where in a picture; overlapping boxes are not yet sorted out.

        Args:
            image: uint8 array of shape (height, width, 3), RGB. It is stretched to a square, as in training.

        Returns:
            Boxes, float32 of shape (1917, 4): centre x, centre y, width, height in parts of the picture; and scores in
            0..1, float32 of shape (1917, classes), the first class being "nothing".
        """
        with self._one_at_a_time:
            self._interpreter.set_tensor(self._input, pixels(image)[np.newaxis])
            self._interpreter.invoke()
            offsets = self._interpreter.get_tensor(self._offsets)[0]
            logits = self._interpreter.get_tensor(self._logits)[0]
        scores = 1.0 / (1.0 + np.exp(-logits.astype(np.float64)))
        return boxes(offsets, self._anchors), scores.astype(np.float32)


def pixels(image: NDArray[np.uint8]) -> Floats:
    """A picture as the network takes it: float32 of shape (300, 300, 3) in -1..1."""
    square = Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(square, np.float32) / 127.5 - 1.0


def anchors() -> Floats:
    """The boxes that the network's offsets are from: float32 of shape (1917, 4), as `Ssd.run` gives boxes.

    Each cell of six grids has one a ratio, and one more between its scale and the next one.
    """
    made: list[tuple[float, float, float, float]] = []
    steps = pairwise((*SCALES, 1.0))
    for stride, (scale, following) in zip(STRIDES, steps, strict=True):
        shapes = [(scale, ratio) for ratio in RATIOS] + [(math.sqrt(scale * following), 1.0)]
        if stride == STRIDES[0]:
            shapes = list(LOWEST)
        cells = math.ceil(SIDE / stride)
        for row in range(cells):
            for column in range(cells):
                centre = (column + 0.5) / cells, (row + 0.5) / cells
                made += [(*centre, size * math.sqrt(ratio), size / math.sqrt(ratio)) for size, ratio in shapes]
    return np.asarray(made, np.float32)


def boxes(offsets: Floats, origin: Floats) -> Floats:
    """The network's offsets (y, x, height, width) from anchors, as boxes."""
    y, x, height, width = offsets.T
    centre_x, centre_y, wide, high = origin.T
    return np.stack(
        [
            centre_x + x / CENTRE_UNIT * wide,
            centre_y + y / CENTRE_UNIT * high,
            wide * np.exp(width / SIZE_UNIT),
            high * np.exp(height / SIZE_UNIT),
        ],
        axis=1,
    )


@contextmanager
def _silence() -> Iterator[None]:
    """Without what LiteRT writes to stderr when it makes an interpreter, which nothing else turns off."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
