"""Strict JSON: what two parsers could read differently is refused."""

import json
from typing import NoReturn

from neuralshelf.model_packages.server.refusals import InputRefused

_KINDS: dict[type, str] = {
    type(None): "Null",
    str: "String",
    bool: "Boolean",
    int: "Integer",
    float: "BigDecimal",
    list: "JSONArray",
    dict: "JSONObject",
}


def parse(body: bytes) -> object:
    """Read a request body.

    Refused besides what JSON forbids: a repeated key, NaN and Infinity, a byte order mark, other encodings than
    UTF-8, and nesting beyond Python's recursion limit.

    Raises:
        InputRefused: in Bedrock's words for a malformed body.
    """
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        detail = str(error) if isinstance(error, _RefusedError) else "not valid JSON"
        raise malformed(detail) from None


def malformed(detail: str) -> InputRefused:
    """Bedrock's sentence around one detail, which must not repeat the body."""
    return InputRefused(f"Malformed input request: {detail}, please reformat your input and try again.")


def kind(value: object) -> str:
    """The name Bedrock's schema messages give to a value's type."""
    return _KINDS[type(value)]


def json_object(value: object, where: str, known: tuple[str, ...]) -> dict[str, object]:
    """`value`, an object with no other keys than the known ones.

    Raises:
        InputRefused: it is none; `where` says which value.
    """
    if not isinstance(value, dict):
        raise malformed(f"{where}: expected type: JSONObject, found: {kind(value)}")
    if any(key not in known for key in value):
        raise malformed(f"{where}: extraneous key is not permitted, known are {list(known)}")
    return value


class _RefusedError(ValueError):
    """Valid for some parsers, refused here."""


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise _RefusedError("#: duplicate key")
    return keys


def _no_constant(name: str) -> NoReturn:
    raise _RefusedError(f"#: {name} is not JSON")
