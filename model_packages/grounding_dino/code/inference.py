"""Grounding DINO behind SageMaker's PyTorch container: a picture and a prompt in, a crop or a choice of boxes out."""

import json
from pathlib import Path

from neuralshelf.model_packages.grounding_dino.contract import Request, read, respond
from neuralshelf.model_packages.grounding_dino.detector import GroundingDino
from neuralshelf.model_packages.handler_errors import refused
from neuralshelf.model_packages.server.limits import SAGEMAKER_MAX_BODY
from neuralshelf.model_packages.server.refusals import BodyTooLarge, MediaTypeRefused, Refusal

_JSON = ("application/json", "application/octet-stream")

Answer = dict[str, object]


def model_fn(model_dir: str) -> GroundingDino:
    """The model of the unpacked archive, on the GPU if there is one.

    Raises:
        ValueError: a file is missing or doesn't fit.
    """
    return GroundingDino.load(Path(model_dir))


def input_fn(body: str | bytes | bytearray, content_type: str | None) -> Request:
    """A request understood, its picture decoded; the container hands JSON over as str.

    Raises: what `refused` makes of BodyTooLarge, InputRefused, MediaTypeRefused or ModelFailed.
    """
    content = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else bytes(body)
    media = (content_type or _JSON[0]).partition(";")[0].strip().lower()
    try:
        if len(content) > SAGEMAKER_MAX_BODY:
            raise BodyTooLarge(f"Request body is larger than {SAGEMAKER_MAX_BODY} bytes")
        if media not in _JSON:
            raise MediaTypeRefused("Content type must be application/json")
        return read(content)
    except Refusal as fault:
        raise refused(fault) from None


def predict_fn(data: Request | list[Request], model: GroundingDino) -> Answer | list[Answer]:
    """The answer to one request, or to several, one after the other; the first refusal is then that of all.

    Raises: what `refused` makes of InputRefused (NoObjectFound among them).
    """
    try:
        scale, longer_side = model.recipe.scale, model.recipe.longer_side
        answers = [
            respond(request, model, scale, longer_side) for request in (data if isinstance(data, list) else [data])
        ]
    except Refusal as fault:
        raise refused(fault) from None
    return answers if isinstance(data, list) else answers[0]


def output_fn(prediction: Answer | list[Answer], accept: str) -> bytes | list[bytes]:
    """The answers as JSON, whatever `accept` says."""
    if isinstance(prediction, list):
        return [json.dumps(answer).encode() for answer in prediction]
    return json.dumps(prediction).encode()
