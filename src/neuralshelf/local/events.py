"""The line protocol between the supervisor and the command that started it: JSON lines on the supervisor's stdout."""

import json
import sys
from typing import Any


def emit(**event: Any) -> None:
    """Send one event; without effect once the command that listened has gone."""
    try:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        pass


def progress(step: str, done: int, total: int | None) -> None:
    """Emit how far a step is: `done` of `total` units (None: unknown)."""
    emit(event="progress", step=step, done=done, total=total)
