"""What the embedding packages' handlers have in common: an endpoint of ours behind the functions that SageMaker's
PyTorch container calls.

    model_fn (the package's own) → Endpoint
    input_fn → Asked → predict_fn → Embedded → output_fn → body

So a body is read, refused and answered by the contract that the local server uses.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuralshelf.model_packages.handler_errors import refused
from neuralshelf.model_packages.server.contracts import Contract, Multimodal, Work
from neuralshelf.model_packages.server.endpoints import Endpoint
from neuralshelf.model_packages.server.limits import SAGEMAKER_MAX_BODY
from neuralshelf.model_packages.server.refusals import BodyTooLarge, MediaTypeRefused, ModelFailed, Refusal

JSON = ("application/json", "application/octet-stream")
PICTURES = ("application/x-image", "image/jpeg", "image/png", "image/webp", "image/gif")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """A request body and its media type, in lower case and without parameters."""

    body: bytes
    media: str


@dataclass(frozen=True, eq=False)
class Embedded:
    """The answer to one request, not written yet: a float32 row of shape (dimension,) for each sample of `work`."""

    contract: Contract
    work: Work
    rows: NDArray[np.float32]


def input_fn(body: str | bytes | bytearray, content_type: str | None) -> Asked:
    """A request as the container hands it over: JSON as str, all else as bytes.

    Raises: what `refused` makes of BodyTooLarge.
    """
    content = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else bytes(body)
    media = (content_type or JSON[0]).partition(";")[0].strip().lower()
    if len(content) > SAGEMAKER_MAX_BODY:
        raise refused(BodyTooLarge(f"Request body is larger than {SAGEMAKER_MAX_BODY} bytes"))
    return Asked(content, media)


def predict_fn(data: Asked | list[Asked], model: Endpoint) -> Embedded | list[Embedded]:
    """Vectors of one request, or of several in one call of the model, whose first refusal is then that of all.

    Raises: what `refused` makes of InputRefused, MediaTypeRefused or ModelFailed.
    """
    try:
        works = [_read(asked, model) for asked in (data if isinstance(data, list) else [data])]
        found = [Embedded(model.contract, work, rows) for work, rows in zip(works, _encode(works, model), strict=True)]
    except Refusal as fault:
        raise refused(fault) from None
    return found if isinstance(data, list) else found[0]


def output_fn(prediction: Embedded | list[Embedded], accept: str) -> bytes | list[bytes]:
    """The answers as JSON, whatever `accept` says: it is all that our endpoints speak."""
    if isinstance(prediction, list):
        return [_written(embedded) for embedded in prediction]
    return _written(prediction)


def _read(asked: Asked, model: Endpoint) -> Work:
    contract = model.contract
    if asked.media in JSON:
        return contract.read(asked.body, model.encoder)
    if asked.media in PICTURES and isinstance(contract, Multimodal):
        return contract.read_picture(asked.body, model.encoder)
    raise MediaTypeRefused("Content type must be application/json")


def _encode(works: Sequence[Work], model: Endpoint) -> list[NDArray[np.float32]]:
    """One array of shape (samples of a work, dimension) for each work."""
    samples = [sample for work in works for sample in work.samples]
    ends = np.cumsum([len(work.samples) for work in works])
    try:
        (dimension,) = {work.dimension for work in works}  # the model of a package has one
        rows = model.encoder.encode(samples, dimension)
        if rows.shape != (len(samples), dimension):
            raise ValueError(f"model gave shape {rows.shape}, not {(len(samples), dimension)}")
    except Exception as error:  # noqa: BLE001 - the edge of the worker: a model may raise anything
        _log.exception("model=%s failed", model.encoder.name)
        raise ModelFailed(f"The model failed on this input: {type(error).__name__}") from None
    if not np.isfinite(rows).all():
        raise ModelFailed("The model gave a vector that is not finite")
    return np.split(rows, ends[:-1])


def _written(embedded: Embedded) -> bytes:
    return embedded.contract.answer(embedded.work, list(embedded.rows))
