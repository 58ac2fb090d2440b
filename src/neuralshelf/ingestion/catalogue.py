"""A catalogue: rows of a file, each a product with its pictures, or a reason why it is none."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from neuralshelf.ingestion.rows.formats import FormatName, open_format
from neuralshelf.ingestion.rows.seen import Seen
from neuralshelf.ingestion.rows.values import checked, parsed, unicode
from neuralshelf.ingestion.sources.crops import named
from neuralshelf.ingestion.sources.pictures import Folder, Picture, Pictures
from neuralshelf.pipelines.spec import MAX_VIEWS, IndexSpec

MAX_ID_BYTES = 512  # OpenSearch's own limit
MAX_IGNORED = 100

_OWN = ("id", "image", "images")


@dataclass(frozen=True)
class Product:
    """One row of a catalogue.

    Attributes:
        line: number of the row: its line in JSON lines, its row in a spreadsheet (CSV), else counted from 1.
        id: the document's id.
        fields: the document's fields, validated against the index's, without pictures.
        pictures: its pictures and parts of pictures, none of them opened yet.
    """

    line: int
    id: str
    fields: Mapping[str, Any]
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class BadLine:
    """A row that is no product, with the reason.

    Attributes:
        id: what it says; None when that is none, or the id of an earlier row.
    """

    line: int
    id: str | None
    cause: str


def view_id(product: str, number: int) -> str:
    """Id of the document with a product's picture of that number, from 1: `ID`, `ID/2`, `ID/3`, …"""
    return product if number == 1 else f"{product}/{number}"


class Catalogue:
    """Reads a catalogue lazily: memory does not grow with the file. It can be read several times, one after another.

    Attributes:
        folder: the pictures' folder; the catalogue's when they are in no folder.
        ignored: columns of which the index has no field -> rows that had a value there, as far as they are read.
        views: the most pictures that a product may have.
    """

    def __init__(
        self,
        path: Path,
        index: IndexSpec,
        *,
        pictures: Pictures | None = None,
        format: FormatName | None = None,
    ) -> None:
        """
        Args:
            index: its fields, whether it takes pictures, and whether a product may have several.
            pictures: where they are; default: the catalogue's folder.
            format: default: as the suffix says.

        Raises:
            InputError: there is no such file, or it can't be read as that format.
            MissingDependencyError: Parquet without the extra `parquet`.
        """
        self._fields: Mapping[str, str] = index.fields
        self._pictured = bool(index.images)
        self._several = index.product is not None
        self.views = index.views
        own = {"id": "id"} | ({"image": "text", "images": "images"} if self._pictured else {})
        self._format = open_format(path, {**self._fields, **own}, name=format)
        self.path = path
        self.pictures = pictures or Folder(path.resolve().parent)
        self.folder = self.pictures.path if isinstance(self.pictures, Folder) else path.resolve().parent
        self.ignored: Counter[str] = Counter()

    def count(self) -> int:
        """Rows that `rows` gives, bad ones included. Reads the file once, except Parquet, which says so itself."""
        return self._format.count()

    def rows(self, start: int = 1) -> Iterator[Product | BadLine]:
        """Every row whose number is `start` or more, as a product or with the reason why it is none.

        Rows before that are read for their ids alone: an id that was there before is a bad line wherever one starts.

        Raises:
            InputError: the file can't be read on, or there is no room on disk for the ids.
        """
        self.ignored = Counter(dict.fromkeys(self._format.unread, self._format.count()) if self._format.unread else {})
        with Seen() as seen:
            for number, values in self._format.rows():
                row = self._row(number, values, seen, wanted=number >= start)
                if row is not None:
                    yield row

    def _row(
        self, number: int, values: Mapping[str, Any] | str, seen: Seen, *, wanted: bool
    ) -> Product | BadLine | None:
        if isinstance(values, str):
            return BadLine(number, None, values) if wanted else None
        try:
            identity = _identity(values.get("id"))
        except ValueError as fault:
            return BadLine(number, None, str(fault)) if wanted else None
        names: Sequence[str] = ()
        cause = ""
        try:
            names = self._names(values)
        except ValueError as fault:
            cause = str(fault)
        ids = [view_id(identity, view) for view in range(1, max(1, len(names)) + 1)]
        if (earlier := seen.claim(ids, number)) is not None:
            return BadLine(number, None, f"id {earlier[0]!r} was in row {earlier[1]} already") if wanted else None
        if not wanted:
            return None
        try:
            if cause or len(ids[-1].encode()) > MAX_ID_BYTES:
                raise ValueError(cause or f"id is too long: {len(ids)} images need one of {MAX_ID_BYTES - 4} bytes")
            pictures = tuple(named(self.pictures, name) for name in names)
            return Product(number, identity, self._checked(values), pictures)
        except ValueError as fault:
            return BadLine(number, identity, str(fault))

    def _checked(self, values: Mapping[str, Any]) -> dict[str, Any]:
        fields = {}
        for name, value in values.items():
            if name in _OWN and (self._pictured or name == "id"):
                continue
            if value is None or (self._format.text and value == ""):
                continue
            kind = self._fields.get(name)
            if kind is None:
                self._ignore(name)  # the mapping is closed: what the index has no field for is left out
                continue
            fields[name] = parsed(name, value, kind) if self._format.text else checked(name, value, kind)
        return fields

    def _names(self, values: Mapping[str, Any]) -> Sequence[str]:
        """What the row calls its pictures; in a cell of text a | stands between several."""
        if not self._pictured:
            return ()
        one, several = values.get("image"), values.get("images")
        if isinstance(several, str) and self._format.text:
            several = several.split("|")
        elif isinstance(several, str):
            several = [several]
        if several is not None and not isinstance(several, list):
            raise ValueError(f"images must be a list of paths, is {type(several).__name__}")
        for name in (one, *(several or ())):
            if name is not None and not isinstance(name, str):
                raise ValueError(f"image must be a path, is {type(name).__name__}")
        names = [name for name in several or () if name]
        if one and names:
            raise ValueError("give image or images, not both")
        if len(names) > 1 and not self._several:
            raise ValueError("several images: name a keyword field for the product's id under index.product")
        if len(names) > self.views:
            raise ValueError(f"{len(names)} images, index.views is {self.views}: raise it (up to {MAX_VIEWS}), apply")
        return names or ([one] if one else [])

    def _ignore(self, name: str) -> None:
        shown = ascii(name[:80])[1:-1] if not name.isprintable() else name[:80]
        self.ignored[shown if shown in self.ignored or len(self.ignored) < MAX_IGNORED else "…"] += 1


def _identity(value: Any) -> str:
    """An id as text; a whole number becomes its decimal digits."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if whole or (isinstance(value, Decimal) and value.is_finite() and value == int(value)):
        value = str(int(value))
    if not isinstance(value, str) or not 0 < len(unicode("id", value).encode()) <= MAX_ID_BYTES:
        raise ValueError(f"id must be a string of 1 to {MAX_ID_BYTES} bytes, or a whole number")
    return value
