"""Query sets: what people ask for, by text, by picture, by both, or by something in a picture.

A file of JSON lines, a query each:

    {"id": "q1", "text": "red teapot"}
    {"id": "q2", "image": "photos/shoe.jpg"}                                   a path beside the file
    {"id": "q3", "image": "photos/shoe.jpg", "text": "in red"}
    {"id": "q4", "image": "photos/street.jpg", "box": [0.5, 0.7, 0.2, 0.3]}    centre and size, shares of the picture
    {"id": "q5", "text": "teapot", "filters": {"colour": ["red"], "price_max": 40}}

`filters` are parameters of the stored search template.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from neuralshelf.errors import InputError

Kind = Literal["text", "picture", "text+picture", "crop"]
Box = tuple[float, float, float, float]
_KEYS = {"id", "text", "image", "box", "filters"}


@dataclass(frozen=True)
class Query:
    """One question to the index; with text, picture or both.

    Attributes:
        box: of the picture, only what is inside is asked for: centre x, centre y, width, height, each 0 to 1.
        filters: parameters of the stored search template.
    """

    id: str
    text: str = ""
    image: Path | None = None
    box: Box | None = None
    filters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """By what it asks; a crop with a text is a crop."""
        if self.box is not None:
            return "crop"
        if self.image is not None:
            return "text+picture" if self.text else "picture"
        return "text"


def read_queries(path: Path) -> dict[str, Query]:
    """Id -> query, in the order of the file.

    Raises:
        InputError: the file or a line of it can't be used; says which line.
    """
    found: dict[str, Query] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(f"query set {path}: {fault}", hint="give a file of JSON lines, a query each") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            query = _query(json.loads(line), path.parent)
            if query.id in found:
                raise ValueError(f"id {query.id!r} is there twice")
        except ValueError as fault:
            raise InputError(f"{path}, line {number}: {fault}", hint="correct that line") from None
        found[query.id] = query
    if not found:
        raise InputError(f"query set {path} is empty", hint="give a file of JSON lines, a query each")
    return found


def _query(row: Any, folder: Path) -> Query:
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    if unknown := sorted(set(row) - _KEYS):
        raise ValueError(f"unknown key {unknown[0]!r}; there are {', '.join(sorted(_KEYS))}")
    texts = {key: row.get(key, "") for key in ("id", "text", "image")}
    for key, value in texts.items():
        if not isinstance(value, str):
            raise ValueError(f"{key} must be text")
    if not texts["id"]:
        raise ValueError("no id")
    if not texts["text"].strip() and not texts["image"]:
        raise ValueError("neither text nor image")
    box = row.get("box")
    if box is not None and not texts["image"]:
        raise ValueError("a box without an image")
    filters = row.get("filters", {})
    if not isinstance(filters, dict):
        raise ValueError("filters must be an object")
    image = folder / texts["image"] if texts["image"] else None
    return Query(texts["id"], texts["text"].strip(), image, None if box is None else _box(box), filters)


def _box(box: Any) -> Box:
    numbers = isinstance(box, list) and len(box) == 4 and all(type(n) in (int, float) and 0 <= n <= 1 for n in box)
    if not numbers or not box[2] or not box[3]:
        raise ValueError("box must be [centre x, centre y, width, height], each 0 to 1, the sizes above 0")
    return (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
