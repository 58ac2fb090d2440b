"""The DINO endpoint in SageMaker's PyTorch container: a picture in, its vector out. Imported by the container's toolkit
as `inference`; the answers are those of our own server."""

from pathlib import Path
from typing import TYPE_CHECKING

from neuralshelf.model_packages.dino.contract import Asked, answer, read
from neuralshelf.model_packages.dino.encoder import DinoEncoder
from neuralshelf.model_packages.handler_errors import refused
from neuralshelf.model_packages.server.refusals import Refusal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def model_fn(model_dir: str) -> DinoEncoder:
    """The model of the unpacked archive, on the GPU if there is one."""
    return DinoEncoder.load(Path(model_dir))


def input_fn(body: bytes | bytearray | str, content_type: str | None) -> Asked:
    """A request understood, its picture decoded. The toolkit hands JSON on as str.

    Raises:
        BaseInferenceToolkitError or Refusal: see handler_errors.
    """
    try:
        return read(body.encode() if isinstance(body, str) else bytes(body), content_type or "application/json")
    except Refusal as fault:
        raise refused(fault) from None


def predict_fn(data: Asked | list[Asked], model: DinoEncoder) -> "NDArray[np.float32] | list[NDArray[np.float32]]":
    """The unit vector of a request, float32 (dimension,); of a list of requests a list, in one run of the model."""
    asked = data if isinstance(data, list) else [data]
    try:
        works = [request.work(model) for request in asked]
    except Refusal as fault:
        raise refused(fault) from None
    rows = list(model.encode([work.samples[0] for work in works]))
    return rows if isinstance(data, list) else rows[0]


def output_fn(prediction: "NDArray[np.float32]", accept: str) -> bytes:
    """Titan's answer as JSON, whatever is accepted."""
    return answer(prediction)
