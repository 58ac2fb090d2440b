"""The endpoint that finds things in a picture: bodies of the contract of Grounding DINO, signed as SageMaker's are."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import orjson

from neuralshelf.model_packages.grounding_dino.contract import MAX_PROMPT, Detector, read, respond
from neuralshelf.model_packages.server.contracts import Schema
from neuralshelf.model_packages.server.endpoints import Service
from neuralshelf.model_packages.server.limits import Limits
from neuralshelf.model_packages.server.refusals import ModelFailed, Refusal
from neuralshelf.model_packages.server.worker import Worker

DETECTOR_ENDPOINT = "neuralshelf-detector"

_log = logging.getLogger(__name__)


class NamedDetector(Detector, Protocol):
    """A detector that says which it is; `fingerprint` is of weights and recipe, as an encoder's."""

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...


class Detection:
    """A detector behind its contract: one picture at a time, in a thread of its own; `limits.max_queue` may wait."""

    service = Service.SAGEMAKER

    def __init__(self, detector: NamedDetector, limits: Limits) -> None:
        self.detector = detector
        self._worker: Worker[bytes, bytes] = Worker(self._run, replace(limits, max_batch=1))

    @property
    def running(self) -> bool:
        return self._worker.running

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return self._worker.waiting

    def start(self) -> None:
        self._worker.start()

    def stop(self, timeout: float) -> None:
        """See Worker.stop."""
        self._worker.stop(timeout)

    async def answer(self, body: bytes, deadline: float) -> bytes:
        """The body to answer.

        Args:
            deadline: in the event loop's time.

        Raises:
            Refusal: InputRefused for what can't be taken or found, ModelFailed, or as Worker.ask.
        """
        return await self._worker.ask(body, deadline)

    def _run(self, bodies: Sequence[bytes]) -> list[bytes]:
        try:
            return [orjson.dumps(respond(read(body), self.detector)) for body in bodies]
        except Refusal:
            raise
        except Exception as error:  # noqa: BLE001 - the edge of the worker: a model may raise anything
            _log.warning("model=%s failed: %s", self.detector.name, type(error).__name__)
            raise ModelFailed(f"The model failed on this input: {type(error).__name__}") from None


def request_schema() -> Schema:
    """Bodies that carry their picture; those that name one in S3 are for endpoints on AWS."""
    share: Schema = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
    side: Schema = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
    place: Schema = {"type": "number", "minimum": 0, "maximum": 1}
    box = {"type": ["array", "null"], "prefixItems": [place, place, side, side], "minItems": 4, "maxItems": 4}
    properties: Schema = {
        "inputImage": {"type": "string", "contentEncoding": "base64", "minLength": 1},
        "prompt": {"type": ["string", "null"], "pattern": r"[^.\s]", "maxLength": MAX_PROMPT},
        "box": box,
        "boxThreshold": share,
        "textThreshold": share,
    }
    required = ["inputImage"]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def answer_schema() -> Schema:
    """One crop, or boxes to choose from."""
    number: Schema = {"type": "number", "minimum": 0, "maximum": 1}
    box: Schema = {"type": "array", "items": number, "minItems": 4, "maxItems": 4}
    text: Schema = {"type": "string"}
    crop: Schema = {"crop": text, "fileType": {"enum": ["jpeg", "png"]}, "box": box, "score": number, "phrase": text}
    choice: Schema = {
        "boxes": {"type": "array", "items": box, "minItems": 2},
        "scores": {"type": "array", "items": number, "minItems": 2},
        "phrases": {"type": "array", "items": text, "minItems": 2},
        "fileType": {"enum": ["jpeg", "png"]},
    }
    either = [
        {"properties": crop, "required": ["crop", "fileType", "box"], "additionalProperties": False},
        {"properties": choice, "required": list(choice), "additionalProperties": False},
    ]
    return {"type": "object", "anyOf": either}
