"""A dead letter: one document or row that did not get in, and what is needed to try again."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from neuralshelf.errors import one_line

Json = Any

CAUSE_CHARACTERS = 500
NAME_CHARACTERS = 500
ID_CHARACTERS = 512
MOST_PICTURES = 50
DOCUMENT_BYTES = 1_000_000
MOST_LEVELS = 100

_LOGIN = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s@]+@", re.IGNORECASE)
_SIGNED = re.compile(
    r"([?&;][\w.%-]*(?:signature|credential|token|secret|password|key|sig)[\w.%-]*=)[^&\s\"'<>]+", re.IGNORECASE
)
_AWS_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")
_RUN = re.compile(r"[A-Za-z0-9+/\\]{40,}={0,2}")  # a backslash: JSON may escape the slashes of base64


@dataclass(frozen=True)
class Fence:
    """What the searchable index held under a document's id: a replay must not overwrite anything newer.

    Attributes:
        index: behind the alias at that time.
        seq_no, primary_term: of the document there; None when there was none.
    """

    index: str
    seq_no: int | None = None
    primary_term: int | None = None

    @property
    def absent(self) -> bool:
        """There was no document of that id."""
        return self.seq_no is None


@dataclass(frozen=True)
class Letter:
    """Why one document, or one row, is not in the index.

    Attributes:
        document_id: None for a row in which no id could be read; then `source` and `line` tell it.
        code: stable class of the cause: of a picture, `BadLine`, or the engine's or the model's own.
        cause: in words.
        attempts: how often it was sent, all runs together.
        source: the catalogue, as it was named.
        line: row of the catalogue, 1-based.
        document: its fields without pictures; None when it was not read, or not kept.
        pictures: their names, for people: nothing is ever read from there.
        left_out: why `document` is not kept though there was one.
        fence: None when that is not known.
        first, last: when it failed, UTC; None before it is written.
    """

    document_id: str | None
    code: str
    cause: str
    attempts: int = 0
    source: str = ""
    line: int | None = None
    document: Mapping[str, Any] | None = None
    pictures: tuple[str, ...] = ()
    left_out: str = ""
    fence: Fence | None = None
    first: datetime | None = None
    last: datetime | None = None

    @property
    def key(self) -> str:
        """`_id` of the letter: the same for the same document, so that a second run doubles nothing."""
        return key_of_id(self.document_id) if self.document_id is not None else key_of_row(self.source, self.line)

    @property
    def replayable(self) -> bool:
        """All that the document is made of is in the letter."""
        return self.document_id is not None and self.document is not None and not self.pictures

    @property
    def name(self) -> str:
        """For people: the document's id, or `SOURCE:LINE`."""
        return self.document_id if self.document_id is not None else f"{self.source}:{self.line}"

    def kept(self, now: datetime, fence: Fence | None) -> Json:
        """As the index keeps it: bounded, without secrets, without bytes of pictures."""
        identity, (document, left_out) = self.document_id, _kept_document(self.document)
        if identity is not None and (len(identity) > ID_CHARACTERS or not _is_unicode(identity)):
            identity, document, left_out = _short(identity), None, "OpenSearch takes no such id"
        return {
            "key": self.key,
            "document_id": identity,
            "code": _short(self.code),
            "cause": clean(self.cause),
            "attempts": self.attempts,
            "first": now.isoformat(),
            "last": now.isoformat(),
            "source": _short(self.source),
            "line": self.line,
            "pictures": [clean(name, NAME_CHARACTERS) for name in self.pictures[:MOST_PICTURES]],
            "document": document,
            "left_out": left_out or self.left_out,
            "fence": vars(fence) if fence else None,
        }

    @classmethod
    def read(cls, kept: Json) -> "Letter":
        """What `kept` gave, whole or without its document."""
        fence = kept.get("fence")
        return cls(
            document_id=kept.get("document_id"),
            code=kept["code"],
            cause=kept["cause"],
            attempts=kept["attempts"],
            source=kept.get("source") or "",
            line=kept.get("line"),
            document=kept.get("document"),
            pictures=tuple(kept.get("pictures") or ()),
            left_out=kept.get("left_out") or "",
            fence=Fence(**fence) if fence else None,
            first=datetime.fromisoformat(kept["first"]),
            last=datetime.fromisoformat(kept["last"]),
        )

    def as_dict(self) -> dict[str, Json]:
        """For `--json`."""
        return {
            "id": self.document_id,
            "code": self.code,
            "cause": self.cause,
            "attempts": self.attempts,
            "first": self.first.isoformat() if self.first else None,
            "last": self.last.isoformat() if self.last else None,
            "source": self.source,
            "line": self.line,
            "pictures": list(self.pictures),
            "document": self.document,
            "left_out": self.left_out,
        }


def key_of_id(document_id: str) -> str:
    """`_id` of a document's letter."""
    return _digest("id", document_id)


def key_of_row(source: str, line: int | None) -> str:
    """`_id` of the letter of a row without an id."""
    return _digest("row", source, str(line))


def keys_of(name: str) -> list[str]:
    """`_id`s of what a person means by `name`: a document's id, or `SOURCE:LINE` of a row without one."""
    source, _, line = name.rpartition(":")
    found = [key_of_id(name)]
    return [*found, key_of_row(source, int(line))] if source and line.isdecimal() else found


def clean(text: str, limit: int = CAUSE_CHARACTERS) -> str:
    """One line at most `limit` long, without logins, signatures and keys, and without bytes of pictures.

    Engines, proxies and models repeat what they were sent. A run of 40 characters of base64 goes, whatever it is; a
    path in small letters stays.
    """
    text = " ".join(_printable(text[: 50 * limit]).split())
    text = _RUN.sub(lambda run: run[0] if _is_path(run[0]) else f"[{len(run[0])} characters]", text)
    text = _LOGIN.sub(r"\1***@", _SIGNED.sub(r"\1***", _AWS_KEY.sub("***", text)))
    return one_line(text, limit)


def utc_now() -> datetime:
    """To the millisecond, as the index sorts."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _kept_document(document: Mapping[str, Any] | None) -> tuple[Mapping[str, Any] | None, str]:
    """The document if it can be kept, and else why it can't."""
    if document is None:
        return None, ""
    try:
        size = len(json.dumps(document, ensure_ascii=False, allow_nan=False).encode())
    except (ValueError, TypeError, RecursionError):  # lone surrogates and NaN are ValueErrors
        return None, "OpenSearch takes no such JSON"
    if _deeper(document, MOST_LEVELS):
        return None, f"it has more than {MOST_LEVELS} levels"
    if size > DOCUMENT_BYTES:
        return None, f"it is larger than {DOCUMENT_BYTES:,} bytes"
    return document, ""


def _short(text: str) -> str:
    text = " ".join(_printable(text).split())
    return text if len(text) <= NAME_CHARACTERS else text[: NAME_CHARACTERS - 1] + "…"


def _printable(text: str) -> str:
    """Without lone surrogates, which no JSON of OpenSearch may hold, and without control characters."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(character if character.isprintable() or character.isspace() else "?" for character in text)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _deeper(value: Json, levels: int) -> bool:
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return levels < 0 or any(_deeper(item, levels - 1) for item in inside)


def _is_path(run: str) -> bool:
    return "/" in run and run == run.lower() and max(map(len, run.split("/"))) < 40


def _digest(*parts: str) -> str:
    text = json.dumps(parts)  # escapes what UTF-8 can't take
    return hashlib.sha256(text.encode()).hexdigest()[:32]
