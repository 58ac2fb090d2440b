"""Small detection for one machine: see README.md."""

from neuralshelf.model_packages.detector.detector import SsdDetector
from neuralshelf.model_packages.detector.vocabulary import EVERYTHING
from neuralshelf.model_packages.detector.weights import WeightsError

__all__ = ["EVERYTHING", "SsdDetector", "WeightsError"]
