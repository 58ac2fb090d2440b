"""What the DINO endpoint takes: a picture's bytes, a picture in S3, or Titan's shape without text; Titan's answer.

Content-Type image/…         the file
{"bucket", "file_name"}      the file in S3, see `stored`
{"inputImage": base64}       with "embeddingConfig" as Titan has it, so that one connector serves both
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuralshelf.model_packages import stored
from neuralshelf.model_packages.encoder import Encoder, Sample
from neuralshelf.model_packages.server.contracts import Multimodal, Schema, Work
from neuralshelf.model_packages.server.jsonbody import kind, malformed, parse
from neuralshelf.model_packages.server.limits import SAGEMAKER_MAX_BODY
from neuralshelf.model_packages.server.pictures import PictureError, PictureLimits, decode
from neuralshelf.model_packages.server.refusals import MediaTypeRefused

PICTURES = PictureLimits(max_bytes=SAGEMAKER_MAX_BODY)
JSON = ("application/json", "application/octet-stream")
"""As the server has it: JSON, whatever an SDK calls it."""

IMAGES = ("application/x-image", "image/jpeg", "image/png", "image/webp", "image/gif")

_FIELDS = ("inputText", stored.CARRIED, "embeddingConfig", *stored.KEYS)


@dataclass(frozen=True, eq=False)
class Asked:
    """A request, understood without its model: a picture, uint8 (height, width, 3), and the length asked for."""

    image: NDArray[np.uint8]
    dimension: int | None = None

    def work(self, encoder: Encoder) -> Work:
        """Raises: InputRefused, if the model does not give that length."""
        wanted = encoder.default_dimension if self.dimension is None else self.dimension
        if wanted not in encoder.dimensions:
            where = "#/embeddingConfig/outputEmbeddingLength"
            raise malformed(f"{where}: {str(wanted)[:20]} is not a valid enum value, of {list(encoder.dimensions)}")
        return Work((Sample(image=self.image),), wanted, 0)


def read(body: bytes, content_type: str) -> Asked:
    """A request of any of the three kinds, its picture decoded.

    Raises:
        InputRefused: in the server's words, with its codes for pictures.
        MediaTypeRefused: neither a picture nor JSON.
        ModelFailed: S3 failed, see `stored.read`.
    """
    media = content_type.partition(";")[0].strip().lower()
    if media in IMAGES:
        return Asked(_decoded(body))
    if media not in JSON:
        raise MediaTypeRefused("Content type must be application/json or application/x-image")
    return _read_json(body)


def _decoded(file: bytes) -> NDArray[np.uint8]:
    try:
        return decode(file, PICTURES)
    except PictureError as error:
        raise stored.refused("", error.code, error.message) from None


@dataclass(frozen=True)
class Pictures(Multimodal):
    """The JSON part as a contract of the server: Titan's shape without text, or a picture in S3."""

    pictures: PictureLimits = PICTURES

    def read(self, body: bytes, encoder: Encoder) -> Work:
        return _read_json(body).work(encoder)

    def request_schema(self, encoder: Encoder) -> Schema:
        whole = super().request_schema(encoder)
        properties = dict(whole["properties"])  # type: ignore[call-overload]
        properties |= {"inputText": {"type": "null"}}
        properties |= {key: {"type": "string", "minLength": 1} for key in stored.KEYS}
        either = [{"required": ["inputImage"]}, {"required": list(stored.KEYS)}]
        return {**whole, "properties": properties, "oneOf": either}


def answer(row: NDArray[np.float32]) -> bytes:
    """Titan's answer to one picture: `{"embedding": […], "inputTextTokenCount": 0, "message": null}`."""
    return Pictures(dimensions=(len(row),)).answer(Work((), len(row), 0), [row])


def _read_json(body: bytes) -> Asked:
    fields = parse(body)
    if not isinstance(fields, dict):
        raise malformed(f"#: expected type: JSONObject, found: {kind(fields)}")
    if any(key not in _FIELDS for key in fields):
        raise malformed(f"#: extraneous key is not permitted, known are {list(_FIELDS)}")
    if fields.get("inputText") is not None:
        raise malformed("#/inputText: expected type: Null, found: text; this model takes pictures only")
    length = _length(fields.get("embeddingConfig"))
    image, _ = stored.picture(fields, PICTURES)
    return Asked(image, length)


def _length(config: object) -> int | None:
    if config is None:
        return None
    if not isinstance(config, dict):
        raise malformed(f"#/embeddingConfig: expected type: JSONObject, found: {kind(config)}")
    if any(key != "outputEmbeddingLength" for key in config):
        raise malformed("#/embeddingConfig: extraneous key is not permitted, known are ['outputEmbeddingLength']")
    length = config.get("outputEmbeddingLength")
    if length is not None and type(length) is not int:
        raise malformed(f"#/embeddingConfig/outputEmbeddingLength: expected type: Integer, found: {kind(length)}")
    return length
