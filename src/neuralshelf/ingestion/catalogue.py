"""A catalogue file: JSON lines, one product each, with pictures as paths beside it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuralshelf.errors import InputError

MAX_LINE_BYTES = 1_000_000
MAX_ID_BYTES = 512  # OpenSearch's own limit


@dataclass(frozen=True)
class Product:
    """One line of a catalogue.

    Attributes:
        line: 1-based line number, for messages.
        id: the document's id.
        fields: the document's fields, validated against the index's, without the picture.
        picture: path of its picture, or None.
    """

    line: int
    id: str
    fields: Mapping[str, Any]
    picture: Path | None


@dataclass(frozen=True)
class BadLine:
    """A line that is no product, with the reason."""

    line: int
    id: str | None
    cause: str


class Catalogue:
    """Reads a catalogue lazily: memory does not grow with the file."""

    def __init__(self, path: Path, fields: Mapping[str, str]) -> None:
        """`fields`: name -> type (text, keyword, float, integer, boolean) of the index."""
        if not path.is_file():
            raise InputError(f"catalogue {path} does not exist", hint="give the path of a .jsonl file")
        self.path = path
        self.folder = path.resolve().parent
        self._fields = fields

    def __len__(self) -> int:
        """Non-empty lines."""
        with self.path.open("rb") as file:
            return sum(1 for line in file if line.strip())

    def __iter__(self) -> Iterator[Product | BadLine]:
        """Every non-empty line, as a product or with the reason why it is none. A repeated id is a bad line."""
        seen: set[str] = set()
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                row = self._parse(number, line)
                if isinstance(row, Product):
                    if row.id in seen:
                        row = BadLine(number, row.id, f"id {row.id!r} was on an earlier line already")
                    else:
                        seen.add(row.id)
                yield row

    def _parse(self, number: int, line: bytes) -> Product | BadLine:
        if len(line) > MAX_LINE_BYTES:
            return BadLine(number, None, f"line of {len(line)} bytes, the limit is {MAX_LINE_BYTES}")
        try:
            row = json.loads(line, parse_constant=_no_constant)
        except (ValueError, RecursionError) as fault:
            return BadLine(number, None, f"not JSON: {fault}")
        if not isinstance(row, dict):
            return BadLine(number, None, "not a JSON object")
        identity = row.get("id")
        if not isinstance(identity, str) or not identity or len(identity.encode("utf-8", "replace")) > MAX_ID_BYTES:
            return BadLine(number, None, f"id must be a string of 1 to {MAX_ID_BYTES} bytes")
        try:
            fields = self._checked(row)
            return Product(number, identity, fields, self._picture(row.get("image")))
        except ValueError as fault:
            return BadLine(number, identity, str(fault))

    def _checked(self, row: Mapping[str, Any]) -> dict[str, Any]:
        fields = {}
        for name, value in row.items():
            if name in ("id", "image") or value is None:
                continue
            kind = self._fields.get(name)
            if kind is None:
                continue  # the mapping is closed: what the index has no field for is left out
            if not isinstance(value, _PYTHON_TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
                raise ValueError(f"{name} must be {kind}, is {type(value).__name__}")
            if isinstance(value, str) and not _is_unicode(value):
                raise ValueError(f"{name} holds a lone surrogate, which is not Unicode text")
            fields[name] = value
        return fields

    def _picture(self, value: Any) -> Path | None:
        """A path below the catalogue's folder: a catalogue never makes us read elsewhere, or fetch anything."""
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise ValueError(f"image must be a path, is {type(value).__name__}")
        if "://" in value:
            raise ValueError(f"image {value[:80]!r} is an address; only files beside the catalogue are read")
        if "\0" in value:
            raise ValueError("image holds a NUL character")
        path = (self.folder / value).resolve()
        if not path.is_relative_to(self.folder):
            raise ValueError(f"image {value[:80]!r} is outside the catalogue's folder")
        return path


_PYTHON_TYPES: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "keyword": (str,),
    "float": (int, float),
    "integer": (int,),
    "boolean": (bool,),
}


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
