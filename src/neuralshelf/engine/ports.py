"""Ports that are free, and the same ones again where possible."""

import socket
from contextlib import closing

from neuralshelf.errors import EngineError


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on `port` now."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        # As servers do: a connection of the last run that lingers is no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def choose_port(wanted: int | None, remembered: int | None, host: str = "127.0.0.1") -> int:
    """`wanted`, else the port of the last run if it is free, else any free one.

    Raises:
        EngineError: `wanted` is occupied.
    """
    if wanted is not None:
        if not is_free(wanted, host):
            raise EngineError(
                f"port {wanted} on {host} is occupied",
                hint="stop what listens there, or take http_port out of the config",
            )
        return wanted
    if remembered is not None and is_free(remembered, host):
        return remembered
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
