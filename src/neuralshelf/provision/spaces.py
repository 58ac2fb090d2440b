"""Which vector space a model answers in, told by what it gives for a known text and a known picture.

Two models with vectors of the same length are not the same model. An index keeps the answers of the models it was made
for in its mapping, under `_meta.spaces`; whatever is to write to it or to search it later is held against them.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opensearchpy import NotFoundError, OpenSearch

from neuralshelf.connectors.probe import probe
from neuralshelf.connectors.spec import ConnectorSpec
from neuralshelf.errors import ProvisionError

Json = Any

SAME = 0.999
"""Least cosine between two answers of one model, wherever it runs and however a vector was kept."""

_STORED = np.dtype("<f2")
_INPUTS = ("text", "image")


@dataclass(frozen=True, eq=False)
class Space:
    """What a model gives for the known inputs (`connectors.probe`).

    Attributes:
        text: unit vector of the known text, shape (dimension,); None for a model that takes no texts.
        image: unit vector of the known picture; None for a model of texts.
    """

    text: NDArray[np.float32] | None
    image: NDArray[np.float32] | None

    @property
    def dimension(self) -> int:
        """Length of the vectors; 0 when there are none."""
        return next((len(vector) for vector in (self.text, self.image) if vector is not None), 0)


def measure(client: OpenSearch, model_id: str, spec: ConnectorSpec, *, name: str) -> Space:
    """Ask a model, through the cluster.

    Args:
        name: of the model, for messages.

    Raises:
        ProvisionError: as `probe`: no answer, or no vector of the configured size.
    """
    answered = probe(client, model_id, spec, name=name)
    return Space(_unit(answered.text), None if answered.image is None else _unit(answered.image))


def agreement(a: Space, b: Space) -> float:
    """The lowest cosine over the inputs that both have an answer to, from -1 to 1.

    -1 when the lengths differ, and when there is nothing to compare: no evidence is no agreement.
    """
    pairs = [(x, y) for x, y in ((a.text, b.text), (a.image, b.image)) if x is not None and y is not None]
    if not pairs or any(len(x) != len(y) for x, y in pairs):
        return -1.0
    return min(float(np.clip(np.dot(_unit(x), _unit(y)), -1.0, 1.0)) for x, y in pairs)


def encode(spaces: Mapping[str, Space]) -> Json:
    """For `_meta.spaces` of a mapping: vector field -> {"text", "image"}, each base64 of little-endian float16."""
    return {
        field: {
            key: base64.b64encode(vector.astype(_STORED).tobytes()).decode("ascii")
            for key, vector in zip(_INPUTS, (space.text, space.image), strict=True)
            if vector is not None
        }
        for field, space in spaces.items()
    }


def decode(value: Json, *, source: str = "_meta.spaces") -> dict[str, Space]:
    """What `encode` made; {} of None.

    Args:
        source: where `value` stands, for messages.

    Raises:
        ProvisionError: somebody has edited it; the message names the vector field.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _unreadable(source, "is no object of vector fields")
    return {str(field): _space(kept, f"{source}.{field}") for field, kept in value.items()}


def read_spaces(client: OpenSearch, index: str) -> dict[str, Space]:
    """Vector field -> space, as `index` (an index, or an alias of one) keeps them; {} without any, or without index.

    Raises:
        ProvisionError: what it keeps can't be read.
        opensearchpy.TransportError: the cluster refuses the question.
    """
    try:
        answer = client.indices.get_mapping(index=index)
    except NotFoundError:
        return {}
    meta = next(iter(answer.values()))["mappings"].get("_meta", {})
    return decode(meta.get("spaces"), source=f"index {index}: _meta.spaces")


def _space(kept: Json, source: str) -> Space:
    if not isinstance(kept, Mapping) or not kept or not set(kept) <= set(_INPUTS):
        raise _unreadable(source, "holds something else than text and image")
    vectors = {key: _vector(text, f"{source}.{key}") for key, text in kept.items()}
    if len({len(vector) for vector in vectors.values()}) > 1:
        raise _unreadable(source, "has a text and an image of different lengths")
    return Space(vectors.get("text"), vectors.get("image"))


def _vector(text: Json, source: str) -> NDArray[np.float32]:
    try:
        vector = np.frombuffer(base64.b64decode(text, validate=True), dtype=_STORED).astype(np.float32)
    except (TypeError, ValueError, binascii.Error):
        raise _unreadable(source, "is no base64 of half-precision numbers") from None
    if not np.isfinite(vector).all() or not vector.any():
        raise _unreadable(source, "is no vector")
    return _unit(vector)


def _unreadable(source: str, fault: str) -> ProvisionError:
    return ProvisionError(f"{source} {fault}", hint="raise index.version and run neuralshelf migrate")


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)
