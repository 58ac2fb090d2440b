"""Locks between processes that the kernel lets go of however their holder ends."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def try_lock(path: Path) -> IO[bytes] | None:
    """Hold `path` until the returned file is closed here and in every process that inherited it; None: held already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


@contextmanager
def lock(path: Path, waiting: Callable[[int], None], pause: float = 0.5) -> Iterator[None]:
    """Hold `path`; while another process does, tell `waiting` every `pause` seconds for how many seconds we wait."""
    begun = time.monotonic()
    while (file := try_lock(path)) is None:
        waiting(int(time.monotonic() - begun))
        time.sleep(pause)
    with file:
        yield
