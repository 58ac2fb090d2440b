"""What the members of a model archive may hold: tensors without code, and text. Never pickles, whatever their name.

Loading a pickle runs what its author wrote into it, so `torch.load` of a stranger's weights is a stranger's program.
Content is looked at in pieces while it streams by, in bounded memory.
"""

import codecs
import json
import zlib
from collections.abc import Mapping
from math import prod
from pathlib import PurePosixPath
from typing import Protocol

from neuralshelf.model_packages.packaging.manifest import object_without_repeats

TEXT_BYTES = 64 * 2**20
"""The most that a text may have, inflated; the largest tokenizers have some 20 MB."""

WEIGHT_KINDS = (".safetensors", ".json", ".txt", ".txt.gz", ".bpe.gz")
CODE_KINDS = (".py", ".json", ".txt", ".txt.gz", ".bpe.gz")
PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz")
_HEADER_BYTES = 4_000_000  # safetensors itself allows 100 MB; the headers of real models have some hundred KB
_MOST_AXES = 64  # as numpy and torch
_SIZES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}
_SIZES |= {"I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1}


class Inspector(Protocol):
    """Sees a member's bytes in order. Both methods raise ValueError with what is wrong, as "is not UTF-8"."""

    def feed(self, chunk: bytes) -> None: ...

    def end(self) -> None: ...


def kind_fault(name: str) -> str:
    """Why a file of this name has no place in an archive, or "" when it has one."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in PICKLES:
        return f"is a pickle by its suffix {suffix}: convert it to safetensors"
    kinds = CODE_KINDS if name.startswith("code/") else WEIGHT_KINDS
    if not name.endswith(kinds):
        return f"is not of a kind that is taken there ({', '.join(kinds)})"
    return ""


def is_text(name: str) -> bool:
    return not name.endswith(".safetensors")


def inspector(name: str, size: int) -> Inspector:
    """What looks at the content of `name`, a file of `size` bytes."""
    if name.endswith(".safetensors"):
        return _Safetensors(size)
    if name.endswith(".gz"):
        return _Gzipped()
    return _Text(json_text=name.endswith(".json"))


def _disguised(head: bytes) -> str:
    """What the first bytes are, for those who wonder why it was refused."""
    if head.startswith(b"PK"):
        return ": it is a zip archive, the form in which torch.save writes pickles"
    old = head[:1] in (b"(", b"c", b"]", b"}") and head[-1:] == b"."
    if head[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05") or old:
        return ": it is a pickle"
    return ""


class _Text:
    """UTF-8 without NUL; JSON begins as JSON does."""

    def __init__(self, *, json_text: bool = False) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._awaits_json = json_text
        self._head = b""

    def feed(self, chunk: bytes) -> None:
        self._head = self._head or chunk
        try:
            text = self._decoder.decode(chunk)
        except UnicodeDecodeError:
            raise ValueError(f"is not UTF-8{_disguised(self._head)}") from None
        if "\0" in text:
            raise ValueError("is not a text: it holds NUL")
        if self._awaits_json and (begun := text.lstrip()):
            self._awaits_json = False
            if begun[0] not in '{["-0123456789tfn':
                raise ValueError(f"is not JSON{_disguised(self._head)}")

    def end(self) -> None:
        try:
            self._decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            raise ValueError("is not UTF-8: it is cut off") from None
        if self._awaits_json:
            raise ValueError("is not JSON: it is empty")


class _Gzipped:
    """A text in gzip; inflated to TEXT_BYTES at the most."""

    def __init__(self) -> None:
        self._text = _Text()
        self._inflate = zlib.decompressobj(31)
        self._inflated = 0
        self._head = b""

    def feed(self, chunk: bytes) -> None:
        self._head = self._head or chunk
        while chunk:
            try:
                piece = self._inflate.decompress(chunk, 2**20)
            except zlib.error:
                raise ValueError(f"is not gzip{_disguised(self._head)}") from None
            self._inflated += len(piece)
            if self._inflated > TEXT_BYTES:
                raise ValueError(f"inflates to more than {TEXT_BYTES} bytes")
            self._text.feed(piece)
            chunk = self._inflate.unconsumed_tail
            if self._inflate.eof and self._inflate.unused_data:
                raise ValueError("goes on after the end of its gzip stream")

    def end(self) -> None:
        if not self._inflate.eof:
            raise ValueError("is not gzip, or is cut off")
        self._text.end()


class _Safetensors:
    """Its header is right, and its tensors cover the rest without gap or overlap (huggingface/safetensors, README)."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._head: bytearray | None = bytearray()

    def feed(self, chunk: bytes) -> None:
        if self._head is None:
            return
        self._head += chunk
        if len(self._head) < 8:
            return
        length = int.from_bytes(self._head[:8], "little")
        if not 2 <= length <= min(_HEADER_BYTES, self._size - 8):
            raise self._fault("the length of its header is impossible")
        if len(self._head) >= 8 + length:
            self._check(bytes(self._head[8 : 8 + length]), self._size - 8 - length)
            self._head = None

    def end(self) -> None:
        if self._head is not None:
            raise self._fault("it is cut off")

    def _check(self, header: bytes, room: int) -> None:
        try:
            tensors = json.loads(header, object_pairs_hook=object_without_repeats)
        except (ValueError, RecursionError):
            raise self._fault("its header is not JSON") from None
        if not isinstance(tensors, dict) or header[:1] != b"{":
            raise self._fault("its header is no JSON object")
        tensors.pop("__metadata__", None)
        try:
            spans = sorted(_span(tensor) for tensor in tensors.values())
        except (KeyError, TypeError, ValueError):
            raise self._fault("a tensor in its header lacks dtype, shape or data_offsets") from None
        end = 0
        for start, stop in spans:
            if start != end or stop < start:
                raise self._fault("its tensors overlap or leave a gap")
            end = stop
        if end != room:
            raise self._fault(f"its tensors have {end} bytes, its data {room}")

    def _fault(self, why: str) -> ValueError:
        return ValueError(f"is not safetensors ({why}){_disguised(bytes(self._head or b''))}")


def _span(tensor: Mapping[str, object]) -> tuple[int, int]:
    """Where a tensor's data begin and end. Raises: KeyError, TypeError, ValueError."""
    shape, offsets = tensor["shape"], tensor["data_offsets"]
    if not isinstance(shape, list) or not isinstance(offsets, list) or len(offsets) != 2:
        raise TypeError
    if len(shape) > _MOST_AXES or any(type(number) is not int or not 0 <= number < 2**63 for number in shape + offsets):
        raise ValueError
    size = _SIZES.get(str(tensor["dtype"]))
    if size is not None and prod(shape) * size != offsets[1] - offsets[0]:
        raise ValueError
    return offsets[0], offsets[1]
