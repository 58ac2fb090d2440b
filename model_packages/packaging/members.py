"""Reading a `model.tar.gz` with suspicion: what is in it, or why it is refused, before anything is written.

The tar is read block by block (POSIX.1-2017, pax, "ustar Interchange Format"), not with `tarfile`: that one joins
extension headers to members in silence, in memory of any size. What only some readers understand is refused, so all
readers see the same files: names in extension headers, sparse files, anything after the end.
"""

import gzip
import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from neuralshelf.model_packages.packaging.contents import TEXT_BYTES, inspector, is_text, kind_fault
from neuralshelf.model_packages.packaging.manifest import PackageError, safe_name

BLOCK = 512
CHUNK = 2**20
_TRAILER = 2**20  # tar pads with zeros to a multiple of 10 KB, some to one of 512 KB
_PAX_BYTES = 65536
_PAX_KEYS = {"mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "size", "comment"}
_USTAR_LARGEST = 8 * 2**30
_RATIO, _RATIO_FROM = 100, 256 * 2**20  # weights shrink by a tenth, zeros a thousandfold
_TYPES = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a named pipe",
    b"7": "a contiguous file",
    b"g": "a global PAX header",
    b"L": "a GNU long name",
    b"K": "a GNU long link",
    b"S": "a GNU sparse file",
    b"V": "a GNU volume header",
    b"M": "a continued file of another volume",
    b"D": "a GNU directory dump",
    b"X": "a Solaris extension header",
}
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Member:
    """A file of an archive: its path, size and SHA-256 in hex."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class ArchiveLimits:
    """The most that an archive may have: members, folders included, and bytes, all files together and inflated."""

    members: int = 2_000
    bytes: int = 20 * 2**30


class ArchiveRefused(PackageError):
    """An archive is not safe to unpack; `member` is its name as it stands there, `why` what is wrong with it."""

    def __init__(self, member: str, why: str, archive: Path | None = None) -> None:
        self.member = member
        self.why = why
        shown = ascii(member) if len(member) <= 200 else ascii(member[:200]) + "…"
        words = (f"{archive}:" if archive else "", shown if member else "", why)
        super().__init__(" ".join(filter(None, words)), hint="don't use this archive, or build it again")

    def of(self, archive: Path) -> "ArchiveRefused":
        """The same, naming the archive."""
        return ArchiveRefused(self.member, self.why, archive)


def check(path: Path, limits: ArchiveLimits | None = None, progress: Progress | None = None) -> tuple[Member, ...]:
    """The files of the archive `path`, in its order; reads all of it, in memory of a few megabytes, and writes nothing.

    Raises:
        ArchiveRefused: it is no whole tar.gz, or a member has an absolute, climbing, hidden, odd or long name, is a
            link, device or pipe, has the setuid, setgid or sticky bit, comes twice (also in another case), is not of an
            allowed kind, does not hold what its name says, or is too large; or it has too many members.
        PackageError: the file can't be read.
    """
    try:
        with path.open("rb") as file:
            return read(file, limits or ArchiveLimits(), progress or (lambda *_: None))
    except ArchiveRefused as refused:
        raise refused.of(path) from None
    except OSError as fault:
        raise PackageError(f"{path}: can't be read ({fault.strerror})", hint="name a model.tar.gz") from None


def read(file: BinaryIO, limits: ArchiveLimits, progress: Progress) -> tuple[Member, ...]:
    """As `check`, of an open file, without its name in front of messages."""
    stream = _Inflated(file, limits)
    names = _Names(limits.members)
    found = []
    size = file.seek(0, 2)
    file.seek(0)
    while header := _next_header(stream):
        name = names.take(header)
        if header.is_folder:
            continue
        if fault := kind_fault(name):
            raise ArchiveRefused(header.name, fault)
        if header.size > (TEXT_BYTES if is_text(name) else limits.bytes):
            raise ArchiveRefused(header.name, f"is too large: {header.size} bytes")
        found.append(_content(stream, header, name, lambda: progress("check archive", file.tell(), size)))
    stream.expect_end()
    return tuple(found)


@dataclass(frozen=True)
class _Header:
    name: str
    type: bytes
    mode: int
    size: int

    @property
    def is_folder(self) -> bool:
        return self.type == b"5"

    @classmethod
    def parse(cls, block: bytes) -> "_Header":
        name = block[:100].partition(b"\0")[0].decode("ascii", "backslashreplace")
        magic = block[257:265]
        if magic not in (b"ustar\00000", b"ustar  \0"):
            raise ArchiveRefused(name, "is not the header of a ustar member")
        if sum(block[:148]) + sum(block[156:]) + 8 * 32 != _number(block[148:156], name):
            raise ArchiveRefused(name, "has a header with a wrong checksum")
        if prefix := block[345:500].partition(b"\0")[0].decode("ascii", "backslashreplace"):
            name = f"{prefix}/{name}"
        if magic == b"ustar  \0" and any(block[345:500]):
            raise ArchiveRefused(name, "has a GNU header of an incremental or sparse archive")
        kind = block[156:157].replace(b"\0", b"0")
        return cls(name, kind, _number(block[100:108], name), _number(block[124:136], name))


def _number(field: bytes, name: str) -> int:
    """Octal, or base 256 as GNU writes what octal can't hold."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if digits.strip(b"01234567"):
        raise ArchiveRefused(name, "has a header with a number that is none")
    return int(digits or b"0", 8)


def _next_header(stream: "_Inflated") -> _Header | None:
    """The header of the next file or folder; None at the end."""
    large: int | None = None
    extended = False
    while True:
        block = stream.exactly(BLOCK)
        if not any(block):
            if extended:
                raise ArchiveRefused("", "the archive ends after a PAX header")
            return None
        header = _Header.parse(block)
        if header.mode & 0o7000:
            raise ArchiveRefused(header.name, f"has the setuid, setgid or sticky bit (mode {header.mode:o})")
        if header.type == b"x" and not extended:
            extended, large = True, _pax_size(stream, header)
            continue
        if header.type not in (b"0", b"5"):
            kind = "a PAX header after a PAX header" if header.type == b"x" else _TYPES.get(header.type, "no file")
            raise ArchiveRefused(header.name, f"is {kind}; only files and folders are taken")
        return _Header(header.name, header.type, header.mode, header.size if large is None else large)


def _pax_size(stream: "_Inflated", header: _Header) -> int | None:
    """The size in a PAX header: records `LENGTH KEY=VALUE\\n`. All else that changes what is read is refused."""
    if header.size > _PAX_BYTES:
        raise ArchiveRefused(header.name, f"is a PAX header of {header.size} bytes")
    left = stream.exactly(header.size)
    stream.exactly(-header.size % BLOCK)
    size = None
    while left:
        digits, _, _ = left.partition(b" ")
        length = int(digits) if digits.isdigit() and len(digits) < 6 else 0
        key, equals, value = left[len(digits) + 1 : length - 1].partition(b"=")
        if not equals or not length <= len(left) or left[length - 1 : length] != b"\n":
            raise ArchiveRefused(header.name, "is a damaged PAX header")
        named = key.decode("ascii", "backslashreplace")
        if named not in _PAX_KEYS:
            raise ArchiveRefused(header.name, f"is a PAX header that sets {named!a}: this is not taken")
        if named == "size":
            again = size is not None
            size = int(value) if value.isdigit() and len(value) < 20 else 0
            if size < _USTAR_LARGEST or again:
                raise ArchiveRefused(header.name, "is a PAX header that changes a size without need")
        left = left[length:]
    return size


class _Names:
    """Every name once, in one case, and either file or folder."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0
        self._spelt: dict[str, str] = {}
        self._kinds: dict[str, str] = {}

    def take(self, header: _Header) -> str:
        """The name without `./` in front. Raises: ArchiveRefused."""
        self._count += 1
        if self._count > self._most:
            raise ArchiveRefused(header.name, f"is one member too many: {self._most} are the limit")
        name = header.name.removeprefix("./")
        if header.is_folder:
            name = name.removesuffix("/") or "."
            if header.size:
                raise ArchiveRefused(header.name, "is a folder with content")
        if not safe_name(name) and not (header.is_folder and name == "."):
            raise ArchiveRefused(header.name, f"is no safe name: {_name_fault(header.name)}")
        parts = name.split("/")
        for count in range(1, len(parts)):
            self._add("/".join(parts[:count]), "implied", header)
        self._add(name, "folder" if header.is_folder else "file", header)
        return name

    def _add(self, name: str, kind: str, header: _Header) -> None:
        if self._spelt.setdefault(name.casefold(), name) != name:
            raise ArchiveRefused(header.name, f"differs only in case from {self._spelt[name.casefold()]}")
        former = self._kinds.get(name)
        if former is None or (former == "implied" and kind != "file"):
            self._kinds[name] = kind
        elif former == kind:
            raise ArchiveRefused(header.name, "comes twice")
        elif "file" in (former, kind):
            raise ArchiveRefused(header.name, f"makes {name} a file and a folder")


def _name_fault(name: str) -> str:
    parts = name.split("/")
    if name.startswith("/"):
        return "it is absolute"
    if ".." in parts:
        return "it climbs out by .."
    if "\\" in name or not name.isprintable():
        return "it holds a backslash, a control character or letters outside ASCII"
    if len(name) > 255:
        return "it is longer than 255 characters"
    return "a part is empty, hidden, or holds other characters than letters, digits and . _ + -"


def _content(stream: "_Inflated", header: _Header, name: str, tell: Callable[[], None]) -> Member:
    look = inspector(name, header.size)
    digest = hashlib.sha256()
    left = header.size
    try:
        while left:
            chunk = stream.exactly(min(left, CHUNK), header.name)
            left -= len(chunk)
            digest.update(chunk)
            look.feed(chunk)
            tell()
        look.end()
    except ValueError as fault:
        raise ArchiveRefused(header.name, str(fault)) from None
    stream.exactly(-header.size % BLOCK, header.name)
    return Member(name, header.size, digest.hexdigest())


class _Inflated:
    """The tar inside the gzip, a piece at a time; stops as soon as it gets larger than a model could be."""

    def __init__(self, file: BinaryIO, limits: ArchiveLimits) -> None:
        self._file = file
        self._gzip = gzip.GzipFile(fileobj=file, mode="rb")
        self._limit = limits.bytes + limits.members * 2 * BLOCK + _TRAILER
        self._inflated = 0

    def exactly(self, size: int, member: str = "") -> bytes:
        """The next `size` bytes. Raises: ArchiveRefused, also when there are fewer."""
        read = self._read(size, member)
        if len(read) < size:
            raise ArchiveRefused(member, "is cut off" if member else "the archive is cut off")
        return read

    def expect_end(self) -> None:
        """Nothing follows but the zeros that tar pads with."""
        padding = self._read(_TRAILER, "")
        if any(padding) or self._read(1, ""):
            raise ArchiveRefused("", "the archive goes on after its end")

    def _read(self, size: int, member: str) -> bytes:
        try:
            read = self._gzip.read(size)
        except (gzip.BadGzipFile, EOFError, zlib.error) as fault:
            raise ArchiveRefused(member, f"can't be inflated, this is no whole tar.gz ({fault})") from None
        self._inflated += len(read)
        deflated = self._file.tell()
        if self._inflated > self._limit:
            raise ArchiveRefused(member, f"is where the archive passes {self._limit} bytes")
        if self._inflated > max(_RATIO_FROM, _RATIO * deflated):
            raise ArchiveRefused(member, f"inflates to more than {_RATIO} times what it takes: no weights do that")
        return read
