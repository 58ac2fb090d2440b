"""Run as a script in a fresh interpreter: drop to the engine's user, tie our life to the parent's, exec.

    launch.py UID PARENT_PID PROGRAM [ARGUMENT …]        UID -1: stay who we are

The order matters: the kernel forgets the parent's death signal when the user changes. A fresh interpreter instead of
`preexec_fn`, since that runs Python between fork and exec, which may deadlock in a process with threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(words: list[str]) -> None:
    """Become `words[2:]`."""
    uid, parent, command = int(words[0]), int(words[1]), words[2:]
    if uid >= 0:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before we could tie ourselves to it
        raise SystemExit(1)
    os.execv(command[0], command)  # noqa: S606 - a shell is what this avoids


if __name__ == "__main__":
    main(sys.argv[1:])
