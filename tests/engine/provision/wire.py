"""A proxy before the engine that writes down every request, and can kill whoever sent it at a chosen one."""

import http.client
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

Moment = Literal["before", "after"]

_READING = re.compile(r"/_(search|msearch|mget|count|predict|render|simulate|refresh|analyze|validate)\b")


@dataclass(frozen=True)
class Request:
    """One request as it came, in the order of arrival, from 1."""

    number: int
    method: str
    path: str
    body: bytes

    @property
    def writes(self) -> bool:
        """Whether it changes something: PUT, POST or DELETE, but for questions asked by POST."""
        path = urlsplit(self.path).path
        # PUT _search/pipeline/… is a write, POST …/_search is not
        asking = self.method == "POST" and _READING.search(path) and "/pipeline" not in path
        return self.method in ("PUT", "POST", "DELETE") and not asking

    def __str__(self) -> str:
        return f"{self.number} {self.method} {self.path}"


class Cut(Exception):
    """Raised by a hook: close the connection without an answer."""


class Instead(Exception):
    """Raised by a hook: answer this."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.status = status
        self.content = json.dumps(body).encode()


class Wire:
    """What passes between a client and the engine.

    Attributes:
        url: where clients connect.
        requests: all since the last `clear`.
        before, after: hooks, called for a request that the engine has not seen yet, and for one that it has answered
            while the client waits for that answer. Either may raise Cut or Instead.
    """

    def __init__(self, url: str, target: str) -> None:
        self.url = url
        self.target = target
        self.requests: list[Request] = []
        self.before: Callable[[Request], None] | None = None
        self.after: Callable[[Request], None] | None = None
        self._lock = threading.Lock()

    @property
    def writes(self) -> list[Request]:
        """Requests that change something."""
        return [request for request in self.requests if request.writes]

    def clear(self) -> None:
        """Forget requests and hooks."""
        with self._lock:
            self.requests = []
            self.before = self.after = None

    def at(self, which: int | str, moment: Moment, act: Callable[[], None], *, writes: bool = False) -> None:
        """Call `act` at one request, before or after the engine has seen it, and give no answer.

        Args:
            which: its number, or a part of its path: the first such one.
            writes: count those alone that change something.
        """

        def counts(request: Request) -> bool:
            return (request.writes or not writes) and (isinstance(which, int) or which in request.path)

        def hook(request: Request) -> None:
            number = which if isinstance(which, int) else 1
            if counts(request) and number == sum(map(counts, self.requests[: request.number])):
                act()
                raise Cut

        if moment == "before":
            self.before = hook
        else:
            self.after = hook

    def note(self, method: str, path: str, body: bytes) -> Request:
        """Write a request down."""
        with self._lock:
            self.requests.append(Request(len(self.requests) + 1, method, path, body))
            return self.requests[-1]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer leaves in one piece
    disable_nagle_algorithm = True
    wire: Wire
    upstream: http.client.HTTPConnection | None = None

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = self.wire.note(self.command, self.path, body)
        try:
            if self.wire.before:
                self.wire.before(request)
            status, headers, content = self._forward(body)
            if self.wire.after:
                self.wire.after(request)
        except Cut:
            self.close_connection = True
            return
        except Instead as instead:
            status, headers, content = instead.status, [("Content-Type", "application/json")], instead.content
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        self.wfile.flush()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        if self.upstream is None:
            address = urlsplit(self.wire.target)
            self.upstream = http.client.HTTPConnection(address.hostname or "", address.port, timeout=300)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("connection", "host")}
        self.upstream.request(self.command, self.path, body, headers)
        answer = self.upstream.getresponse()
        return answer.status, answer.getheaders(), answer.read()

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError):  # the client has been killed
            pass
        finally:
            if self.upstream is not None:
                self.upstream.close()

    def finish(self) -> None:
        with suppress(ConnectionError):
            super().finish()

    def log_message(self, format: str, *words: Any) -> None:
        """Nothing on stderr."""


@contextmanager
def wire_to(target: str) -> Iterator[Wire]:
    """A proxy before the engine at `target`, an http:// URL."""
    wire = Wire("", target)
    handler = type("Handler", (_Handler,), {"wire": wire})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.block_on_close = False
    wire.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield wire
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
