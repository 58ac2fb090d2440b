"""What every way to an OpenSearch has in common."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

Progress = Callable[[str, int, int | None], None]
"""Told (step, done, total) with absolute figures; a total of None is not known."""


@dataclass(frozen=True)
class EngineStatus:
    """An engine as it is now.

    Attributes:
        provider: `url`, `container` or `embedded`.
        url: base URL of the REST API, without a user name or password.
        version: as the cluster tells it; None when it does not answer.
        health: `green`, `yellow`, `red`, or `unreachable`, or `unknown` where the user may not ask.
        nodes: how many; 0 when not known.
        plugins: their names, sorted; empty when the cluster does not tell.
        pid: of the JVM, when it is ours.
    """

    provider: str
    url: str
    version: str | None
    health: str
    nodes: int
    plugins: tuple[str, ...]
    pid: int | None = None


class Engine(Protocol):
    """One OpenSearch: started, watched, stopped. All methods raise EngineError and nothing else."""

    @property
    def provider(self) -> str:
        """`url`, `container` or `embedded`."""

    @property
    def url(self) -> str:
        """Base URL of the REST API; known once it is started."""

    @property
    def host_address(self) -> str:
        """The name or address by which the engine reaches servers on this machine."""

    def start(self, progress: Progress) -> None:
        """Bring it up and wait until it is usable (see `ready.await_ready`)."""

    def check(self) -> None:
        """Return while it lives; raise with its last words once it has ended by itself."""

    def status(self) -> EngineStatus:
        """Ask it how it is; never raises."""

    def stop(self) -> None:
        """End it if we started it; its data stays. Can be called twice."""
