"""What every model of this project is to the server: samples in, unit vectors out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Sample:
    """One thing to embed: a text, a picture, or both.

    Attributes:
        text: any string, or None.
        image: uint8 array of shape (height, width, 3), RGB, upright, any size; or None.
    """

    text: str | None = None
    image: NDArray[np.uint8] | None = None


class Encoder(Protocol):
    """A model in memory. `encode` is called by two threads at most, one with what is urgent, and may use more
    inside."""

    @property
    def name(self) -> str: ...

    @property
    def dimensions(self) -> tuple[int, ...]:
        """The vector sizes this model can give, ascending."""
        ...

    @property
    def default_dimension(self) -> int: ...

    @property
    def fingerprint(self) -> str:
        """16 hex digits over weights and recipe: two vector spaces never share one."""
        ...

    def encode(self, samples: Sequence[Sample], dimension: int) -> NDArray[np.float32]:
        """Embed each sample on its own.

        Returns:
            float32 array of shape (len(samples), dimension), rows of length 1. A row depends on its sample only,
            never on the other samples of the call.

        Raises:
            ValueError: the dimension is not one of `dimensions`, or a sample has neither text nor image, or has a kind
                of input the model does not take.
        """
        ...

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` before truncation, special tokens not counted."""
        ...
