"""The test build of the model server: the real application, with faults before it that are asked for by request.

What a request gets is decided in this order: what it holds (`poison`), what was asked for the next ones (`script`),
chance (`share`). Without any of them the application answers.
"""

import asyncio
import json
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

WELL = "well"
"""The name of no fault."""
NOTED = "noted"
"""Passes as well, counted by itself."""


@dataclass(frozen=True)
class Answer:
    """What the application said."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Call:
    """One request that has arrived whole, and the way back."""

    app: ASGIApp
    scope: Scope
    body: bytes
    receive: Receive
    send: Send

    async def right_answer(self) -> Answer:
        """What the application says to it; nothing is sent."""
        said: list[Message] = []

        async def keep(message: Message) -> None:
            said.append(message)

        await self.app(self.scope, self._again(), keep)
        start = next(message for message in said if message["type"] == "http.response.start")
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        body = b"".join(message.get("body", b"") for message in said if message["type"] == "http.response.body")
        return Answer(start["status"], headers, body)

    async def pass_on(self) -> None:
        """Let the application answer."""
        await self.app(self.scope, self._again(), self.send)

    async def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Answer at once."""
        await self.begin(status, len(body), headers)
        await self.send({"type": "http.response.body", "body": body})

    async def begin(self, status: int, length: int, headers: Mapping[str, str] | None = None) -> None:
        """Send the head of an answer whose body has `length` bytes."""
        given = {"content-type": "application/json", **(headers or {}), "content-length": str(length)}
        named = [(name.lower().encode(), value.encode()) for name, value in given.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": named})

    async def more(self, part: bytes) -> None:
        """Send a part of the body, and not the last."""
        await self.send({"type": "http.response.body", "body": part, "more_body": True})

    async def cut(self, raw: bytes = b"") -> None:
        """Close the connection, `raw` bytes before that."""
        # ASGI has no word for it: `send` is bound to uvicorn's cycle of this request.
        transport = self.send.__self__.transport  # type: ignore[attr-defined]
        if raw:
            transport.write(raw)
        transport.close()
        await self.gone()

    async def gone(self) -> None:
        """Returns when the client has hung up."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    def _again(self) -> Receive:
        """The request once more, for the application."""
        given = False

        async def receive() -> Message:
            nonlocal given
            if not given:
                given = True
                return {"type": "http.request", "body": self.body, "more_body": False}
            return await self.receive()

        return receive


Fault = Callable[[Call], Awaitable[None]]


class FaultyServer:
    """An ASGI application around another: requests for embeddings may meet a fault, all others pass.

    All methods may be called from any thread, while it serves.
    """

    def __init__(self, app: ASGIApp, faults: Mapping[str, Fault]) -> None:
        self._app = app
        self._faults = {WELL: Call.pass_on, NOTED: Call.pass_on, **faults}
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._open = 0
        self._times: list[float] = []
        self.heal()

    def heal(self) -> None:
        """No faults from now on; what was counted stays."""
        with self._lock:
            self._script: deque[str] = deque()
            self._poison: dict[bytes, str] = {}
            self._share: tuple[float, Sequence[str], random.Random] = (0.0, (), random.Random(0))
            self._part = ""

    def script(self, *names: str) -> None:
        """The next requests get these faults, in this order, after those that were asked for before."""
        self._known(names)
        with self._lock:
            self._script += names

    def share(self, part: float, names: Sequence[str], *, seed: int = 0, path: str = "") -> None:
        """`part` (0 to 1) of all requests get one of these faults, picked at random.

        Args:
            path: a part of the addresses that this is for; all without.
        """
        self._known(names)
        with self._lock:
            self._share, self._part = (part, names, random.Random(seed)), path

    def poison(self, marker: str, name: str) -> None:
        """Every request that holds `marker` anywhere (plain ASCII) gets this fault."""
        self._known((name,))
        with self._lock:
            self._poison[marker.encode("ascii")] = name

    @property
    def counts(self) -> Counter[str]:
        """Fault, or WELL -> requests that got it, since the start."""
        with self._lock:
            return Counter(self._counts)

    @property
    def calls(self) -> int:
        """Requests for embeddings since the start."""
        return self.counts.total()

    @property
    def times(self) -> list[float]:
        """When each of them had arrived, seconds of the monotonic clock."""
        with self._lock:
            return list(self._times)

    @property
    def open(self) -> int:
        """Requests that are being dealt with."""
        with self._lock:
            return self._open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        name = self._chosen(scope["path"], bytes(body))
        try:
            await self._faults[name](Call(self._app, scope, bytes(body), receive, send))
        finally:
            with self._lock:
                self._open -= 1

    def _chosen(self, path: str, body: bytes) -> str:
        with self._lock:
            self._open += 1
            self._times.append(time.monotonic())
            name = next((name for marker, name in self._poison.items() if marker in body), None)
            if name is None and self._script:
                name = self._script.popleft()
            if name is None:
                part, names, chance = self._share
                hit = self._part in path and chance.random() < part
                name = chance.choice(names) if hit else WELL
            self._counts[name] += 1
            return name

    def _known(self, names: Sequence[str]) -> None:
        unknown = set(names) - set(self._faults)
        assert not unknown, f"no such fault: {sorted(unknown)}"


def refused(status: int, body: Any, headers: Mapping[str, str] | None = None, code: str = "") -> Fault:
    """An answer of an error.

    Args:
        body: JSON, or bytes as they are.
        code: what x-amzn-ErrorType says; no such header without.
    """
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"x-amzn-RequestId": "00000000-0000-4000-8000-000000000000", **(headers or {})}
    if code:
        named["x-amzn-ErrorType"] = code
    return lambda call: call.answer(status, content, named)


def altered(change: Callable[[bytes], bytes]) -> Fault:
    """The right answer, changed."""

    async def behave(call: Call) -> None:
        right = await call.right_answer()
        body = change(right.body) if right.status == 200 else right.body
        kept = {name: value for name, value in right.headers.items() if name.lower() != "content-length"}
        await call.answer(right.status, body, kept)

    return behave


def reshaped(change: Callable[[list[list[float]]], Any]) -> Fault:
    """The right answer with other vectors: all of a list of texts, or the only one of a text and a picture."""

    def changed(body: bytes) -> bytes:
        answer = json.loads(body)
        if isinstance(answer, list):
            return json.dumps(change(answer)).encode()
        return json.dumps({**answer, "embedding": change([answer["embedding"]])[0]}).encode()

    return altered(changed)


def later(seconds: float) -> Fault:
    """The right answer, that much later."""

    async def behave(call: Call) -> None:
        await asyncio.sleep(seconds)
        await call.pass_on()

    return behave


async def hang(call: Call) -> None:
    """No answer at all, for as long as the client waits."""
    await call.gone()


async def trickle(call: Call) -> None:
    """The right answer, a byte a second, for as long as the client waits."""
    right = await call.right_answer()
    await call.begin(right.status, len(right.body))
    leaving = asyncio.ensure_future(call.gone())
    for place in range(len(right.body)):
        await call.more(right.body[place : place + 1])
        await asyncio.wait((leaving,), timeout=1)
        if leaving.done():
            return


async def cut_head(call: Call) -> None:
    """The connection closes in the middle of the head."""
    await call.cut(b"HTTP/1.1 200 OK\r\ncontent-type: appli")


async def cut_body(call: Call) -> None:
    """The connection closes in the middle of the body."""
    right = await call.right_answer()
    await call.begin(right.status, len(right.body))
    await call.more(right.body[: len(right.body) // 2])
    await call.cut()


async def unanswered(call: Call) -> None:
    """The connection closes, not a byte was sent."""
    await call.cut()
