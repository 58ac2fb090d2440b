"""A toy model whose weights can be exchanged while it serves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuralshelf.model_packages.encoder import Sample
from tests.engine.conftest import ToyEncoder


@dataclass
class Weighted(ToyEncoder):
    """A ToyEncoder; each `seed` but 0 is another model of the same dimensions, all vectors turned alike."""

    seed: int = 0

    def encode(self, samples: Sequence[Sample], dimension: int) -> NDArray[np.float32]:
        rows = super().encode(samples, dimension)
        if not self.seed:
            return rows
        signs = np.random.default_rng([self.seed, dimension]).choice((-1.0, 1.0), dimension)
        return np.asarray(rows * signs, dtype=np.float32)
