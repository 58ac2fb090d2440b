"""Logs of what people did: rows of JSON lines or of CSV, with their line numbers."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from neuralshelf.errors import InputError


def rows(path: Path, what: str, hint: str) -> Iterator[tuple[int, Any]]:
    """Line number and content of each row; of CSV an object of texts without the empty ones.

    A row as a search exports it, `{"_source": {…}}`, counts as what is in it.

    Args:
        what: the file is, for messages, such as "click log".
        hint: what rows should look like.

    Raises:
        InputError: the file can't be read, or is neither.
    """
    try:
        if path.suffix.lower() == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                for row in (reader := csv.DictReader(file, strict=True)):
                    yield reader.line_num, {key: value for key, value in row.items() if value not in (None, "")}
            return
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    row = json.loads(line)
                    yield number, row.get("_source", row) if isinstance(row, dict) else row
    except OSError as fault:
        raise InputError(f"{what} {path}: {fault.strerror}", hint="give a file of JSON lines or CSV") from None
    except (ValueError, csv.Error) as fault:
        raise InputError(f"{what} {path}: {fault}", hint=hint) from None
