"""MiniLM behind SageMaker's PyTorch container: a list of texts to a list of vectors."""

import os
from pathlib import Path

from neuralshelf.model_packages.functions import input_fn, output_fn, predict_fn
from neuralshelf.model_packages.minilm.torch_encoder import BertEncoder, ModelFilesError, Pooling
from neuralshelf.model_packages.server.contracts import TEXTS
from neuralshelf.model_packages.server.endpoints import Endpoint, Service

__all__ = ["input_fn", "model_fn", "output_fn", "predict_fn"]


def model_fn(model_dir: str) -> Endpoint:
    """The model of the unpacked archive. The environment variable POOLING is `mean` (default) or `first-token`.

    Raises: ModelFilesError.
    """
    try:
        pooling = Pooling(os.environ.get("POOLING") or Pooling.MEAN)
    except ValueError:
        raise ModelFilesError(f"POOLING must be one of {', '.join(Pooling)}; next: correct the variable") from None
    return Endpoint(Service.SAGEMAKER, TEXTS, BertEncoder.load(Path(model_dir), pooling))
