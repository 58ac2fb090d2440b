"""Files of JSON lines that are written in the order of a catalogue, so that a run that was stopped goes on."""

import json
import os
from pathlib import Path
from typing import BinaryIO

from neuralshelf.errors import InputError

_TAIL = 1 << 20


def last_id(file: BinaryIO, path: Path, holds: str) -> str | None:
    """The id of the last whole line, None without one; what an interrupted run left of a line after it is cut off.

    Args:
        holds: what lines are, for the message.

    Raises:
        InputError: the file holds something else.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - _TAIL))
    *whole, torn = file.read().split(b"\n")
    file.truncate(end - len(torn))
    if not whole:
        return None
    try:
        return str(json.loads(whole[-1])["id"])
    except (ValueError, TypeError, KeyError):
        raise InputError(f"{path} holds something else than {holds}", hint="give another file with --out") from None
