"""all-MiniLM-L6-v2: sentence embeddings of 384 dimensions."""

from neuralshelf.model_packages.minilm.encoder import MiniLmEncoder

__all__ = ["MiniLmEncoder"]
