"""A catalogue file: JSON lines, one product each, with pictures as paths beside it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuralshelf.errors import InputError
from neuralshelf.ingestion.pictures import Folder, Picture, PictureFile, Pictures
from neuralshelf.pipelines.spec import IndexSpec

MAX_LINE_BYTES = 1_000_000
MAX_ID_BYTES = 512  # OpenSearch's own limit


@dataclass(frozen=True)
class Product:
    """One line of a catalogue.

    Attributes:
        line: 1-based line number, for messages.
        id: the document's id.
        fields: the document's fields, validated against the index's, without the picture.
        pictures: its pictures, none of them opened yet.
    """

    line: int
    id: str
    fields: Mapping[str, Any]
    pictures: tuple[Picture, ...]

    @property
    def picture(self) -> Path | None:
        """Path of its first picture, when that is a file."""
        first = self.pictures[0] if self.pictures else None
        return first.path if isinstance(first, PictureFile) else None


@dataclass(frozen=True)
class BadLine:
    """A line that is no product, with the reason."""

    line: int
    id: str | None
    cause: str


class Catalogue:
    """Reads a catalogue lazily: memory does not grow with the file."""

    def __init__(self, path: Path, index: IndexSpec | Mapping[str, str], *, pictures: Pictures | None = None) -> None:
        """
        Args:
            index: what its fields are, and whether a product may have several pictures.
            pictures: where its pictures are; default: the catalogue's folder.

        Raises:
            InputError: there is no such file.
        """
        if not path.is_file():
            raise InputError(f"catalogue {path} does not exist", hint="give the path of a .jsonl file")
        self.path = path
        self.folder = path.resolve().parent
        self.pictures = pictures or Folder(self.folder)
        self._fields: Mapping[str, str] = index.fields if isinstance(index, IndexSpec) else index
        self._several = isinstance(index, IndexSpec) and index.product is not None

    def count(self) -> int:
        """Rows, bad ones included."""
        with self.path.open("rb") as file:
            return sum(1 for line in file if line.strip())

    __len__ = count

    def __iter__(self) -> Iterator[Product | BadLine]:
        return self.rows()

    def rows(self, start: int = 1) -> Iterator[Product | BadLine]:
        """Every row from row `start`, as a product or with the reason why it is none. A repeated id is a bad line."""
        for row in self._rows():
            if row.line >= start:
                yield row

    def _rows(self) -> Iterator[Product | BadLine]:
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
            return Product(number, identity, fields, self._pictures(row))
        except ValueError as fault:
            return BadLine(number, identity, str(fault))

    def _checked(self, row: Mapping[str, Any]) -> dict[str, Any]:
        fields = {}
        for name, value in row.items():
            if name in ("id", "image", "images") or value is None:
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

    def _pictures(self, row: Mapping[str, Any]) -> tuple[Picture, ...]:
        one, several = row.get("image"), row.get("images")
        if several is not None and not isinstance(several, list):
            raise ValueError(f"images must be a list of paths, is {type(several).__name__}")
        if one is not None and several:
            raise ValueError("give image or images, not both")
        names = several or ([] if one is None or one == "" else [one])
        for name in names:
            if not isinstance(name, str):
                raise ValueError(f"image must be a path, is {type(name).__name__}")
        if len(names) > 1 and not self._several:
            raise ValueError("several images: name a keyword field for the product's id under index.product")
        return tuple(self.pictures.picture(name) for name in names)


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
