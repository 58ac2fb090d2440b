"""What a model package says about itself: its `package.json`.

    {"name": "clip", "framework": {"pytorch": "2.6", "python": "3.12"}, "sources": ["encoder.py"],
     "weights": [{"name": "RN50", "files": [{"file": "model.safetensors", "sha256": "…", "bytes": 1234}],
                  "from": "where they are published", "licence": "MIT"}]}

`sources` are files below `model_packages/` that go along, so that the code in the container is the code that runs here.
`weights` are alternatives; an archive holds the files of one of them.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

FILE = "package.json"
MAX_BYTES = 1_000_000
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
T = TypeVar("T")


class PackageError(Exception):
    """A package, its weights or its archive can't be used; `hint` is the next step. Both are one line."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = " ".join(message.split())
        self.hint = hint
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}; next: {self.hint}" if self.hint else self.message


@dataclass(frozen=True)
class WeightFile:
    """One published file: its path in the archive, its SHA-256 in hex and its size."""

    file: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Weights:
    """Weights that fit the package. Without `files` only a lock says which bytes they are."""

    name: str
    files: tuple[WeightFile, ...]
    source: str
    licence: str


@dataclass(frozen=True)
class Manifest:
    """A package.json that was read and found in order."""

    name: str
    framework: Mapping[str, str]
    sources: tuple[str, ...]
    weights: tuple[Weights, ...]

    @classmethod
    def read(cls, package: Path) -> "Manifest":
        """The manifest of the folder `package`.

        Raises:
            PackageError: no such file, not JSON, or a key is missing, unknown, repeated or wrong; names file and key.
        """
        path = package / FILE
        try:
            return _manifest(_load(path))
        except OSError as fault:
            raise PackageError(f"{path}: can't be read ({fault.strerror})", hint="name a model package") from None
        except (ValueError, RecursionError) as fault:
            raise PackageError(f"{path}: {fault}", hint="correct it; docs/packages.md shows one") from None


def safe_name(name: str) -> bool:
    """Whether `name` is a relative path that means one file everywhere: ASCII, no `.`, `..`, hidden or odd parts."""
    return len(name) <= 255 and all(_PART.fullmatch(part) for part in name.split("/"))


def is_sha256(text: object) -> bool:
    """Whether it is a SHA-256 in lower-case hex."""
    return isinstance(text, str) and _SHA256.fullmatch(text) is not None


def object_without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """For json.loads: a key that comes twice is an error. Raises: ValueError."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a key comes twice in {{{', '.join(sorted(found))}}}"[:200])
    return found


def _load(path: Path) -> object:
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"over {MAX_BYTES} bytes")
    return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=object_without_repeats)


def _manifest(given: object) -> Manifest:
    keys = _keys(given, "#", "name", "framework", "sources", "weights")
    name = _text(keys["name"], "name")
    if not _NAME.fullmatch(name):
        raise ValueError(f"name: {name[:50]!r} is not a name such as clip or grounding_dino")
    framework = keys["framework"]
    if not isinstance(framework, dict):
        raise ValueError("framework: expected an object such as {'pytorch': '2.6', 'python': '3.12'}")
    versions = {key: _text(value, f"framework.{key}") for key, value in framework.items()}
    sources = _list(keys["sources"], "sources", _path)
    weights = _list(keys["weights"], "weights", _weights)
    _distinct([entry.name for entry in weights], "weights")
    return Manifest(name, versions, sources, weights)


def _weights(given: object, where: str) -> Weights:
    keys = _keys(given, where, "name", "files", "from", "licence")
    files = _list(keys["files"], f"{where}.files", _file)
    _distinct([file.file for file in files], f"{where}.files")
    name, source, licence = (_text(keys[key], f"{where}.{key}") for key in ("name", "from", "licence"))
    return Weights(name, files, source, licence)


def _file(given: object, where: str) -> WeightFile:
    keys = _keys(given, where, "file", "sha256", "bytes")
    size = keys["bytes"]
    if type(size) is not int or size < 1:
        raise ValueError(f"{where}.bytes: expected a number of bytes")
    if not is_sha256(keys["sha256"]):
        raise ValueError(f"{where}.sha256: expected 64 hex digits in lower case")
    return WeightFile(_path(keys["file"], f"{where}.file"), str(keys["sha256"]), size)


def _keys(given: object, where: str, *names: str) -> Mapping[str, object]:
    if not isinstance(given, dict):
        raise ValueError(f"{where}: expected an object")
    if missing := [name for name in names if name not in given]:
        raise ValueError(f"{where}: {missing[0]} is missing")
    if unknown := sorted(set(given) - set(names)):
        raise ValueError(f"{where}: {unknown[0][:50]!r} is no key here; known are {', '.join(names)}")
    return given


def _list(given: object, where: str, read: Callable[[object, str], T]) -> tuple[T, ...]:
    if not isinstance(given, list):
        raise ValueError(f"{where}: expected a list")
    return tuple(read(entry, f"{where}[{place}]") for place, entry in enumerate(given))


def _text(given: object, where: str) -> str:
    if not isinstance(given, str) or not given.strip():
        raise ValueError(f"{where}: expected a text")
    return given


def _path(given: object, where: str) -> str:
    path = _text(given, where)
    if not safe_name(path) or str(PurePosixPath(path)) != path:
        raise ValueError(f"{where}: {path[:80]!r} is not a plain relative path")
    return path


def _distinct(names: list[str], where: str) -> None:
    if len({name.casefold() for name in names}) < len(names):
        raise ValueError(f"{where}: a name comes twice")
