"""The embedded default model: texts, pictures or both into one space, from packages only."""

from neuralshelf.model_packages.lite.encoder import LiteEncoder

__all__ = ["LiteEncoder"]
