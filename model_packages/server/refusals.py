"""Why a request gets no vectors, before it is said in a service's own words (see `dialects`).

    Refusal
    ├── SignatureRefused   not signed, or not rightly: carries AWS's own code and status
    ├── EndpointUnknown    no such endpoint or model id
    ├── BodyTooLarge       more bytes than the service takes
    ├── BodyTooSlow        the body did not arrive in time
    ├── EncodingRefused    a compressed body
    ├── MediaTypeRefused   not application/json
    ├── InputRefused       the body can't be embedded: JSON, field, text or picture
    ├── Throttled          the queue or the body memory is full: come back later
    ├── NotReady           the model is not loaded yet, or the server is stopping
    ├── DeadlinePassed     accepted, but not answered in time
    └── ModelFailed        the model raised, or gave something that is not a finite vector

Messages never repeat the body, a header's value or a key.
"""

from collections.abc import Mapping


class Refusal(Exception):
    """Base: `message` is one line for the client."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class SignatureRefused(Refusal):
    """Refused by Signature Version 4, with the code and HTTP status AWS answers."""

    def __init__(self, code: str, message: str, status: int = 403) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class EndpointUnknown(Refusal):
    """No endpoint or model of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name[:200]} not found")
        self.name = name[:200]


class BodyTooLarge(Refusal):
    """The body has more bytes than the service takes."""


class BodyTooSlow(Refusal):
    """The body did not arrive in time."""


class EncodingRefused(Refusal):
    """The body is compressed; a compressed body can't be bounded before it is opened."""


class MediaTypeRefused(Refusal):
    """The body's content type is not JSON."""


class InputRefused(Refusal):
    """The body can't be embedded."""


class Throttled(Refusal):
    """Full: nothing was queued."""


class NotReady(Refusal):
    """The model is not there (yet, or any more)."""


class DeadlinePassed(Refusal):
    """Accepted, but not answered in time."""


class ModelFailed(Refusal):
    """The model failed on this input."""


CONTAINER_STATUS: Mapping[type[Refusal], int] = {
    EndpointUnknown: 404,
    BodyTooLarge: 413,
    BodyTooSlow: 408,
    EncodingRefused: 415,
    MediaTypeRefused: 415,
    InputRefused: 400,
    Throttled: 429,
    NotReady: 503,
    DeadlinePassed: 504,
    ModelFailed: 500,
}
"""What a model container answers over HTTP."""
