"""Work that nobody waits for gives way to what somebody waits for, on the processor too."""

import os
import sys
import threading

NICER = 10
"""Such a thread gets a tenth of the share of one with ten less, when both want the processor (Linux, sched(7))."""

_NICEST = 19


def give_way() -> None:
    """Lower the priority of the calling thread for good; only Linux has one for each thread."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, min(_NICEST, os.getpriority(os.PRIO_PROCESS, thread) + NICER))
