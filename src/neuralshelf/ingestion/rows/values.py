"""Values of a row as the index's fields take them: numbers that are numbers, text that is Unicode."""

import math
import re
from decimal import Decimal
from typing import Any

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_LARGEST_FLOAT = 3.4028234663852886e38  # OpenSearch's float has 32 bits, its integer too
_LARGEST_INTEGER = 2**31
_BOOLEANS = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}


def checked(name: str, value: Any, kind: str) -> Any:
    """`value` as a field of OpenSearch type `kind` takes it.

    Raises:
        ValueError: it is of another type, not finite, too large for the field, or not Unicode text.
    """
    if kind in ("text", "keyword"):
        if not isinstance(value, str):
            raise ValueError(f"{name} must be {kind}, is {_type(value)}")
        return unicode(name, value)
    if kind == "boolean":
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be boolean, is {_type(value)}")
        return value
    if isinstance(value, Decimal):
        value = float(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"{name} must be {kind}, is {_type(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} is {value}, which is no number; leave it out instead")
    if kind == "float":
        if not -_LARGEST_FLOAT <= value <= _LARGEST_FLOAT:
            raise ValueError(f"{name} is too large for a float of 32 bits")
        return value
    if value != int(value):
        raise ValueError(f"{name} must be integer, is {value}")
    if not -_LARGEST_INTEGER <= value < _LARGEST_INTEGER:
        raise ValueError(f"{name} is too large for an integer of 32 bits")
    return int(value)


def parsed(name: str, cell: str, kind: str) -> Any:
    """What the text of a CSV cell means in a field of type `kind`, checked.

    Raises:
        ValueError: it means nothing there.
    """
    if kind in ("text", "keyword"):
        return unicode(name, cell)
    word = cell.strip()
    if kind == "boolean":
        if word.lower() not in _BOOLEANS:
            raise ValueError(f"{name} must be true or false, is {_shown(cell)}")
        return _BOOLEANS[word.lower()]
    if not _NUMBER.fullmatch(word):
        raise ValueError(f"{name} must be a number such as 3 or 3.5, is {_shown(cell)}")
    return checked(name, float(word), kind)


def unicode(name: str, text: str) -> str:
    """`text` itself.

    Raises:
        ValueError: it holds a lone surrogate, which is how bytes that are not UTF-8 are read.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"{name} holds bytes that are not UTF-8, or a lone surrogate") from None
    return text


def _type(value: Any) -> str:
    return type(value).__name__


def _shown(cell: str) -> str:
    return ascii(cell[:40])
