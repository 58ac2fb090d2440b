"""Tar archives with anything in them, and safetensors, both written byte by byte; and seeing that one is refused."""

import gzip
import json
import struct
import zlib
from pathlib import Path

import pytest

from neuralshelf.model_packages.packaging.archive import ArchiveLimits, ArchiveRefused, check, unpack

BLOCK = 512
END = bytes(2 * BLOCK)


def header(name: str | bytes, size: int = 0, kind: bytes = b"0", mode: int = 0o644, **fields: bytes) -> bytes:
    """One ustar header block; `fields` replace link, magic or prefix."""
    parts = {"link": b"", "magic": b"ustar\00000", "prefix": b""} | fields
    named = name if isinstance(name, bytes) else name.encode()
    length = b"%011o\0" % size if size < 8**11 else b"\x80" + size.to_bytes(11, "big")
    block = bytearray(
        named.ljust(100, b"\0")
        + b"%07o\0" % mode
        + b"0000000\0" * 2
        + length
        + b"00000000000\0"
        + b" " * 8
        + kind
        + parts["link"].ljust(100, b"\0")
        + parts["magic"]
        + bytes(80)
        + parts["prefix"].ljust(155, b"\0")
        + bytes(12)
    )
    block[148:156] = b"%06o\0 " % sum(block)
    assert len(block) == BLOCK
    return bytes(block)


def member(name: str | bytes, content: bytes = b"", kind: bytes = b"0", mode: int = 0o644, **fields: bytes) -> bytes:
    """A header, its content and the padding."""
    return header(name, len(content), kind, mode, **fields) + content + bytes(-len(content) % BLOCK)


def pax(**records: str) -> bytes:
    """A PAX header for the member after it."""
    content = b""
    for key, value in records.items():
        record = f" {key.replace('__', '.')}={value}\n".encode()
        length = len(record) + 1
        length += len(str(length)) - 1
        length = length if len(f"{length}") + len(record) == length else length + 1
        content += f"{length}".encode() + record
    return member("PaxHeaders/x", content, b"x")


def archive(folder: Path, *members: bytes, end: bytes = END) -> Path:
    """A tar.gz of the members."""
    path = folder / "model.tar.gz"
    path.write_bytes(gzip.compress(b"".join(members) + end, mtime=0))
    return path


def swollen(folder: Path, start: bytes, zeros: int) -> Path:
    """A tar.gz of `start` and then `zeros` bytes (a multiple of 64 MiB), without an end; made without writing them."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = squeezer.compress(start) + squeezer.flush(zlib.Z_FULL_FLUSH)
    piece = squeezer.compress(bytes(64 * 2**20)) + squeezer.flush(zlib.Z_FULL_FLUSH)
    path = folder / "model.tar.gz"
    with path.open("wb") as file:
        file.write(b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + head)
        for _ in range(zeros // (64 * 2**20)):
            file.write(piece)
        file.write(b"\x03\x00" + struct.pack("<II", 0, 0))
    return path


def safetensors(tensors: object = None, data: bytes = b"", *, pad_to: int = 0) -> bytes:
    """A file of these tensors; by default one of two float32. `pad_to` is the length of its header."""
    if tensors is None:
        tensors, data = {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, struct.pack("<2f", 1.0, 2.0)
    text = (tensors if isinstance(tensors, bytes) else json.dumps(tensors).encode()).ljust(pad_to)
    return struct.pack("<Q", len(text)) + text + data


def refused(path: Path, limits: ArchiveLimits | None = None) -> ArchiveRefused:
    """Why; also sees that unpacking it writes nothing."""
    folder = path.parent / "out"
    with pytest.raises(ArchiveRefused) as caught:
        unpack(path, folder, limits)
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(ArchiveRefused, match=r".") as again:
        check(path, limits)
    assert str(again.value) == str(caught.value)
    assert str(path) in str(caught.value)
    return caught.value
