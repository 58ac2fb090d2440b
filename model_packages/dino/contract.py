"""What the DINO endpoint takes and answers: Titan's shape without text, so that one connector serves both, or a picture
in S3 in its place, `{"bucket", "file_name"}`. A body may also be a picture itself (`image/…`), see Multimodal."""

from dataclasses import dataclass

from neuralshelf.model_packages import stored
from neuralshelf.model_packages.encoder import Encoder, Sample
from neuralshelf.model_packages.server.contracts import Multimodal, Schema, Work
from neuralshelf.model_packages.server.jsonbody import json_object, malformed, parse
from neuralshelf.model_packages.server.limits import SAGEMAKER_MAX_BODY
from neuralshelf.model_packages.server.pictures import PictureLimits

PICTURES = PictureLimits(max_bytes=SAGEMAKER_MAX_BODY)
_TEXT, _CONFIG = "inputText", "embeddingConfig"
_FIELDS = (_TEXT, stored.CARRIED, *stored.NAMED, _CONFIG)


@dataclass(frozen=True)
class Pictures(Multimodal):
    """One picture to one vector."""

    pictures: PictureLimits = PICTURES

    def read(self, body: bytes, encoder: Encoder) -> Work:
        """Raises:
        InputRefused: in the server's words, with its codes for pictures.
        ModelFailed: S3 failed, see `stored.read`.
        """
        fields = json_object(parse(body), "#", _FIELDS)
        if fields.get(_TEXT) is not None:
            raise malformed(f"#/{_TEXT}: this model takes pictures only")
        dimension = self._dimension(fields.get(_CONFIG), encoder)
        image, _ = stored.picture(fields, self.pictures)
        return Work((Sample(image=image),), dimension, 0)

    def request_schema(self, encoder: Encoder) -> Schema:
        text: Schema = {"type": "string", "minLength": 1}
        length: Schema = {"type": ["integer", "null"], "enum": [*self.dimensions, None]}
        config: Schema = {
            "type": ["object", "null"],
            "properties": {"outputEmbeddingLength": length},
            "additionalProperties": False,
        }
        carried: Schema = {"type": ["string", "null"], "contentEncoding": "base64", "minLength": 1}
        named: Schema = dict.fromkeys(stored.NAMED, text)
        properties: Schema = {_TEXT: {"type": "null"}, stored.CARRIED: carried, **named, _CONFIG: config}
        either = [{"required": [stored.CARRIED]}, {"required": list(stored.NAMED)}]
        return {"type": "object", "properties": properties, "additionalProperties": False, "oneOf": either}
