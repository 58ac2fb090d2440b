"""Documents that did not get in, each with its cause, in a file beside the catalogue."""

import json
from pathlib import Path
from types import TracebackType
from typing import Self


class DeadLetters:
    """Writes `CATALOGUE.deadletters.jsonl`; the file exists only while there is something in it.

    A line: {"line": int, "id": str | null, "code": str, "cause": str, "attempts": int}. The document itself is not
    repeated: `line` and `id` name it in the catalogue, and a mended catalogue is simply ingested again.
    """

    def __init__(self, catalogue: Path) -> None:
        self.path = catalogue.with_name(catalogue.name + ".deadletters.jsonl")
        self.count = 0

    def __enter__(self) -> Self:
        self.path.unlink(missing_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def add(self, line: int, identity: str | None, code: str, cause: str, attempts: int) -> None:
        """Append one letter, at once on disk."""
        letter = {
            "line": line,
            "id": identity,
            "code": code,
            "cause": " ".join(cause.split())[:500],
            "attempts": attempts,
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(letter, ensure_ascii=False) + "\n")
        self.count += 1
