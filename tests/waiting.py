"""What tests wait for."""

import time
from collections.abc import Callable


def until(found: Callable[[], object], what: str = "waited in vain", seconds: float = 10) -> None:
    """Return as soon as `found`; fail with `what` after so many seconds."""
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, what
        time.sleep(0.01)
