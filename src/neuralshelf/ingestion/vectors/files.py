"""Files of vectors that were made in bulk: each line says whose it is, so the order of lines means nothing.

    {"id": "teapot-00", "image_vector": [0.1, …], "image_vector_from": "v1 9f86d081…"}         as `embed` writes them
    {"id": "teapot-00", "vector": "image_vector", "SageMakerOutput": {"embedding": [0.1, …]}}    batch transform

A vector is a list of numbers, or the base64 of little-endian float32. A line of the first kind may hold several. The
second kind is what SageMaker writes for requests of `backfill --requests` (`DataProcessing.JoinSource: Input`).
"""

import base64
import binascii
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from neuralshelf.errors import InputError
from neuralshelf.ingestion.catalogue import MAX_ID_BYTES
from neuralshelf.pipelines.stamps import stamp_field

MAX_LINE_BYTES = 32 * 1024 * 1024  # with a picture of 6 MB in it, as a job without OutputFilter gives
ID, VECTOR, MADE_FROM, OUTPUT = "id", "vector", "from", "SageMakerOutput"
"""Keys of a line of batch transform."""

_SUFFIXES = (".jsonl", ".out", ".jsonl.gz", ".out.gz")
_HOPELESS = 100  # unusable lines at the beginning of a file: it is something else
_STORED = np.dtype("<f4")
_HOW_TO_KEY = "run the job with JoinSource Input, on what neuralshelf backfill CATALOGUE --requests DIR writes"


@dataclass(frozen=True, eq=False)
class Given:
    """One vector of one document.

    Attributes:
        line: 1-based.
        vector: float32, shape (dimension,), finite, not zero, as the model gave it.
        made_from: the stamp of what it was made from, when the line tells.
    """

    file: str
    line: int
    id: str
    field: str
    vector: NDArray[np.float32]
    made_from: str | None = None


@dataclass(frozen=True)
class Faulty:
    """A line, or a vector in it, that can't be used.

    Attributes:
        id, field: None when the line does not tell.
        code: BadVectorLine, WrongDimension, NotFinite, ZeroVector or ModelError.
    """

    file: str
    line: int
    id: str | None
    field: str | None
    code: str
    cause: str


class _Unusable(Exception):
    def __init__(self, cause: str, code: str = "BadVectorLine") -> None:
        super().__init__(cause)
        self.code = code


class _Keyless(_Unusable):
    """The line is in order, and does not say whose it is."""


class VectorFiles:
    """Reads vectors lazily: memory does not grow with the files."""

    def __init__(self, paths: Sequence[Path], dimensions: Mapping[str, int], field: str | None = None) -> None:
        """
        Args:
            paths: files, or folders of them (.jsonl, .out, each also as .gz); gzip is told by its first bytes.
            dimensions: vector field of the index -> length.
            field: whose the vectors of batch transform are when their lines don't say it.

        Raises:
            InputError: nothing there, or `field` is no vector field.
        """
        if field is not None and field not in dimensions:
            raise InputError(f"the index has no vector {field!r}", hint=f"choose one of {', '.join(dimensions)}")
        self._dimensions = dimensions
        self._field = field or (next(iter(dimensions)) if len(dimensions) == 1 else None)
        self.files = [file for path in paths for file in _files(path)]
        self.bytes = sum(file.stat().st_size for file in self.files)

    def __iter__(self) -> Iterator[Given | Faulty]:
        """Everything in all files.

        Raises:
            InputError: a file can't be read, or none of its lines says whose its vector is.
        """
        for path in self.files:
            try:
                yield from self._file(path)
            except OSError as fault:
                raise InputError(f"{path}: {fault.strerror or fault}", hint="mend or leave out that file") from None

    def _file(self, path: Path) -> Iterator[Given | Faulty]:
        keyed, bad = False, 0
        keyless: _Keyless | None = None
        for number, line, broken in _lines(path):
            if not (line.strip() or broken):
                continue
            try:
                row = _object(line, broken)
                identity = _key(row)
            except _Unusable as fault:
                bad += 1
                keyless = fault if isinstance(fault, _Keyless) else keyless
                if not keyed and bad == _HOPELESS:
                    if keyless is None:
                        raise InputError(f"{path} holds no vectors: {fault}", hint=_HOW_TO_KEY) from None
                    break
                yield Faulty(path.name, number, None, None, fault.code, str(fault))
                continue
            keyed = True
            yield from self._vectors(row, path.name, number, identity)
        if keyless is not None and not keyed:
            raise InputError(f"{path}: its lines don't say whose their vectors are ({keyless})", hint=_HOW_TO_KEY)

    def _vectors(self, row: Mapping[str, Any], file: str, line: int, identity: str) -> Iterator[Given | Faulty]:
        answered = OUTPUT in row
        fields = [row.get(VECTOR, self._field)] if answered else [name for name in self._dimensions if name in row]
        if not fields:
            cause = f"no vector: none of {', '.join(self._dimensions)}"
            yield Faulty(file, line, identity, None, "BadVectorLine", cause)
        for field in fields:
            if not isinstance(field, str) or field not in self._dimensions:
                named = (
                    f"vector is {str(field)[:80]!r}" if field else "whose field the vector is stands nowhere (--vector)"
                )
                cause = f"{named}; the index has {', '.join(self._dimensions)}"
                yield Faulty(file, line, identity, None, "BadVectorLine", cause)
                continue
            made_from = row.get(MADE_FROM if answered else stamp_field(field))
            try:
                if made_from is not None and not (isinstance(made_from, str) and made_from.isascii()):
                    raise _Unusable(f"{stamp_field(field)} is no stamp")
                value = _answer(row[OUTPUT]) if answered else row[field]
                vector = _vector(value, field, self._dimensions[field])
            except _Unusable as fault:
                yield Faulty(file, line, identity, field, fault.code, str(fault))
            else:
                yield Given(file, line, identity, field, vector, made_from)


def encoded(vector: NDArray[np.float32]) -> str:
    """A vector as base64 of little-endian float32: a quarter of the size that digits take, and quick to read."""
    return base64.b64encode(vector.astype(_STORED).tobytes()).decode("ascii")


def _object(line: bytes, broken: str) -> Mapping[str, Any]:
    if broken:
        raise _Unusable(broken)
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as fault:
        several = line.lstrip().startswith(b"{") and str(fault).startswith("Extra data")
        cause = "several values on one line: run the job with AssembleWith Line" if several else f"not JSON: {fault}"
        raise _Unusable(cause) from None
    if not isinstance(row, dict):
        raise _Keyless("no object with an id")
    return row


def _key(row: Mapping[str, Any]) -> str:
    if ID not in row:
        raise _Keyless("no id")
    identity = row[ID]
    if type(identity) is int:  # as catalogues may have them
        identity = str(identity)
    try:
        if isinstance(identity, str) and 1 <= len(identity.encode("utf-8")) <= MAX_ID_BYTES:
            return identity
    except UnicodeEncodeError:
        pass
    raise _Unusable(f"id must be a Unicode string of 1 to {MAX_ID_BYTES} bytes")


def _answer(answer: Any) -> Any:
    """The vector in what a model answered: {"embedding": […]}, […] or [[…]]."""
    if isinstance(answer, Mapping) and "embedding" in answer:
        return answer["embedding"]
    if isinstance(answer, list):
        return answer[0] if len(answer) == 1 and isinstance(answer[0], list) else answer
    said = answer
    if isinstance(answer, Mapping):
        said = next((answer[key] for key in ("message", "Message", "error") if answer.get(key)), "no embedding")
    raise _Unusable(f"the model gave no vector: {str(said)[:300]}", "ModelError")


def _vector(value: Any, field: str, dimension: int) -> NDArray[np.float32]:
    vector = _numbers(value, field)
    if len(vector) != dimension:
        raise _Unusable(f"{field} has {len(vector)} numbers, the index takes {dimension}", "WrongDimension")
    # OpenSearch computes in float32: what overflows or vanishes there has no direction.
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        square = float(np.dot(vector, vector))
    if not np.isfinite(square):
        raise _Unusable(f"{field} holds NaN, Infinity or numbers that are too large", "NotFinite")
    if square == 0:
        raise _Unusable(f"{field} has no direction: all its numbers are 0 or next to it", "ZeroVector")
    return vector


def _numbers(value: Any, field: str) -> NDArray[np.float32]:
    if isinstance(value, str):
        try:
            return np.frombuffer(base64.b64decode(value, validate=True), _STORED).astype(np.float32)
        except (ValueError, binascii.Error):
            raise _Unusable(f"{field} is no base64 of float32 numbers") from None
    if not isinstance(value, list) or not set(map(type, value)) <= {int, float}:
        raise _Unusable(f"{field} is neither a list of numbers nor base64 of them")
    try:
        with np.errstate(over="ignore"):
            return np.array(value, np.float64).astype(np.float32)
    except OverflowError:
        raise _Unusable(f"{field} holds numbers that are too large", "NotFinite") from None


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.name.endswith(_SUFFIXES) and file.is_file())
    if not found:
        what = f"holds no {', '.join(_SUFFIXES)}" if path.is_dir() else "does not exist"
        raise InputError(f"vectors {path}: {what}", hint="give a file of vectors, or a folder of such files")
    return found


def _lines(path: Path) -> Iterator[tuple[int, bytes, str]]:
    """(number, line, what is wrong with it as a line), for all lines of a file."""
    number = 0
    with path.open("rb") as raw:
        zipped = raw.peek(2)[:2] == b"\x1f\x8b"
        with gzip.GzipFile(fileobj=raw) if zipped else raw as file:
            try:
                while line := file.readline(MAX_LINE_BYTES):
                    number += 1
                    if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                        _skip(file)
                        yield number, b"", f"longer than {MAX_LINE_BYTES} bytes"
                        continue
                    yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line, ""
            except (EOFError, zlib.error, gzip.BadGzipFile):
                yield number + 1, b"", "the archive is damaged here: nothing after it was read"


def _skip(file: BinaryIO | gzip.GzipFile) -> None:
    """To the end of the line."""
    while piece := file.readline(1024 * 1024):
        if piece.endswith(b"\n"):
            return
