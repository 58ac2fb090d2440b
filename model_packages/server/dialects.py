"""How each service says what happened: status, x-amzn-ErrorType and body, as its SDKs parse them.

SageMaker hands on what its container answered: a body the model can't use is a ModelError (HTTP 424) that carries
the container's own status and message. Bedrock answers in its own name. The container itself answers plain HTTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

import orjson
from starlette.responses import Response

from neuralshelf.model_packages.server.refusals import (
    CONTAINER_STATUS,
    BodyTooLarge,
    BodyTooSlow,
    DeadlinePassed,
    EncodingRefused,
    EndpointUnknown,
    InputRefused,
    MediaTypeRefused,
    NotReady,
    Refusal,
    SignatureRefused,
    Throttled,
)

ACCOUNT = "000000000000"
"""The account number that a local endpoint is said to belong to."""


@dataclass(frozen=True)
class Said:
    """One error as a service says it."""

    status: int
    code: str
    body: Mapping[str, object]

    def response(self, request_id: str) -> Response:
        headers = {"x-amzn-RequestId": request_id, "x-amzn-ErrorType": self.code}
        return Response(orjson.dumps(self.body), self.status, headers, "application/json")


class Dialect(Protocol):
    """A service's way of speaking; `service` is the name its signatures are scoped to."""

    @property
    def service(self) -> str: ...

    def say(self, refusal: Refusal | None) -> Said:
        """Put a refusal into words; None is a fault of the server itself."""
        ...


class SageMaker:
    """SageMaker Runtime: InvokeEndpoint."""

    service = "sagemaker"
    _CODES: Mapping[type[Refusal], tuple[int, str]] = {
        BodyTooLarge: (413, "ValidationError"),
        BodyTooSlow: (408, "RequestTimeoutException"),
        EncodingRefused: (415, "ValidationError"),
        Throttled: (429, "ThrottlingException"),
        NotReady: (429, "ModelNotReadyException"),
    }

    def say(self, refusal: Refusal | None) -> Said:
        if refusal is None:
            return Said(500, "InternalFailure", {"Message": "An internal failure occurred."})
        if isinstance(refusal, SignatureRefused):
            return Said(refusal.status, refusal.code, {"message": refusal.message})
        if isinstance(refusal, EndpointUnknown):
            return Said(400, "ValidationError", {"Message": f"Endpoint {refusal.name} of account {ACCOUNT} not found."})
        if known := self._CODES.get(type(refusal)):
            return Said(*known, {"Message": refusal.message})
        status = CONTAINER_STATUS[type(refusal)]
        fault = "client" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "server"
        answered = f'Received {fault} error ({status}) from primary with message "{refusal.message}"'
        body = {
            "ErrorCode": f"{fault.upper()}_ERROR_FROM_MODEL",
            "LogStreamArn": "",
            "Message": answered,
            "OriginalMessage": refusal.message,
            "OriginalStatusCode": status,
        }
        return Said(424, "ModelError", body)


class Bedrock:
    """Bedrock Runtime: InvokeModel."""

    service = "bedrock"
    _CODES: Mapping[type[Refusal], tuple[int, str]] = {
        BodyTooLarge: (413, "ValidationException"),
        BodyTooSlow: (408, "RequestTimeoutException"),
        EncodingRefused: (415, "ValidationException"),
        InputRefused: (400, "ValidationException"),
        Throttled: (429, "ThrottlingException"),
        NotReady: (429, "ModelNotReadyException"),
        DeadlinePassed: (408, "ModelTimeoutException"),
    }

    def say(self, refusal: Refusal | None) -> Said:
        if refusal is None:
            return Said(500, "InternalServerException", {"message": "An internal server error occurred."})
        if isinstance(refusal, SignatureRefused):
            return Said(refusal.status, refusal.code, {"message": refusal.message})
        if isinstance(refusal, EndpointUnknown):
            return Said(400, "ValidationException", {"message": "The provided model identifier is invalid."})
        if isinstance(refusal, MediaTypeRefused):
            text = "The provided Content Type is invalid or not supported for this model"
            return Said(400, "ValidationException", {"message": text})
        if known := self._CODES.get(type(refusal)):
            return Said(*known, {"message": refusal.message})
        body = {"message": refusal.message, "originalStatusCode": 500, "resourceName": ""}
        return Said(424, "ModelErrorException", body)


class Container:
    """The model container behind a SageMaker endpoint: `POST /invocations`, never signed."""

    service = ""

    def say(self, refusal: Refusal | None) -> Said:
        if refusal is None:
            return Said(500, "InternalFailure", {"code": "InternalFailure", "message": "An internal failure occurred."})
        status = refusal.status if isinstance(refusal, SignatureRefused) else CONTAINER_STATUS[type(refusal)]
        code = type(refusal).__name__
        return Said(status, code, {"code": code, "message": refusal.message})
