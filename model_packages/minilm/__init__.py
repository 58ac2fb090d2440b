"""all-MiniLM-L6-v2: sentence embeddings of 384 dimensions."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neuralshelf.model_packages.minilm.encoder import MiniLmEncoder

__all__ = ["MiniLmEncoder"]


def __getattr__(name: str) -> Any:
    """`MiniLmEncoder` when it is asked for: its runtime is not there where the torch encoder is used, nor the other way
    round."""
    if name == "MiniLmEncoder":
        from neuralshelf.model_packages.minilm.encoder import MiniLmEncoder

        return MiniLmEncoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
