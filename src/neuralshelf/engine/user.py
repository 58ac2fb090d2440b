"""The unprivileged user that the engine runs as: OpenSearch refuses to run as root."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from neuralshelf.errors import EngineError

UNPRIVILEGED_ID = 65534  # nobody; needs no entry in the user database


@dataclass(frozen=True)
class RunAs:
    """A numeric user and group to drop to; None stays who we are."""

    uid: int | None

    @classmethod
    def default(cls) -> "RunAs":
        """Root drops to nobody, anybody else stays."""
        return cls(UNPRIVILEGED_ID if os.geteuid() == 0 else None)

    def run(self, command: list[str], timeout: float = 30) -> "subprocess.CompletedProcess[str]":
        """Run a short command as that user; its output is captured, its status not checked."""
        drop = {} if self.uid is None else {"user": self.uid, "group": self.uid, "extra_groups": []}
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            command,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            **drop,
        )

    def can_enter(self, folder: Path) -> bool:
        """Whether that user reaches what lies in `folder`."""
        return self.run(["test", "-x", str(folder)]).returncode == 0

    def require_reach(self, folder: Path, variable: str) -> None:
        """Refuse a folder that the engine can't use.

        Raises:
            EngineError: a parent bars that user (as /root does), or the path can't stand in Java's options.
        """
        if any(character.isspace() or character == ":" for character in str(folder)):
            raise EngineError(
                f"{folder} has white space or a colon in it, which Java's options can't hold",
                hint=f"set {variable} to another folder",
            )
        if self.can_enter(folder):
            return
        barrier = next(part for part in (*reversed(folder.parents), folder) if not self.can_enter(part))
        raise EngineError(
            f"{barrier} can't be entered by user {self.uid}, which the engine runs as",
            hint=f"set {variable} to a folder below /var, or run as another user than root",
        )

    def own(self, folder: Path) -> None:
        """Give `folder` and all in it to that user, unless it is theirs already; links are not followed."""
        if self.uid is None or folder.stat().st_uid == self.uid:
            return
        for path in (folder, *folder.rglob("*")):
            if path.lstat().st_uid != self.uid:
                os.chown(path, self.uid, self.uid, follow_symlinks=False)


def make_readable(folder: Path) -> None:
    """Make `folder` and its parents so that another user can enter them, whatever our umask is."""
    if not folder.exists():
        make_readable(folder.parent)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
