"""DINO behind SageMaker's PyTorch container: a picture in, in Titan's shape, bare or in S3; its vector out."""

from pathlib import Path

from neuralshelf.model_packages.dino.contract import Pictures
from neuralshelf.model_packages.dino.encoder import DinoEncoder
from neuralshelf.model_packages.functions import input_fn, output_fn, predict_fn
from neuralshelf.model_packages.server.endpoints import Endpoint, Service

__all__ = ["input_fn", "model_fn", "output_fn", "predict_fn"]


def model_fn(model_dir: str) -> Endpoint:
    """The model of the unpacked archive, on the GPU if there is one.

    Raises:
        FileNotFoundError: weights or config.json are missing.
        ValueError: config.json, recipe.json or the weights don't fit.
    """
    encoder = DinoEncoder.load(Path(model_dir))
    return Endpoint(Service.SAGEMAKER, Pictures(encoder.dimensions), encoder)
