"""CLIP behind SageMaker's PyTorch container: texts and pictures in the shape of Titan Multimodal, or bare pictures."""

from pathlib import Path

from neuralshelf.model_packages.clip.encoder import ClipEncoder
from neuralshelf.model_packages.functions import input_fn, output_fn, predict_fn
from neuralshelf.model_packages.server.contracts import Multimodal
from neuralshelf.model_packages.server.endpoints import Endpoint, Service
from neuralshelf.model_packages.server.limits import SAGEMAKER_MAX_BODY
from neuralshelf.model_packages.server.pictures import PictureLimits

__all__ = ["input_fn", "model_fn", "output_fn", "predict_fn"]


def model_fn(model_dir: str) -> Endpoint:
    """The model of the unpacked archive.

    Raises: ModelFilesError.
    """
    encoder = ClipEncoder.load(Path(model_dir))
    contract = Multimodal(encoder.dimensions, pictures=PictureLimits(max_bytes=SAGEMAKER_MAX_BODY))
    return Endpoint(Service.SAGEMAKER, contract, encoder)
