"""Who writes to a deployment, and whether that process surely ended."""

import getpass
import hashlib
import os
import secrets
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ConfigDict, Field

from neuralshelf.frozen import Frozen

_PRINTABLE = r"^[^\x00-\x1f\x7f]{1,255}$"


class Holder(Frozen):
    """Who holds a lock.

    Attributes:
        id: by which `unlock` names this very lock.
        verb: what the holder does, such as `apply`.
        since: when it was taken, by the holder's clock.
        machine: digest of host name, boot and process namespace; "" where these can't be told.
        started: the process's start in clock ticks since boot, which tells it from a later one with the same pid.
    """

    # a later version may write more than this one reads
    model_config = ConfigDict(extra="ignore")

    id: str = Field(pattern=r"^[A-Za-z0-9_-]{4,64}$")
    user: str = Field(pattern=_PRINTABLE)
    host: str = Field(pattern=_PRINTABLE)
    pid: int = Field(ge=0, lt=2**31)
    verb: str = Field(pattern=_PRINTABLE)
    since: datetime
    machine: str
    started: int

    @classmethod
    def here(cls, verb: str) -> "Holder":
        """This process, with a new id."""
        started = _started(os.getpid())
        return cls(
            id=secrets.token_hex(4),
            user=_user(),
            host=socket.gethostname(),
            pid=os.getpid(),
            verb=verb,
            since=datetime.now(UTC),
            machine=_machine() if started else "",
            started=started or 0,
        )

    def is_dead(self) -> bool:
        """Whether this process surely ended: only a process of this same machine can be judged."""
        if not self.machine or self.machine != _machine():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:  # it belongs to another user
            pass
        started = _started(self.pid)
        return started is not None and started != self.started

    def __str__(self) -> str:
        age = datetime.now(UTC) - self.since
        return f"{self.user}@{self.host} ({self.verb}, pid {self.pid}), {_age(age)}, id {self.id}"


def _age(age: timedelta) -> str:
    seconds = age.total_seconds()
    if seconds < 0:
        return "taken by a clock that differs from this one"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"for {seconds / size:.0f} {unit}"
    return f"for {seconds:.0f} s"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return ""
    return hashlib.sha256(f"{socket.gethostname()}\0{boot}\0{namespace}".encode()).hexdigest()[:16]


def _started(pid: int) -> int | None:
    """Start time of a live process; None when it can't be told; 0 for one that ended and is not yet reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return 0 if fields[0] in "ZX" else int(fields[19])
