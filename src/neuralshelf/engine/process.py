"""A child process that does not outlive us, and what it said last."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from neuralshelf.engine.user import RunAs

_LAUNCH = Path(__file__).with_name("launch.py")
# What tells the cause, best first; Java prints causes after effects, so of each kind the last line.
_TELLING = (
    re.compile(r"OutOfMemoryError|insufficient memory|Could not reserve enough space|memory allocation .*failed", re.I),
    re.compile(r"^Caused by: |bootstrap check failure|BindException|failed to obtain node lock", re.I),
    re.compile(r"^(Error|Exception|fatal)\b|^Invalid |^Unrecognized |\[ERROR\]|Exception: ", re.I),
)
_TELLS_NOTHING = re.compile(r"^\s*at |Program will exit|Could not create the Java Virtual Machine")


class Child:
    """One process, started at once. Linux ends it when we end, however that happens.

    The kernel ties it to the thread that started it, so that thread is our own and stays until the child has ended.

    Args:
        keep: a file descriptor that the child keeps open: a lock that is held as long as either of us lives.

    Raises:
        OSError: it can't be started.
    """

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path, run_as: RunAs, keep: int
    ) -> None:
        self._log = log
        uid = -1 if run_as.uid is None else run_as.uid
        launch = [sys.executable, "-I", "-S", str(_LAUNCH), str(uid), str(os.getpid()), *command]
        started = threading.Event()
        fault: list[OSError] = []

        def own() -> None:
            try:
                with log.open("wb") as output:
                    self._process = subprocess.Popen(
                        launch,
                        env=dict(env),
                        cwd=cwd,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        pass_fds=(keep,),
                        start_new_session=True,  # Ctrl-C is for us; we end it in good order
                    )
            except OSError as problem:
                fault.append(problem)
                return
            finally:
                started.set()
            self._process.wait()

        self._owner = threading.Thread(target=own, name="engine-child", daemon=True)
        self._owner.start()
        started.wait()
        if fault:
            raise fault[0]

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Exit status, negative for a signal; None while it lives."""
        return self._process.poll()

    def stop(self, patience: float) -> None:
        """SIGTERM, after `patience` seconds SIGKILL, and wait for its end."""
        end(self._process, patience)
        self._owner.join()

    def last_words(self) -> str:
        """The line of its log that tells best why it ended."""
        return telling_line(self._log.read_text(encoding="utf-8", errors="replace"))


def end(process: subprocess.Popen[bytes], patience: float) -> None:
    """SIGTERM, after `patience` seconds SIGKILL, and wait; nothing for a process that has ended."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def telling_line(text: str) -> str:
    """The line of an engine's log that tells best why it ended; empty for an empty log."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not _TELLS_NOTHING.search(line)]
    for pattern in _TELLING:
        for line in reversed(lines):
            if pattern.search(line):
                return line
    return lines[-1] if lines else ""
