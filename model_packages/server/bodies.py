"""Request bodies off the wire: bounded in bytes, in time, and in memory over all requests."""

import asyncio
import contextlib
import hashlib
import time

from starlette.requests import ClientDisconnect, Request

from neuralshelf.model_packages.server.limits import Limits
from neuralshelf.model_packages.server.refusals import BodyTooLarge, BodyTooSlow, Throttled

_DISCARD_SECONDS = 5.0
_SILENCE_SECONDS = 0.5


class BodyMemory:
    """Bytes of bodies held just now, all requests together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.held = 0

    def take(self, size: int) -> None:
        """Raises: Throttled."""
        if self.held + size > self._limit:
            raise Throttled("Rate exceeded")
        self.held += size

    def give_back(self, size: int) -> None:
        self.held -= size


class Body:
    """The body of one request."""

    def __init__(self, request: Request, memory: BodyMemory, limits: Limits) -> None:
        self._receive = request.receive
        self._announced = int(request.headers.get("content-length", "0"))
        self._asked_first = "expect" in request.headers
        self._begun = False
        self._memory = memory
        self._limits = limits
        self._complete = False
        self._held = 0

    async def read(self, max_body: int) -> tuple[bytes, str]:
        """The bytes, and their SHA-256 in hex. They count as held until `release`.

        Raises:
            BodyTooLarge: more than `max_body` bytes, announced or sent.
            Throttled: the bodies of all requests together would pass `max_buffered`.
            BodyTooSlow: not complete within `body_timeout` seconds.
            ClientDisconnect: the client went away.
        """
        content = bytearray()
        digest = hashlib.sha256()
        if self._announced > max_body:
            raise BodyTooLarge(f"Request body is larger than {max_body} bytes")
        try:
            async with asyncio.timeout(self._limits.body_timeout):
                while not self._complete:
                    chunk = await self._next()
                    if len(content) + len(chunk) > max_body:
                        raise BodyTooLarge(f"Request body is larger than {max_body} bytes")
                    self._memory.take(len(chunk))
                    self._held += len(chunk)
                    content += chunk
                    digest.update(chunk)
        except TimeoutError:
            raise BodyTooSlow(f"The body did not arrive within {self._limits.body_timeout:g} s") from None
        return bytes(content), digest.hexdigest()

    async def discard(self) -> None:
        """Read on without keeping, while bytes come and for a few seconds: a client still sending would not see the
        refusal otherwise. One that asked first (`Expect: 100-continue`) is told at once instead.
        """
        if self._asked_first and not self._begun:
            return
        end = time.monotonic() + _DISCARD_SECONDS
        with contextlib.suppress(TimeoutError, ClientDisconnect):
            while not self._complete and time.monotonic() < end:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    await self._next()

    def release(self) -> None:
        self._memory.give_back(self._held)
        self._held = 0

    @property
    def complete(self) -> bool:
        return self._complete

    async def gone(self) -> None:
        """Returns when the client has gone away; only after the body is complete."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _next(self) -> bytes:
        self._begun = True
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self._complete = not message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        return chunk
