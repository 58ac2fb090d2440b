"""`model.tar.gz`, the form in which SageMaker takes a model: built reproducibly, unpacked with suspicion.

The same files make the same bytes on every machine: members are sorted, have one owner, mode and time, and the gzip
around them stores without deflating, so that no version of zlib has a say in it. Weights hardly shrink anyway.
"""

import hashlib
import io
import os
import re
import struct
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from neuralshelf.model_packages.packaging import sources
from neuralshelf.model_packages.packaging.contents import kind_fault
from neuralshelf.model_packages.packaging.manifest import Manifest, PackageError, safe_name
from neuralshelf.model_packages.packaging.members import (
    BLOCK,
    CHUNK,
    ArchiveLimits,
    ArchiveRefused,
    Member,
    Progress,
    check,
    read,
)
from neuralshelf.model_packages.packaging.weights import Weight

__all__ = ["ArchiveLimits", "ArchiveRefused", "Built", "Member", "build", "check", "contents", "unpack"]

_PINNED = re.compile(r"[A-Za-z0-9][\w.-]*(\[[\w,-]+\])?==[\w.!+-]+(\s*;.+)?")
_IN_THE_CONTAINER = {"torch", "torchvision", "sagemaker-inference", "sagemaker-pytorch-inference"}


@dataclass(frozen=True)
class Built:
    """An archive that was made: its SHA-256 in hex, its size, and what is in it."""

    path: Path
    sha256: str
    bytes: int
    files: tuple[Member, ...]


def contents(package: Path, weights: Mapping[str, Weight], root: Path = sources.ROOT) -> dict[str, Path | None]:
    """Path in the archive → file, sorted; None is an empty file.

    Args:
        package: folder with package.json and code/.
        weights: path in the archive → file.
        root: where the manifest's sources are.

    Raises:
        PackageError: a file has no place in an archive, inference.py is missing or imports what does not go along, or
            a requirement is not pinned.
    """
    manifest = Manifest.read(package)
    code = package / "code"
    found: dict[str, Path | None] = dict(sources.modules(manifest, root))
    for path in sorted(code.rglob("*")):
        name = f"code/{path.relative_to(code).as_posix()}"
        if path.is_symlink():
            raise PackageError(f"{path}: is a symbolic link", hint="put the file itself there")
        if path.is_file() and "__pycache__" not in path.parts:
            found[name] = path
    for needed in ("code/inference.py", "code/requirements.txt"):
        if needed not in found:
            raise PackageError(f"{package}: {needed} is missing", hint="docs/packages.md shows a package")
    sources.require_closed(manifest.name, found, root)
    _require_pinned(code / "requirements.txt")
    for name, weight in weights.items():
        if name.startswith("code/"):
            raise PackageError(f"{weight.path}: weights can't lie in code/", hint="move them")
        found[name] = weight.path
    for name in found:
        fault = kind_fault(name) if safe_name(name) else "has a name with odd characters"
        if fault:
            raise PackageError(f"{found[name]}: {name} {fault}", hint="take it away or convert it")
    return dict(sorted(found.items()))


def build(
    package: Path,
    weights: Mapping[str, Weight],
    out: Path,
    *,
    root: Path = sources.ROOT,
    limits: ArchiveLimits | None = None,
    progress: Progress = lambda *_: None,
) -> Built:
    """Write the archive of a package with these weights to `out`: there it is whole, or what was there before.

    What was written is read again as `check` does, and its weights compared with their SHA-256, before it gets its
    name.

    Raises:
        PackageError: as `contents`; or a file does not hold what its name says, such as a pickle named .safetensors,
            weights have another SHA-256, or `out` can't be written.
    """
    files = contents(package, weights, root)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as private:
            draft = Path(private, "draft")
            digest = _write(files, draft, progress)
            with draft.open("rb") as file:
                members = read(file, limits or ArchiveLimits(), progress)
            for member in members:
                weight = weights.get(member.name)
                if weight and weight.sha256 != member.sha256:
                    raise PackageError(
                        f"{weight.path}: SHA-256 expected {weight.sha256}, found {member.sha256}",
                        hint="take the right file, or try again when nothing writes to it",
                    )
            size = draft.stat().st_size
            draft.replace(out)
            _keep_name(out.parent)
    except ArchiveRefused as refused:
        path = files.get(refused.member) or refused.member
        raise PackageError(f"{path}: {refused.why}", hint="take it away or replace it") from None
    except OSError as fault:
        where = fault.filename or out
        raise PackageError(f"{where}: {fault.strerror or fault}", hint="mend that, or give another --out") from None
    return Built(out, digest, size, members)


def unpack(path: Path, folder: Path, limits: ArchiveLimits | None = None, progress: Progress = lambda *_: None) -> None:
    """Check the archive `path`, then extract it as `folder`, which must not be there; nothing is written before.

    Raises:
        ArchiveRefused, PackageError: as `check`; or `folder` is there already or can't be written.
    """
    if folder.exists():
        raise PackageError(f"{folder}: is there already", hint="name a new folder")
    expected = check(path, limits, progress)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as private:
            draft = Path(private, "draft")
            draft.mkdir()
            with tarfile.open(path, "r:gz") as archive:
                archive.extractall(draft, filter="data")
            for member in expected:  # another file under the same name meanwhile, or a reader that sees other members
                with (draft / member.name).open("rb") as file:
                    if hashlib.file_digest(file, "sha256").hexdigest() != member.sha256:
                        raise ArchiveRefused(member.name, "changed while it was unpacked", path)
            draft.replace(folder)
    except tarfile.TarError as fault:
        raise PackageError(f"{path}: can't be unpacked ({fault})", hint="build it again") from None
    except OSError as fault:
        where = fault.filename or folder
        raise PackageError(f"{where}: {fault.strerror or fault}", hint="mend that, or name another folder") from None


def _write(files: Mapping[str, Path | None], draft: Path, progress: Progress) -> str:
    """The archive to `draft`, down to the disk; its SHA-256."""
    total = sum(path.stat().st_size for path in files.values() if path)
    done = 0
    with draft.open("wb") as raw:
        packed = _Stored(raw)
        for name, path in files.items():
            member = tarfile.TarInfo(name)
            member.mode = 0o644
            with path.open("rb") if path else io.BytesIO() as file:
                member.size = path.stat().st_size if path else 0
                packed.write(member.tobuf(tarfile.PAX_FORMAT, "ascii", "strict"))
                left = member.size
                while left and (chunk := file.read(min(left, CHUNK))):
                    packed.write(chunk)
                    left -= len(chunk)
                    done += len(chunk)
                    progress("pack", done, total)
            if left:
                raise PackageError(f"{path}: got shorter while it was packed", hint="try again when it is whole")
            packed.write(bytes(-member.size % BLOCK))
        packed.write(bytes(2 * BLOCK))
        digest = packed.finish()
        raw.flush()
        os.fsync(raw.fileno())
    return digest


class _Stored:
    """gzip (RFC 1952) around stored blocks (RFC 1951, 3.2.4): no name, no time, no compression."""

    _BLOCK = 65535

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._sha256 = hashlib.sha256()
        self._pending = bytearray()
        self._crc = 0
        self._size = 0
        self._put(b"\x1f\x8b\x08\0\0\0\0\0\0\xff")

    def write(self, data: bytes) -> None:
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)
        self._pending += data
        while len(self._pending) >= self._BLOCK:
            self._block(bytes(self._pending[: self._BLOCK]), last=False)
            del self._pending[: self._BLOCK]

    def finish(self) -> str:
        """End the stream; the SHA-256 of all that was written, in hex."""
        self._block(bytes(self._pending), last=True)
        self._put(struct.pack("<II", self._crc, self._size % 2**32))
        return self._sha256.hexdigest()

    def _block(self, data: bytes, *, last: bool) -> None:
        self._put(struct.pack("<BHH", last, len(data), len(data) ^ 0xFFFF) + data)

    def _put(self, data: bytes) -> None:
        self._sha256.update(data)
        self._raw.write(data)


def _keep_name(folder: Path) -> None:
    """A new name is on the disk only when its folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _require_pinned(path: Path) -> None:
    """Each requirement is a name with one version: no address, no range, nothing that the container brings."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        asked = line.partition(" #")[0].strip()
        if not asked or asked.startswith("#"):
            continue
        name = re.split(r"[\[=<>~! ]", asked)[0].lower().replace("_", "-")
        if not _PINNED.fullmatch(asked) or name in _IN_THE_CONTAINER:
            why = "the container has it" if name in _IN_THE_CONTAINER else "expected NAME==VERSION"
            raise PackageError(f"{path}:{number}: {asked[:80]}: {why}", hint="correct this line")
