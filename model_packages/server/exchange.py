"""One request from its first byte to its answer, whatever happens on the way."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from neuralshelf.model_packages.server.bodies import Body, BodyMemory
from neuralshelf.model_packages.server.counters import Counters
from neuralshelf.model_packages.server.dialects import Dialect
from neuralshelf.model_packages.server.limits import Limits
from neuralshelf.model_packages.server.refusals import EncodingRefused, Refusal
from neuralshelf.model_packages.server.sigv4 import SignedRequest, Verifier

_log = logging.getLogger(__name__)
_CLIENT_CLOSED_REQUEST = 499
T = TypeVar("T")

Invoke = Callable[[Body, str], Awaitable[Response]]
"""Answers the request whose body and id it is given. Raises: Refusal, ClientDisconnect."""


class Exchange:
    """What the requests of one application share: the memory for their bodies, limits and counters."""

    def __init__(self, limits: Limits, counters: Counters) -> None:
        self._limits = limits
        self._counters = counters
        self._memory = BodyMemory(limits.max_buffered)

    async def answer(self, request: Request, dialect: Dialect, invoke: Invoke) -> Response:
        """What `invoke` answers, or its refusal in the words of `dialect`; the rest of the body is read away."""
        request_id = str(uuid.uuid4())
        self._counters.add(requests=1)
        body = Body(request, self._memory, self._limits)
        refusal: Refusal | None = None
        try:
            return await invoke(body, request_id)
        except ClientDisconnect:
            return Response(status_code=_CLIENT_CLOSED_REQUEST)
        except Refusal as caught:
            refusal = caught
        except Exception as error:  # noqa: BLE001 - the outermost edge: a client gets an answer, never a traceback
            _log.error("request_id=%s internal failure: %s", request_id, type(error).__name__)
        finally:
            body.release()
        said = dialect.say(refusal)
        self._counters.error(said.code)
        _log.info("request_id=%s status=%d code=%s", request_id, said.status, said.code)
        await body.discard()
        response = said.response(request_id)
        if not body.complete:
            response.headers["connection"] = "close"
        return response


async def read_signed(
    request: Request, body: Body, verifier: Verifier | None, service: str, now: datetime, most: int
) -> bytes:
    """The body, of at most `most` bytes: signed for `service`, unless there is no `verifier`.

    What the headers say is looked at before the body is read. Raises: Refusal, ClientDisconnect.
    """
    signed = SignedRequest(
        request.method,
        request.scope["raw_path"],
        request.scope["query_string"],
        SignedRequest.fold(request.scope["headers"]),
    )
    claim = verifier.claim(signed, service, now) if verifier else None
    content, digest = await body.read(most)
    if claim is not None:
        Verifier.verify(claim, signed, digest)
    return content


async def while_connected(body: Body, answering: Awaitable[T]) -> T:
    """The answer; cancelled when the client hangs up first. Raises: ClientDisconnect."""
    answer = asyncio.ensure_future(answering)
    leaving = asyncio.ensure_future(body.gone())
    try:
        await asyncio.wait((answer, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        if not answer.done():
            answer.cancel()
    if not answer.done():
        raise ClientDisconnect
    return answer.result()


def require_plain(request: Request) -> None:
    """Raises: EncodingRefused."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise EncodingRefused("Compressed request bodies are not taken; send the body as it is")
