"""Pictures in a zip or a tar, read from where they stand in it: nothing is unpacked to files of its own."""

import gzip
import os
import stat
import struct
import tarfile
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Generic, TypeVar

from neuralshelf.errors import InputError
from neuralshelf.ingestion.admission import Refused
from neuralshelf.ingestion.sources.pictures import plain_name, too_many_bytes

MAX_MEMBERS = 1_000_000
MAX_DIRECTORY_BYTES = 300_000_000
MAX_HEADER_BYTES = 1 << 20
MAX_UNPACKED_BYTES = 20_000_000_000
"""Of a compressed tar. It can't be read at random, so it is unpacked as a whole into one temporary file."""

_COPY_BYTES = 1 << 20
_BLOCK = 512  # of a tar
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others unpack without a limit
_ENCRYPTED = 0x1
_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
)  # what zipfile raises

Found = TypeVar("Found")


class _Members(Generic[Found]):
    """What an archive has, by plain name. A member whose name no row can give (absolute, with `..`) is left out."""

    def __init__(self, path: Path, members: Iterable[tuple[str, Found]]) -> None:
        self._path = path
        self._found: dict[str, Found] = {}
        self._twice: set[str] = set()
        folded: set[str] = set()
        for name, member in members:
            try:
                plain = plain_name(name)
            except ValueError:
                continue
            key = plain.casefold()
            (self._twice if key in folded else folded).add(key)
            self._found[plain] = member
            if len(self._found) > MAX_MEMBERS:
                raise InputError(f"{path} has more than {MAX_MEMBERS} members", hint="unpack it and give the folder")

    def get(self, name: str) -> Found:
        if name.casefold() in self._twice:
            raise Refused("AmbiguousPicture", f"{name}: is twice in {self._path.name}, or twice but for capitals")
        if name not in self._found:
            example = next(iter(self._found), "nothing")
            raise Refused("Unreadable", f"{name}: is not in {self._path.name}, which has for example {example}")
        return self._found[name]


class Zip:
    """Pictures in a zip file. One thread at a time reads."""

    def __init__(self, path: Path) -> None:
        """Raises InputError when it is no zip, is damaged, or has too many members."""
        self.path = path
        self._lock = threading.Lock()
        try:
            _check_directory(path)
            self._zip = zipfile.ZipFile(path)
        except _DAMAGE as fault:
            raise InputError(f"{path} can't be read as a zip: {fault}", hint="make the archive again") from None
        self._members = _Members(path, ((info.filename, info) for info in self._zip.infolist() if not info.is_dir()))

    def picture(self, name: str) -> "Member":
        """See `Pictures`."""
        return Member(self, plain_name(name))

    def read(self, name: str, limit: int) -> bytes:
        """See `Picture`."""
        info = self._members.get(name)
        mode = info.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise Refused("Unreadable", f"{name}: a link or device in {self.path.name}, not a file")
        if info.flag_bits & _ENCRYPTED:
            raise Refused("EncryptedPicture", f"{name}: encrypted in {self.path.name}")
        if info.compress_type not in _METHODS:
            raise Refused("Unreadable", f"{name}: packed in {self.path.name} by a method other than store and deflate")
        if info.file_size > limit:
            raise too_many_bytes(name, info.file_size, limit)
        try:
            with self._lock, self._zip.open(info) as file:
                return file.read(limit + 1)  # never more than declared; the checksum finds what was declared falsely
        except _DAMAGE as fault:
            raise Refused("Unreadable", f"{name}: damaged in {self.path.name}: {fault}") from None

    def close(self) -> None:
        """See `Pictures`."""
        self._zip.close()


class Tar:
    """Pictures in a tar file, or in one packed with gzip. Any number of threads read at once."""

    def __init__(self, path: Path) -> None:
        """Raises InputError when it is no tar, is damaged, has too many members, or is too large unpacked."""
        self.path = path
        self._file: IO[bytes] | None = None
        try:
            self._file = _plain_tar(path)
            self._members = _Members(path, self._walk(self._file))
        except (OSError, EOFError, zlib.error, tarfile.TarError, ValueError) as fault:
            self.close()
            raise InputError(f"{path} can't be read as a tar: {fault}", hint="make the archive again") from None
        except InputError:
            self.close()
            raise

    def picture(self, name: str) -> "Member":
        """See `Pictures`."""
        return Member(self, plain_name(name))

    def read(self, name: str, limit: int) -> bytes:
        """See `Picture`."""
        offset, size = self._members.get(name)
        if offset < 0:
            raise Refused("Unreadable", f"{name}: a link or device in {self.path.name}, not a file")
        if size > limit:
            raise too_many_bytes(name, size, limit)
        assert self._file is not None
        try:
            data = os.pread(self._file.fileno(), size, offset)
        except OSError as fault:
            raise Refused("Unreadable", f"{name}: {fault.strerror} in {self.path.name}") from None
        if len(data) < size:
            raise Refused("Unreadable", f"{name}: {self.path.name} ends in the middle of it")
        return data

    def close(self) -> None:
        """See `Pictures`."""
        if self._file is not None:
            self._file.close()

    def _walk(self, file: IO[bytes]) -> Iterable[tuple[str, tuple[int, int]]]:
        """Name, offset and size of each member; offset -1 for what is no plain file."""
        with tarfile.TarFile(fileobj=_Headers(file), mode="r") as tar:  # type: ignore[arg-type]
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # else it keeps all of them
                if member.isdir():
                    continue
                plain = member.isreg() and not member.issparse()
                yield member.name, (member.offset_data, member.size) if plain else (-1, 0)
            block = os.pread(file.fileno(), _BLOCK, tar.offset)
            if block.strip(b"\0"):
                raise tarfile.ReadError(f"damaged at byte {tar.offset}")


@dataclass(frozen=True)
class Member:
    """A picture in an archive, if it is there."""

    archive: Zip | Tar
    name: str

    def read(self, limit: int) -> bytes:
        """See `Picture`."""
        return self.archive.read(self.name, limit)


class _Headers:
    """A tar as `tarfile` walks it. What it reads whole (extended headers) may not be large."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell, self.name = file.seek, file.tell, str(file.name)

    def read(self, size: int) -> bytes:
        if size > MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._file.read(size)


def _plain_tar(path: Path) -> IO[bytes]:
    file = path.open("rb")
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    if not packed:
        return file
    with file, ExitStack() as kept:
        plain = kept.enter_context(tempfile.TemporaryFile())  # without a name, so nothing is ever left of it
        unpacked = gzip.GzipFile(fileobj=file)
        while chunk := unpacked.read(_COPY_BYTES):
            if plain.tell() + len(chunk) > MAX_UNPACKED_BYTES:
                limit = f"more than {MAX_UNPACKED_BYTES} bytes unpacked"
                raise InputError(f"{path} has {limit}", hint="unpack it and give the folder")
            plain.write(chunk)
        plain.seek(0)
        kept.pop_all()
    return plain


def _check_directory(path: Path) -> None:
    """`zipfile` reads a zip's whole directory into memory: look first how large it is said to be."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 66_000))
        tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        raise zipfile.BadZipFile("no zip, or its end is missing")
    (directory,) = struct.unpack_from("<L", tail, end + 12)
    wide = tail.rfind(b"PK\x06\x06", 0, end)
    if directory == 0xFFFFFFFF and wide >= 0:
        (directory,) = struct.unpack_from("<Q", tail, wide + 40)
    if directory > MAX_DIRECTORY_BYTES:
        raise zipfile.BadZipFile(f"its directory has {directory} bytes, the limit is {MAX_DIRECTORY_BYTES}")
