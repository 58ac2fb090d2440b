"""Ask a deployed model for a vector: DEPLOYED in the cluster's books is no proof that it answers."""

import base64
import io
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opensearchpy import ConnectionError as ClusterUnreachable
from opensearchpy import OpenSearch, TransportError
from PIL import Image

from neuralshelf.client import reason
from neuralshelf.connectors.spec import ConnectorSpec, SageMakerText
from neuralshelf.errors import ProvisionError

TEXT = "a red cup on a white table"
TIMEOUT_SECONDS = 180  # longer than the most patient default connector, so that the engine's own reason is seen

# The first pattern found in the engine's reason tells the next step.
_HINTS = (
    (r"outputEmbeddingLength", "correct dimension of this connector"),
    (r"[Cc]ampaign not found", "make it: neuralshelf personalize up; or correct ranking.campaign"),
    (r"security token|signature|not authorized|AccessDenied", "check the credentials, and that they may invoke it"),
    (r"not found|identifier is invalid", "correct endpoint or model_id of this connector, or the region"),
    (r"private ip", "its address is private: allow that by plugins.ml_commons.connector.private_ip_enabled"),
    (r"communicating with remote model|service not known", "check that it runs and that the cluster reaches it"),
    (r"[Tt]hrottl|Too [Mm]any|429", "the endpoint is busy: apply again later, or raise its quota"),
)


@dataclass(frozen=True, eq=False)
class Probe:
    """A model that answered.

    Attributes:
        text: its vector of the known text, as it came, shape (dimension,).
        image: its vector of the known picture; None for a model of texts.
        seconds: the slowest answer, through the cluster.
    """

    text: NDArray[np.float32]
    image: NDArray[np.float32] | None
    seconds: float

    @property
    def dimension(self) -> int:
        """Length of its vectors."""
        return len(self.text)


def probe(client: OpenSearch, model_id: str, spec: ConnectorSpec, *, name: str) -> Probe:
    """Embed a known text, and a known picture where the model takes one, and look at the answers.

    Raises:
        ProvisionError: no answer, or one that is no vector of the configured size, or the same vector for the text
            and the picture; names the model and the next step.
    """
    inputs: list[Mapping[str, str]] = [{"text": TEXT}]
    if not isinstance(spec, SageMakerText):
        inputs.append({"image": picture()})
    seconds = 0.0
    vectors = []
    for given in inputs:
        begun = time.monotonic()
        vectors.append(embed(client, model_id, spec, name=name, **given))
        seconds = max(seconds, time.monotonic() - begun)
    if len(vectors) == 2 and np.array_equal(vectors[0], vectors[1]):
        raise ProvisionError(
            f"{name}: the endpoint gives one and the same vector for a text and for a picture",
            hint="check that the endpoint serves a model of text and pictures",
        )
    return Probe(vectors[0], vectors[1] if len(vectors) == 2 else None, seconds)


def embed(
    client: OpenSearch,
    model_id: str,
    spec: ConnectorSpec,
    *,
    name: str,
    text: str | None = None,
    image: str | None = None,
) -> NDArray[np.float32]:
    """One vector of a model, shape (dimension,), not normalised.

    Args:
        name: of the model, for messages.
        text, image: at least one; `image` as base64, only for models of text and pictures.

    Raises:
        ProvisionError: no answer, or one that is no vector of the configured size.
    """
    documents = [text] if isinstance(spec, SageMakerText) else [text, image]
    vector = _vector(_predict(client, model_id, documents, name))
    if len(vector) != spec.dimension:
        raise ProvisionError(
            f"{name}: the endpoint gives vectors of {len(vector)}, the configuration says {spec.dimension}",
            hint="correct dimension of this connector, or the endpoint",
        )
    if not np.isfinite(vector).all() or not vector.any():
        raise ProvisionError(f"{name}: the endpoint gives no usable vector", hint="look at the endpoint's log")
    return vector


def rank(client: OpenSearch, model_id: str, *, name: str) -> None:
    """Ask the model that ranks about one item, for nobody in particular: a search would hide that it doesn't answer.

    Raises:
        ProvisionError: no answer, or one that ranks nothing; names the model and the next step.
    """
    hits = {"items": '[["none"]]', "base": "[1.0]", "asked": '{"user": "nobody"}', "size": "20", "oversample": "10"}
    answer = _asked(client, f"/_plugins/_ml/models/{model_id}/_predict", {"parameters": hits}, name)
    try:
        found = answer["inference_results"][0]["output"][0]["dataAsMap"]
    except (KeyError, IndexError, TypeError):
        found = {}
    if len(found.get("scores", ())) != 1 and "gate" not in found:  # of method rerank, of method leg
        raise ProvisionError(f"{name}: the endpoint ranks nothing", hint="check that a ranker answers at its endpoint")


def _predict(client: OpenSearch, model_id: str, documents: list[str | None], name: str) -> Any:
    body = {"text_docs": documents, "return_number": True, "target_response": ["sentence_embedding"]}
    return _asked(client, f"/_plugins/_ml/_predict/text_embedding/{model_id}", body, name)


def _asked(client: OpenSearch, path: str, body: Mapping[str, Any], name: str) -> Any:
    try:
        return client.transport.perform_request("POST", path, params={"request_timeout": TIMEOUT_SECONDS}, body=body)
    except ClusterUnreachable:
        raise ProvisionError(
            f"{name}: the cluster did not answer", hint="check the cluster, then apply again"
        ) from None
    except TransportError as fault:
        cause = reason(fault)
        hint = next((hint for pattern, hint in _HINTS if re.search(pattern, cause)), "look at the endpoint's log")
        raise ProvisionError(
            f"{name}: the endpoint does not answer ({fault.status_code}): {cause}", hint=hint
        ) from None


def _vector(answer: Any) -> NDArray[np.float32]:
    try:
        values = [float(value) for value in answer["inference_results"][0]["output"][0]["data"]]
        with np.errstate(over="ignore"):  # too large becomes infinite, which the caller looks for
            return np.array(values, np.float32)
    except (KeyError, IndexError, TypeError, ValueError):
        return np.zeros(0, np.float32)


def picture() -> str:
    """The known picture: a small red square on white, as base64 of a PNG."""
    image = Image.new("RGB", (32, 32), "white")
    image.paste((200, 20, 30), (8, 8, 24, 24))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
