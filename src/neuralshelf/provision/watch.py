"""Keep the credentials in live connectors fresh: read their references again and again, rotate when one has changed."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import FrameType

from opensearchpy import OpenSearch, TransportError

from neuralshelf.client import reason
from neuralshelf.connectors.runtime import Runtime
from neuralshelf.deployment import Deployment
from neuralshelf.errors import ConfigError, LockedError, NeuralshelfError, ProvisionError
from neuralshelf.provision.rotate import Rotation, rotate

AHEAD = timedelta(minutes=10)
"""New credentials are looked for this long before the end of those in force."""

URGENT_SECONDS = 15.0
PATIENT_SECONDS = 600.0


def watch(
    client: OpenSearch,
    deployment: Deployment,
    read: Callable[[], Runtime],
    *,
    every: float = 60.0,
    stop: threading.Event,
    say: Callable[[str], None] = lambda _: None,
    tell: Callable[[Rotation], None] = lambda _: None,
) -> None:
    """Rotate now if needed, and whenever the references give something else, until `stop` is set.

    A rotation that has begun is finished. What fails leaves the working connectors as they are: it is said, and tried
    again, the same refused credentials less and less often (up to every 10 minutes), others at once.

    Args:
        read: reads the references, as they are now. For a profile keep the `Profile`, which renews what it was lent.
        every: seconds between two readings; shorter when the credentials in force are about to end.
        say: gets lines for people.
        tell: called after each rotation that replaced something.

    Raises:
        ConfigError: `every` is too short.
    """
    if every < 1:
        raise ConfigError(f"every {every:g} seconds is too often", hint="give --every at least 1")
    watched = _Watched(client, deployment, say, tell)
    while not stop.is_set():
        watched.look(read)
        stop.wait(watched.pause(every))


class _Watched:
    """What is known between two readings."""

    def __init__(
        self,
        client: OpenSearch,
        deployment: Deployment,
        say: Callable[[str], None],
        tell: Callable[[Rotation], None],
    ) -> None:
        self._client = client
        self._deployment = deployment
        self._say = say
        self._tell = tell
        self._written: Runtime | None = None
        self._refused: Runtime | None = None
        self._failures = 0
        self._not_before = 0.0

    def look(self, read: Callable[[], Runtime]) -> None:
        """Read, and bring what is new into the connectors unless it was refused a moment ago."""
        try:
            found = read()
            if found == self._written:
                self._warn()
            elif found != self._refused or time.monotonic() >= self._not_before:
                self._rotate(found)
            else:
                return
        except (NeuralshelfError, TransportError) as fault:
            self._failures += 1
            said = str(fault) if isinstance(fault, NeuralshelfError) else f"the cluster refused: {reason(fault)}"
            self._say(f"not rotated: {said}; the connectors stay as they are")
        else:
            self._failures, self._refused = 0, None

    def pause(self, every: float) -> float:
        """Seconds to the next reading."""
        pauses = [every]
        if self._failures:
            pauses.append(URGENT_SECONDS * 2.0 ** min(self._failures - 1, 10))
        left = self._left()
        if left is not None:
            pauses.append(max(left - AHEAD.total_seconds(), URGENT_SECONDS))
        return min(pauses)

    def _rotate(self, found: Runtime) -> None:
        try:
            done = rotate(self._client, self._deployment, found, say=self._say)
        except ProvisionError as fault:
            # Somebody else's lock says nothing about these credentials.
            if not isinstance(fault, LockedError):
                again = found == self._refused
                self._refused, self._failures = found, self._failures if again else 0
                self._not_before = time.monotonic() + self._patience()
            raise
        self._written = found
        if done.connectors:
            self._tell(done)

    def _patience(self) -> float:
        """Seconds until credentials that were just refused are tried again; fewer when time runs out."""
        wait = min(URGENT_SECONDS * 2.0 ** min(self._failures, 10), PATIENT_SECONDS)
        left = self._left()
        return wait if left is None else min(wait, max(left / 4, URGENT_SECONDS))

    def _warn(self) -> None:
        left = self._left()
        if left is not None and left < AHEAD.total_seconds():
            ending = (
                "have expired" if left <= 0 else f"end in {left / 60:.0f} min" if left > 90 else f"end in {left:.0f} s"
            )
            self._say(f"the credentials in force {ending}, and there are no newer ones yet")

    def _left(self) -> float | None:
        if self._written is None or self._written.expires is None:
            return None
        return (self._written.expires - datetime.now(UTC)).total_seconds()


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; a second signal does what it does everywhere."""
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def asked(number: int, frame: FrameType | None) -> None:
        stop.set()
        restore()

    for number in before:
        signal.signal(number, asked)
    try:
        yield stop
    finally:
        restore()
