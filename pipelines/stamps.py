"""What a vector was made from, kept beside it in the field `VECTOR_from`: by whose models, and a hash of the input.

Whoever reads a document can so tell a vector that no longer fits its text, or that came from another generation of the
index or from another deployment. The ingest pipeline writes stamps (templates/pipelines/prepare.painless.j2) and leaves
a vector alone whose stamp fits; this is the same computation here.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

# What Java's Character.isWhitespace says yes to: no-break spaces are none, the four separators of ASCII are.
_WHITE = "".join(
    map(chr, (*range(0x09, 0x0E), *range(0x1C, 0x21), 0x1680, *range(0x2000, 0x2007), *range(0x2008, 0x200B)))
) + "".join(map(chr, (0x2028, 0x2029, 0x205F, 0x3000)))


def stamp_field(vector: str) -> str:
    """Name of the field that says what `vector` was made from."""
    return f"{vector}_from"


def picture_field(vector: str) -> str:
    """Name of the field with the `digest` of the picture in `vector`, for vectors of text and picture together."""
    return f"{vector}_picture"


def digest(content: str) -> str:
    """32 hex digits of the SHA-256 of `content` in UTF-8."""
    # A lone surrogate becomes a question mark, as it does in Java.
    return hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()[:32]


def stamp(generation: str, content: str) -> str:
    """`PREFIX-vN HASH`.

    Args:
        generation: `Deployment.generation`, under which the models that made the vector are known.
        content: the text as the model gets it, or the picture as base64; of both, see `together`.
    """
    return f"{generation} {digest(content)}"


def restamped(stamp: str, old: str, new: str) -> str:
    """A stamp of generation `old` as `new` would have made it of the same input; any other stamp unchanged."""
    generation, _, made_from = stamp.rpartition(" ")
    return f"{new} {made_from}" if generation == old else stamp


def together(text: str, picture: str | None) -> str:
    """What to stamp for a vector of text and picture together.

    Args:
        picture: the `digest` of its base64; None without a picture.
    """
    return text if picture is None else f"{picture} {text}"


def joined(document: Mapping[str, Any], fields: Iterable[str]) -> str:
    """The text of a vector: the fields without surrounding white space, joined by a space; empty ones are left out."""
    return " ".join(part for field in fields for part in _parts(document.get(field)))


def _parts(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _parts(item)
    elif value is not None and (part := _text(value).strip(_WHITE)):
        yield part


def _text(value: Any) -> str:
    """As Java writes the values of JSON."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return _double(value)
    return str(value)


def _double(value: float) -> str:
    digits = repr(value)
    if 1e-3 <= abs(value) < 1e7 or value == 0:
        return digits
    shortest = next(text for places in range(1, 18) if float(text := f"{value:.{places}e}") == value)
    mantissa, _, exponent = shortest.partition("e")
    return f"{mantissa}E{int(exponent)}"
