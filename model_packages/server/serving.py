"""The application on a socket: uvicorn with a limit on slow request heads, and a clean end."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from neuralshelf.model_packages.server.limits import Limits


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket bound to the address, before anything slow is started; port 0 takes a free one.

    Raises:
        OSError: the port is in use, or the host is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio sets TCP_NODELAY only then; without it every answer waits 40 ms for an
    # acknowledgement between its head and its body.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
    except OSError:
        opened.close()
        raise
    return opened


class Server(uvicorn.Server):
    """Serves one app on one socket until a signal or `stop`; then finishes what it accepted.

    Args:
        ready: called with the port once requests are answered.
    """

    def __init__(self, app: ASGIApp, opened: socket.socket, limits: Limits, ready: Callable[[int], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_protocol(limits.header_timeout),
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=limits.max_connections,
                timeout_keep_alive=limits.keep_alive,
                timeout_graceful_shutdown=limits.shutdown,
                backlog=2048,
            )
        )
        self._opened = opened
        self._ready = ready

    def run_until_stopped(self) -> None:
        """Blocks. In the main thread SIGTERM and SIGINT end it as `stop` does."""
        asyncio.run(self.serve(sockets=[self._opened]))

    def stop(self) -> None:
        """From any thread."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready(self._opened.getsockname()[1])

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but a signal that was obeyed is not raised again: ending on request is exit status 0."""
        try:
            former = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not the main thread
            yield
            return
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.should_exit and number == signal.SIGINT:
            self.force_exit = True  # a second Ctrl-C does not wait
        self.should_exit = True


def _protocol(header_timeout: float) -> type[H11Protocol]:
    """uvicorn's HTTP/1.1 protocol, with a limit on the time a request head may take."""

    class TimedProtocol(H11Protocol):
        _head: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._watch_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._unwatch_head()
            super().connection_lost(exc)

        def _watch_head(self) -> None:
            incomplete = self.cycle is None or self.cycle.response_complete
            if not incomplete:
                self._unwatch_head()
            elif self._head is None:
                self._head = self.loop.call_later(header_timeout, self.transport.close)

        def _unwatch_head(self) -> None:
            if self._head is not None:
                self._head.cancel()
                self._head = None

    return TimedProtocol
