"""The embedded default model: texts, pictures or both into one space, from packages only."""

from neuralshelf.model_packages.lite.encoder import LiteEncoder
from neuralshelf.model_packages.lite.visual import VisualError

__all__ = ["LiteEncoder", "VisualError"]
