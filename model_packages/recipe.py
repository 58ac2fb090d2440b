"""How a model wants its input: a small JSON file beside the weights, which changes the defaults of a dataclass."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

FILE = "recipe.json"

T = TypeVar("T")


def read(folder: Path, of: type[T]) -> T:
    """The recipe in `folder`; without the file all defaults.

    Args:
        of: a dataclass of ints and floats, each with a default.

    Raises:
        ValueError: not a JSON object, an unknown key, or a value that is no positive number of the default's type; it
            names the file and the key.
    """
    path = folder / FILE
    if not path.exists():
        return of()
    try:
        given = json.loads(path.read_bytes())
    except ValueError:
        raise ValueError(f"{path}: not JSON") from None
    if not isinstance(given, dict):
        raise ValueError(f"{path}: not a JSON object")
    known: dict[str, Any] = {field.name: field.default for field in fields(of)}  # type: ignore[arg-type]
    for key, value in given.items():
        if key not in known:
            raise ValueError(f"{path}: unknown key {key!r}; known are {', '.join(known)}")
        taken = (int,) if isinstance(known[key], int) else (int, float)
        if type(value) not in taken or not 0 < value < float("inf"):
            raise ValueError(f"{path}: {key} must be a positive {'whole ' if taken == (int,) else ''}number")
    return of(**given)
