"""Ask a deployed model for a vector: DEPLOYED in the cluster's books is no proof that it answers."""

import base64
import io
import math
from typing import Any

from opensearchpy import OpenSearch, TransportError
from PIL import Image

from neuralshelf.connectors.spec import ConnectorSpec
from neuralshelf.errors import ProvisionError, one_line

TEXT = "a red cup on a white table"


def probe(client: OpenSearch, model_id: str, spec: ConnectorSpec, *, name: str) -> None:
    """Embed a known text, and a known picture where the model takes one, and look at the answer.

    Raises:
        ProvisionError: no answer, or one that is no vector of the configured size; names the model and the next step.
    """
    documents: list[list[str | None]] = [[TEXT]]
    if spec.kind != "sagemaker-text":
        documents = [[TEXT, None], [None, _picture()]]
    for given in documents:
        vector = _vector(_predict(client, model_id, given, name))
        if len(vector) != spec.dimension:
            raise ProvisionError(
                f"{name}: the endpoint gives vectors of {len(vector)}, the configuration says {spec.dimension}",
                hint="correct dimension of this connector, or the endpoint",
            )
        if not all(math.isfinite(value) for value in vector) or not any(vector):
            raise ProvisionError(f"{name}: the endpoint gives no usable vector", hint="look at the endpoint's log")


def _predict(client: OpenSearch, model_id: str, documents: list[str | None], name: str) -> Any:
    body = {"text_docs": documents, "return_number": True, "target_response": ["sentence_embedding"]}
    path = f"/_plugins/_ml/_predict/text_embedding/{model_id}"
    try:
        return client.transport.perform_request("POST", path, body=body)
    except TransportError as fault:
        info = fault.info.get("error", fault.error) if isinstance(fault.info, dict) else fault.error
        reason = info.get("reason", info) if isinstance(info, dict) else info
        raise ProvisionError(
            f"{name}: the endpoint does not answer ({fault.status_code}): {one_line(str(reason), 300)}",
            hint="check that it is in service and that the credentials may invoke it, then apply again",
        ) from None


def _vector(answer: Any) -> list[float]:
    try:
        return [float(value) for value in answer["inference_results"][0]["output"][0]["data"]]
    except (KeyError, IndexError, TypeError, ValueError):
        return []


def _picture() -> str:
    """A small red square on white, as base64 of a PNG."""
    image = Image.new("RGB", (32, 32), "white")
    image.paste((200, 20, 30), (8, 8, 24, 24))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
