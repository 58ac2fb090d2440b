"""A port of its own before a model server, which can be made to fail while connectors go on calling it."""

import http.client
import socketserver
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from neuralshelf.model_packages.encoder import Encoder
from neuralshelf.model_packages.server.app import create_app
from neuralshelf.model_packages.server.endpoints import standard_endpoints
from neuralshelf.model_packages.server.limits import Limits
from neuralshelf.model_packages.server.serving import Server, bound_socket
from neuralshelf.model_packages.server.sigv4 import Credential
from tests.engine.conftest import ToyEncoder

Behaviour = Callable[["_Handler", bytes], None]


def forward(port: int) -> Behaviour:
    """Hand each request on as it is: its signature covers the name of the host, so that stays, too."""

    def behave(handler: "_Handler", body: bytes) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as upstream:
            upstream.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
            for name, value in handler.headers.items():
                upstream.putheader(name, value)
            upstream.endheaders(body)
            got = upstream.getresponse()
            kept = {name: value for name, value in got.getheaders() if name.lower().startswith("x-amzn")}
            handler.answer(got.status, got.read(), kept)

    return behave


def after(seconds: float, behaviour: Behaviour) -> Behaviour:
    """That, later."""

    def behave(handler: "_Handler", body: bytes) -> None:
        time.sleep(seconds)
        with suppress(OSError):  # whoever asked may have given up
            behaviour(handler, body)

    return behave


def answer(status: int, body: bytes, **headers: str) -> Behaviour:
    """The same to everybody; `_` in a header's name stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, _: handler.answer(status, body, named)


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.behaviour(self, body)

    def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Said nowhere."""


class _Server(socketserver.ThreadingMixIn, HTTPServer):
    daemon_threads = True
    block_on_close = False
    behaviour: Behaviour


class Gate:
    """Listens on one port for as long as it is open; `usual` is what it does when nothing else is asked of it."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.usual = behaviour
        self._server = self._open(0)
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def _open(self, port: int) -> _Server:
        server = _Server(("127.0.0.1", port), _Handler)
        server.behaviour = self.usual
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server

    def close(self) -> None:
        """From now on connections are refused."""
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def behaving(self, behaviour: Behaviour, endpoint: str = "") -> Iterator[None]:
        """Inside the `with` it does that for requests to an endpoint, or for all."""

        def chosen(handler: _Handler, body: bytes) -> None:
            (behaviour if endpoint in handler.path else self.usual)(handler, body)

        self._server.behaviour = chosen
        try:
            yield
        finally:
            self._server.behaviour = self.usual

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Inside the `with` nothing listens."""
        self.close()
        try:
            yield
        finally:
            self._server = self._open(self.port)


@contextmanager
def served(
    credentials: Mapping[str, Credential],
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    limits: Limits | None = None,
    text: Encoder | None = None,
    multimodal: Encoder | None = None,
) -> Iterator[int]:
    """A model server with these credentials; its port."""
    limits = limits or Limits()
    endpoints = standard_endpoints(multimodal or ToyEncoder(), text or ToyEncoder())
    opened = bound_socket("127.0.0.1", 0)
    ready = threading.Event()
    app = create_app(endpoints, credentials=credentials, limits=limits, clock=clock)
    server = Server(app, opened, limits, lambda port: ready.set())
    thread = threading.Thread(target=server.run_until_stopped, daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield int(opened.getsockname()[1])
    finally:
        server.stop()
        thread.join(15)
        opened.close()
