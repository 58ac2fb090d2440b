"""What an endpoint takes and answers: request bodies to samples, vectors to answer bodies.

`Multimodal` is the shape of `amazon.titan-embed-image-v1`; our CLIP endpoint speaks it too. `TextList` is the list
of texts of a sentence-embedding container. Each contract also states itself as JSON Schema, so that tests and
clients can be checked against it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

from neuralshelf.model_packages.encoder import Encoder, Sample
from neuralshelf.model_packages.server.jsonbody import json_object, kind, malformed, parse
from neuralshelf.model_packages.server.limits import (
    BEDROCK_MAX_BODY,
    MAX_CHARACTERS,
    SAGEMAKER_MAX_BODY,
    TITAN_MAX_CHARACTERS,
    TITAN_MAX_PIXELS,
    TITAN_MAX_TOKENS,
)
from neuralshelf.model_packages.server.pictures import PictureCode, PictureError, PictureLimits, decode, from_base64
from neuralshelf.model_packages.server.refusals import InputRefused

Schema = dict[str, object]
DEFAULT_PICTURES = PictureLimits()


@dataclass(frozen=True)
class Work:
    """One request, understood: samples to embed at one dimension, and the tokens of its texts."""

    samples: tuple[Sample, ...]
    dimension: int
    tokens: int


class Contract(Protocol):
    """Bodies in, bodies out. `read` may take long (pictures are decoded in it): never call it on the event loop."""

    def read(self, body: bytes, encoder: Encoder) -> Work:
        """Raises: InputRefused."""
        ...

    def answer(self, work: Work, rows: Sequence[NDArray[np.float32]]) -> bytes: ...

    def dimensions_of(self, encoder: Encoder) -> tuple[int, ...]: ...

    def request_schema(self, encoder: Encoder) -> Schema: ...

    def answer_schema(self, encoder: Encoder) -> Schema: ...


@dataclass(frozen=True)
class Multimodal:
    """`{"inputText", "inputImage", "embeddingConfig": {"outputEmbeddingLength"}}` to one vector.

    Text, picture or both.

    Attributes:
        dimensions: the lengths that may be asked for.
        default_dimension: the length without embeddingConfig; None is the encoder's own.
        max_characters: longer texts are refused before their tokens are counted.
        max_tokens: longer texts are refused as Titan refuses them; None lets the encoder cut.
        pictures: bounds of inputImage.
    """

    dimensions: tuple[int, ...]
    default_dimension: int | None = None
    max_characters: int = MAX_CHARACTERS
    max_tokens: int | None = None
    pictures: PictureLimits = DEFAULT_PICTURES

    def read(self, body: bytes, encoder: Encoder) -> Work:
        fields = json_object(parse(body), "#", ("inputText", "inputImage", "embeddingConfig"))
        text = _string(fields.get("inputText"), "#/inputText", self.max_characters)
        encoded = _string(fields.get("inputImage"), "#/inputImage", BEDROCK_MAX_BODY)
        if text is None and encoded is None:
            raise malformed("#: required key [inputText] or [inputImage] not found")
        dimension = self._dimension(fields.get("embeddingConfig"), encoder)
        tokens = 0 if text is None else encoder.count_tokens(text)
        if self.max_tokens is not None and tokens > self.max_tokens:
            raise InputRefused(
                f"400 Bad Request: Too many input tokens. Max input tokens: {self.max_tokens}, "
                f"request input token count: {tokens} "
            )
        image = None if encoded is None else self._picture(encoded)
        return Work((Sample(text=text, image=image),), dimension, tokens)

    def read_picture(self, body: bytes, encoder: Encoder) -> Work:
        """As `read`, of a body that is a picture itself (`image/…`): a picture set is batch transformed this way.

        Raises: InputRefused.
        """
        with _pictures_refused("#"):
            image = decode(body, self.pictures)
        return Work((Sample(image=image),), self.default_dimension or encoder.default_dimension, 0)

    def _dimension(self, config: object, encoder: Encoder) -> int:
        default = self.default_dimension or encoder.default_dimension
        if config is None:
            return default
        wanted = json_object(config, "#/embeddingConfig", ("outputEmbeddingLength",)).get("outputEmbeddingLength")
        if wanted is None:
            return default
        where = "#/embeddingConfig/outputEmbeddingLength"
        if type(wanted) is not int:
            raise malformed(f"{where}: expected type: Integer, found: {kind(wanted)}")
        if wanted not in self.dimensions:
            raise malformed(f"{where}: {str(wanted)[:20]} is not a valid enum value, of {list(self.dimensions)}")
        return wanted

    def _picture(self, encoded: str) -> NDArray[np.uint8]:
        with _pictures_refused("#/inputImage"):
            return decode(from_base64(encoded), self.pictures)

    def answer(self, work: Work, rows: Sequence[NDArray[np.float32]]) -> bytes:
        body = {"embedding": rows[0], "inputTextTokenCount": work.tokens, "message": None}
        return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)

    def dimensions_of(self, encoder: Encoder) -> tuple[int, ...]:
        return self.dimensions

    def request_schema(self, encoder: Encoder) -> Schema:
        length: Schema = {"type": ["integer", "null"], "enum": [*self.dimensions, None]}
        properties: Schema = {
            "inputText": {"type": ["string", "null"], "minLength": 1, "maxLength": self.max_characters},
            "inputImage": {"type": ["string", "null"], "contentEncoding": "base64", "minLength": 1},
            "embeddingConfig": {
                "type": ["object", "null"],
                "properties": {"outputEmbeddingLength": length},
                "additionalProperties": False,
            },
        }
        either = [{"required": ["inputText"]}, {"required": ["inputImage"]}]
        return {"type": "object", "properties": properties, "additionalProperties": False, "anyOf": either}

    def answer_schema(self, encoder: Encoder) -> Schema:
        sizes = [_vector_schema(dimension) for dimension in self.dimensions]
        properties: Schema = {
            "embedding": {"anyOf": sizes},
            "inputTextTokenCount": {"type": "integer", "minimum": 0},
            "message": {"type": "null"},
        }
        return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


@dataclass(frozen=True)
class TextList:
    """`["a", "b"]`, `{"inputs": ["a", "b"]}` or one string, to one vector a text, in the same order."""

    max_texts: int = 256
    max_characters: int = MAX_CHARACTERS

    def read(self, body: bytes, encoder: Encoder) -> Work:
        value = parse(body)
        if isinstance(value, dict):
            value = json_object(value, "#", ("inputs",)).get("inputs")
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list):
            raise malformed(f"#: expected type: JSONArray, found: {kind(texts)}")
        if not 1 <= len(texts) <= self.max_texts:
            raise malformed(f"#: expected 1 to {self.max_texts} texts, found: {len(texts)}")
        longest = self.max_characters
        samples = tuple(Sample(text=_text(text, f"#/{place}", longest)) for place, text in enumerate(texts))
        return Work(samples, encoder.default_dimension, 0)

    def answer(self, work: Work, rows: Sequence[NDArray[np.float32]]) -> bytes:
        return orjson.dumps(list(rows), option=orjson.OPT_SERIALIZE_NUMPY)

    def dimensions_of(self, encoder: Encoder) -> tuple[int, ...]:
        return (encoder.default_dimension,)

    def request_schema(self, encoder: Encoder) -> Schema:
        text: Schema = {"type": "string", "maxLength": self.max_characters}
        texts: Schema = {"type": "array", "items": text, "minItems": 1, "maxItems": self.max_texts}
        inputs: Schema = {"anyOf": [texts, text]}
        named: Schema = {"type": "object", "properties": {"inputs": inputs}, "required": ["inputs"]}
        return {"anyOf": [texts, text, {**named, "additionalProperties": False}]}

    def answer_schema(self, encoder: Encoder) -> Schema:
        return {"type": "array", "items": _vector_schema(encoder.default_dimension), "minItems": 1}


TITAN = Multimodal(
    dimensions=(256, 384, 1024),
    default_dimension=1024,
    max_characters=TITAN_MAX_CHARACTERS,
    max_tokens=TITAN_MAX_TOKENS,
    pictures=PictureLimits(max_pixels=TITAN_MAX_PIXELS),
)
"""`amazon.titan-embed-image-v1`, as the Amazon Bedrock user guide states it."""

CLIP = Multimodal(dimensions=(384, 512, 1024), pictures=PictureLimits(max_bytes=SAGEMAKER_MAX_BODY))
"""Our own CLIP endpoint: Titan's shape, longer texts are cut by the model, camera-sized pictures are taken."""

TEXTS = TextList()


@contextmanager
def _pictures_refused(where: str) -> Iterator[None]:
    try:
        yield
    except PictureError as error:
        said = "Image exceeds max pixels allowed. " if error.code is PictureCode.TOO_MANY_PIXELS else ""
        raise InputRefused(f"400 Bad Request: {said}{where}: {error.code}: {error.message}") from None


def _string(value: object, where: str, longest: int) -> str | None:
    """A string of at least one character; null is the same as absent, as OpenSearch's own Titan connector sends it."""
    if value is None:
        return None
    if value == "":
        raise malformed(f"{where}: expected minLength: 1, actual: 0")
    return _text(value, where, longest)


def _text(value: object, where: str, longest: int) -> str:
    if not isinstance(value, str):
        raise malformed(f"{where}: expected type: String, found: {kind(value)}")
    if len(value) > longest:
        raise malformed(f"{where}: expected maxLength: {longest}, actual: {len(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise malformed(f"{where}: a lone surrogate is not Unicode text") from None
    return value


def _vector_schema(dimension: int) -> Schema:
    return {"type": "array", "items": {"type": "number"}, "minItems": dimension, "maxItems": dimension}
