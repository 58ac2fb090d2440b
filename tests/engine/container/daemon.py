"""A docker daemon for the time of the tests, where none runs and we are root."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

PATIENCE_SECONDS = 60.0
# The fast storage driver needs overlayfs below /var/lib/docker; within another container only the slow one may do.
VARIANTS: tuple[list[str], ...] = ([], ["--storage-driver=vfs"])


class DaemonError(Exception):
    """There is no docker here; the message says why."""


@contextmanager
def docker_daemon() -> Iterator[None]:
    """Docker answers within; one that we started is stopped afterwards.

    Raises:
        DaemonError: none runs and none can be started.
    """
    if shutil.which("docker") is None:
        raise DaemonError("docker is not installed")
    if answers():
        yield
        return
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        raise DaemonError("no docker daemon runs, and starting one needs root and dockerd")
    with TemporaryDirectory(prefix="neuralshelf-dockerd-") as folder:
        daemon = _start(Path(folder) / "log")
        try:
            yield
        finally:
            daemon.terminate()
            daemon.wait(60)


def answers() -> bool:
    """Whether a daemon answers."""
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def _start(log: Path) -> "subprocess.Popen[bytes]":
    for variant in VARIANTS:
        with log.open("ab") as output:
            daemon = subprocess.Popen(["dockerd", *variant], stdout=output, stderr=output, start_new_session=True)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while daemon.poll() is None and time.monotonic() < deadline:
            if answers():
                return daemon
            time.sleep(0.5)
        daemon.terminate()
        daemon.wait()
    last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["no output"]
    raise DaemonError(f"dockerd does not start: {last[0]}")
