"""Child processes that never outlive us, and free ports."""

import ctypes
import signal
import socket
import sys
from contextlib import closing

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """For `preexec_fn`: the kernel ends the child when its parent ends, however that happens (Linux; else a no-op)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on `port` now."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def choose_port(remembered: int | None, host: str = "127.0.0.1") -> int:
    """The port of the last run if it is free, else any free one: connectors hold it, so keeping it saves a change."""
    if remembered is not None and is_free(remembered, host):
        return remembered
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
