"""A model server whose keys are given out and taken away while it runs, and which notes who called when."""

import re
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from pydantic import SecretStr
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from neuralshelf.connectors.runtime import Runtime
from neuralshelf.model_packages.ranker.contract import Contract
from neuralshelf.model_packages.ranker.ranking import Ranker
from neuralshelf.model_packages.ranker.store import Interactions
from neuralshelf.model_packages.server.app import create_app
from neuralshelf.model_packages.server.endpoints import standard_endpoints
from neuralshelf.model_packages.server.limits import Limits
from neuralshelf.model_packages.server.serving import Server, bound_socket
from neuralshelf.model_packages.server.sigv4 import Credential
from tests.engine.conftest import ServedModels, ToyEncoder

_KEY = re.compile(rb"Credential=([^/]+)/")


@dataclass(frozen=True)
class Key:
    """Credentials as the holder of them knows them."""

    access: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class Keys(Mapping[str, Credential | str]):
    """Access key -> credential, as it is at this moment."""

    def __init__(self) -> None:
        self._valid: dict[str, Credential] = {}

    def __getitem__(self, access: str) -> Credential:
        return self._valid[access]

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._valid))

    def __len__(self) -> int:
        return len(self._valid)

    def issue(self, *, temporary: bool = False, expires: datetime | None = None) -> Key:
        """New credentials; with a session token when they are temporary."""
        key = Key(
            ("ASIA" if temporary else "AKIA") + secrets.token_hex(8).upper(),
            "PLANTED" + secrets.token_urlsafe(30),
            "PLANTEDTOKEN" + secrets.token_urlsafe(40) if temporary else None,
        )
        self._valid[key.access] = Credential(key.secret, key.token, expires)
        return key

    def revoke(self, key: Key) -> None:
        """They are refused from now on."""
        self._valid.pop(key.access, None)


@dataclass
class KeyServer:
    """A model server with two toy models.

    Attributes:
        calls: (monotonic time of arrival, access key, HTTP status) of each call, in the order of their answers.
    """

    url: str
    keys: Keys
    calls: list[tuple[float, str, int]] = field(default_factory=list)
    region: str = "us-east-1"

    def runtime(self, key: Key, expires: datetime | None = None) -> Runtime:
        """This server with these credentials."""
        made = Runtime(self.region).at(self.url, key.access, SecretStr(key.secret))
        return replace(made, session_token=SecretStr(key.token) if key.token else None, expires=expires)

    def served(self, key: Key) -> ServedModels:
        """As projects want it."""
        return ServedModels(self.url, self.url, self.region, key.access, key.secret, None, None)

    def last(self, key: Key) -> float:
        """When a key was last used; 0 if never."""
        return max((at for at, access, _ in self.calls if access == key.access), default=0.0)

    def refused(self) -> list[tuple[float, str, int]]:
        """Calls that got an error."""
        return [call for call in self.calls if call[2] >= 400]


class _Note:
    def __init__(self, app: ASGIApp, server: KeyServer) -> None:
        self._app = app
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        found = _KEY.search(dict(scope["headers"]).get(b"authorization", b""))
        access, begun = found[1].decode() if found else "", time.monotonic()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._server.calls.append((begun, access, int(message["status"])))
            await send(message)

        await self._app(scope, receive, noted)


@contextmanager
def key_server(host: str, keys: Keys | None = None, ranker: Contract | None = None) -> Iterator[KeyServer]:
    """A running one, reached as `host` by the engine; with no key yet unless some are given."""
    opened = bound_socket("127.0.0.1" if host == "127.0.0.1" else "0.0.0.0", 0)
    found = KeyServer(f"http://{host}:{opened.getsockname()[1]}", keys or Keys())
    limits = Limits()
    app = create_app(
        standard_endpoints(ToyEncoder(), ToyEncoder()),
        credentials=found.keys,
        limits=limits,
        ranker=ranker,
        middleware=[Middleware(_Note, server=found)],
    )
    ready = threading.Event()
    server = Server(app, opened, limits, lambda _: ready.set())
    thread = threading.Thread(target=server.run_until_stopped, daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield found
    finally:
        server.stop()
        thread.join(15)
        opened.close()


@contextmanager
def ranking_server(host: str, folder: Path) -> Iterator[KeyServer]:
    """A running one that ranks as well; what people did, nothing yet, is kept in the folder."""
    with (
        closing(Interactions(folder / "interactions.db")) as store,
        key_server(host, ranker=Contract(Ranker(store))) as found,
    ):
        yield found
