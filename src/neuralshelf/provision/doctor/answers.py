"""What the refusal of an embedding means: the words of ML Commons, AWS and the engine -> a fault."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from opensearchpy import ConnectionTimeout, TransportError

from neuralshelf.client import innermost, reason
from neuralshelf.provision.doctor.asking import denied_actions

Scope = Literal["cluster", "server", "endpoint", "model"]
"""How far a fault reaches: findings of one code are put together within it."""

# The first pattern found in the cluster's reason decides. All of these were seen, on 3.6.0 or in AWS's documentation.
_MEANINGS: tuple[tuple[str, str, Scope], ...] = (
    (r"Tag mismatch|[Dd]ecrypt|CannotUnwrapDataKey|master key", "master-key-lost", "cluster"),
    (r"circuit_breaking|[Cc]ircuit [Bb]reaker|Data too large", "memory-breaker-open", "cluster"),
    (r"[Nn]o eligible (worker )?node", "no-node-for-models", "cluster"),
    (r"Remote Inference is currently disabled", "remote-models-disabled", "cluster"),
    (r"private ip", "private-address-refused", "server"),
    (r"not matching the trusted connector endpoint", "endpoint-not-trusted", "server"),
    (r"Model is disabled", "model-disabled", "model"),
    (r"Signature (expired|not yet current)|RequestTimeTooSkewed|RequestExpired", "clock-skew", "server"),
    (r"token .*(is |has )expired|ExpiredToken", "credentials-expired", "server"),
    (r"signature we calculated does not match|SignatureDoesNotMatch|InvalidSignature", "wrong-secret", "server"),
    (r"security token .*invalid|UnrecognizedClient|InvalidClientTokenId", "credentials-unknown", "server"),
    (r"not authorized to perform|AccessDenied|don't have access to the model", "access-denied", "endpoint"),
    (r"throttl|Too [Mm]any [Rr]equests|Rate exceeded|quota", "endpoint-throttled", "endpoint"),
    (r"outputEmbeddingLength", "dimension-mismatch", "endpoint"),
    (r"Endpoint \S+ of account \S+ not found|model identifier is invalid", "endpoint-unknown", "endpoint"),
    (r"[Rr]ead timed out|Acquire operation took longer|timeout", "endpoint-slow", "endpoint"),
    (r"not known|communicating with remote model|UnknownHost", "endpoint-down", "server"),
    (
        r"embedding should be|empty response body|PREDICT in aws connector|tensorsList|ParseException|post.?process",
        "answer-not-a-vector",
        "endpoint",
    ),
)


@dataclass(frozen=True)
class Meaning:
    """A fault of the catalogue, how far it reaches, and the words that told it."""

    code: str
    scope: Scope
    said: str


def meaning(fault: TransportError) -> Meaning | None:
    """What a refused embedding means; None when it is this login that may not ask."""
    if isinstance(fault, ConnectionTimeout):
        return Meaning("endpoint-slow", "endpoint", "no answer")
    if denied_actions(fault) and "remote service" not in str(fault.info):
        return None
    said = reason(fault)
    words = f"{fault.error} {said} {innermost(fault)}"
    for pattern, code, scope in _MEANINGS:
        if re.search(pattern, words):
            return Meaning(code, scope, said)
    if fault.status_code == 404:
        return Meaning("endpoint-unknown", "endpoint", said)
    if fault.status_code == 429:
        remote = "remote service" in words
        return (
            Meaning("endpoint-throttled", "endpoint", said)
            if remote
            else Meaning("cluster-overloaded", "cluster", said)
        )
    return Meaning("endpoint-failing", "endpoint", f"{said} ({fault.status_code})")


def vector(answer: Mapping[str, Any]) -> NDArray[np.float32] | None:
    """The embedding in an answer, shape (dimension,); None when there is none, or none that can be searched."""
    try:
        values = [float(value) for value in answer["inference_results"][0]["output"][0]["data"]]
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    if not values or not any(values) or not all(math.isfinite(value) for value in values):
        return None
    return np.array(values, dtype=np.float32)
