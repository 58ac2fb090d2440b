"""The faults by name: what endpoints of SageMaker and Bedrock do on bad days, and what broken models answer."""

import json
import math
from collections.abc import Mapping
from typing import Any

from tests.faults.faulty import (
    Fault,
    altered,
    cut_body,
    cut_head,
    hang,
    later,
    refused,
    reshaped,
    trickle,
    unanswered,
)

SLOW_SECONDS = 1.5
"""How late `slow` answers: within a patient read timeout, beyond one of a second."""


def _model_error(status: int, message: str) -> dict[str, Any]:
    """What SageMaker says when its container answered `status`."""
    fault = "CLIENT" if status < 500 else "SERVER"
    return {
        "ErrorCode": f"{fault}_ERROR_FROM_MODEL",
        "LogStreamArn": "",
        "Message": f'Received {fault.lower()} error ({status}) from primary with message "{message}"',
        "OriginalMessage": message,
        "OriginalStatusCode": status,
    }


_RATE = {"message": "Too many requests, please wait before trying again."}
_INTERNAL = {"Message": "An internal failure occurred."}

THROTTLING: Mapping[str, Fault] = {
    # Bedrock, and SageMaker where it answers as it should.
    "429 throttling": refused(429, _RATE, code="ThrottlingException"),
    "429 retry-after": refused(429, _RATE, {"Retry-After": "1"}),
    "429 text": refused(429, b"Too Many Requests", {"content-type": "text/plain"}),
    # SageMaker over its limit of concurrent calls: the status of a bad request, and a message that is null.
    "400 throttling": refused(400, {"message": None}, code="ThrottlingException"),
    "400 null": refused(400, {"message": None}),
    "400 empty": refused(400, b""),
    # A container behind SageMaker that is full.
    "424 busy": refused(424, _model_error(429, "Too many requests"), code="ModelError"),
    "503 throttling": refused(503, {"message": "Rate exceeded"}, code="ThrottlingException"),
}

FAILING: Mapping[str, Fault] = {
    "500": refused(500, _INTERNAL, code="InternalFailure"),
    "500 text": refused(500, b"Internal Server Error", {"content-type": "text/plain"}),
    "502 html": refused(502, b"<html><body>Bad Gateway</body></html>", {"content-type": "text/html"}),
    "503": refused(503, {"Message": "The service is unavailable."}, code="ServiceUnavailable"),
    "504": refused(504, b""),
    "408": refused(408, {"message": "Model has timed out in processing the request."}, code="ModelTimeoutException"),
    "424 crashed": refused(424, _model_error(500, "the worker died"), code="ModelError"),
    "424 bedrock": refused(
        424, {"message": "the model failed", "originalStatusCode": 500, "resourceName": ""}, code="ModelErrorException"
    ),
    "429 not ready": refused(429, {"message": "The model is not ready."}, code="ModelNotReadyException"),
}

REFUSING: Mapping[str, Fault] = {
    # The document itself.
    "424 input": refused(424, _model_error(400, "#/inputText: can't be embedded"), code="ModelError"),
    "400 input": refused(400, {"message": "Malformed input request: #/inputText"}, code="ValidationException"),
    # Nothing that is sent will be taken: the endpoint is gone, the keys are no longer good.
    "400 no endpoint": refused(
        400, {"Message": "Endpoint shop-clip of account 000000000000 not found."}, code="ValidationError"
    ),
    "403 expired": refused(
        403, {"message": "The security token included in the request is expired"}, code="ExpiredTokenException"
    ),
    "403 denied": refused(
        403, {"Message": "User is not authorized to perform: sagemaker:InvokeEndpoint"}, code="AccessDeniedException"
    ),
}

BREAKING: Mapping[str, Fault] = {
    "slow": later(SLOW_SECONDS),
    "hang": hang,
    "trickle": trickle,
    "cut before": unanswered,
    "cut head": cut_head,
    "cut body": cut_body,
}

_ERROR_BODY = json.dumps({"message": "CUDA out of memory"}).encode()
_PAGE = b"<!DOCTYPE html><html><body>Sign in</body></html>"


def _huge(body: bytes) -> bytes:
    """Vectors of millions of numbers, written quickly: a slow answer would be another fault."""
    answer = json.loads(body)
    texts = isinstance(answer, list)
    numbers = json.dumps(answer[0] if texts else answer["embedding"])[1:-1]
    row = f"[{', '.join([numbers] * (50_000_000 // len(numbers)))}]"
    return (f"[{', '.join([row] * len(answer))}]" if texts else f'{{"embedding": {row}}}').encode()


def _first_value(value: object) -> Fault:
    return reshaped(lambda rows: [[value, *row[1:]] for row in rows])


GARBAGE: Mapping[str, Fault] = {
    "wrong dimension": reshaped(lambda rows: [row[:-1] for row in rows]),
    "empty vector": reshaped(lambda rows: [[] for _ in rows]),
    "nested": reshaped(lambda rows: [[row] for row in rows]),
    "zeros": reshaped(lambda rows: [[0.0] * len(row) for row in rows]),
    "NaN": _first_value(math.nan),
    "Infinity": _first_value(math.inf),
    "1e39": _first_value(1e39),  # finite in JSON, infinite as float32
    "null": _first_value(None),
    "strings": reshaped(lambda rows: [[str(value) for value in row] for row in rows]),
    "no vectors": reshaped(lambda rows: [None for _ in rows]),
    "html": altered(lambda _: _PAGE),
    "error body": altered(lambda _: _ERROR_BODY),
    "empty body": altered(lambda _: b""),
    "truncated": altered(lambda body: body[: len(body) // 2]),
    "50 MB": altered(_huge),
}

MIXED: Mapping[str, Fault] = {
    "fewer": reshaped(lambda rows: rows[:-1]),
    "more": reshaped(lambda rows: [*rows, rows[0]]),
    "shifted": reshaped(lambda rows: [rows[-1], *rows]),
    "other order": reshaped(lambda rows: rows[::-1]),
}
"""For lists of texts only."""

LATE = "late"
"""No fault: an answer that takes as long as a real model's, so that there is time to kill somebody."""

FAULTS: Mapping[str, Fault] = {LATE: later(0.3), **THROTTLING, **FAILING, **REFUSING, **BREAKING, **GARBAGE, **MIXED}
