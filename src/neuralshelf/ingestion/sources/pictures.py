"""Where pictures come from: names that rows give, looked up in one source and nowhere else, and never fetched."""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from neuralshelf.errors import InputError
from neuralshelf.ingestion.admission import Refused

_ADDRESS = re.compile(r"^(//|(https?|ftp|file|data|s3|gs|javascript):)|://", re.IGNORECASE)

_NO_NAME = re.compile("[\0\ud800-\udfff]")


class Picture(Protocol):
    """One picture, not read yet. Several threads may read different ones, or the same, at once."""

    @property
    def name(self) -> str:
        """As it goes into the document's `image_path`: relative to the source, with `/` between the parts."""

    def read(self, limit: int) -> bytes:
        """All of its bytes, which are at most `limit`: no more are read.

        Raises:
            Refused: it can't be had: `Unreadable`, `TooManyBytes`, …
            NeuralshelfError: its source as a whole can't be read; that is no fault of this picture.
        """


class Pictures(Protocol):
    """A source of pictures."""

    def picture(self, name: str) -> Picture:
        """The picture that a row calls `name`; nothing is opened yet.

        Raises:
            ValueError: no such name may be used: an address, a path out of the source, not Unicode.
        """

    def close(self) -> None:
        """Give back files and connections. Pictures can't be read any more."""


def plain_name(name: str) -> str:
    """`name` without empty parts and `.`: `./a//b.jpg` is `a/b.jpg`.

    Raises:
        ValueError: an address, an absolute path, one with `..`, NUL or a lone surrogate, or no name at all.
    """
    shown = ascii(name[:80])
    parts = [part for part in name.split("/") if part not in ("", ".")]
    plain = "/".join(parts)
    if _ADDRESS.search(name) or _ADDRESS.search(plain):
        raise ValueError(f"picture {shown} is an address; only files of the pictures' source are read")
    if _NO_NAME.search(name):
        raise ValueError(f"picture {shown} holds a NUL character or a lone surrogate")
    if name.startswith("/") or ".." in parts:
        raise ValueError(f"picture {shown} is outside the pictures' folder")
    if not parts:
        raise ValueError(f"picture {shown} is no name of a file")
    return plain


class Folder:
    """Pictures as files below a folder. Links are followed as long as they stay below it."""

    def __init__(self, path: Path) -> None:
        """Raises InputError when there is no such folder."""
        if not path.is_dir():
            raise InputError(f"pictures' folder {path} does not exist", hint="give a folder with --pictures")
        self.path = path.resolve()

    def picture(self, name: str) -> "PictureFile":
        """See `Pictures`."""
        return PictureFile(self.path, plain_name(name))

    def close(self) -> None:
        """Nothing is kept open."""


@dataclass(frozen=True)
class PictureFile:
    """A file below `folder`, which has no links in its own path."""

    folder: Path
    name: str

    def read(self, limit: int) -> bytes:
        """See `Picture`."""
        try:
            with open(self._open(), "rb") as file:  # noqa: PTH123 - a descriptor
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode):
                    raise Refused("Unreadable", f"{self.name}: not a file")
                if found.st_size > limit:
                    raise too_many_bytes(self.name, found.st_size, limit)
                data = file.read(limit + 1)
        except OSError as fault:
            raise Refused("Unreadable", f"{self.name}: {fault.strerror}") from None
        if len(data) > limit:
            raise too_many_bytes(self.name, len(data), limit)
        return data

    def _open(self) -> int:
        """Open part by part without following links, so that nothing exchanged meanwhile leads out of the folder."""
        path = Path(os.path.realpath(self.folder / self.name))  # Path.resolve() raises on a loop of links
        if not path.is_relative_to(self.folder):
            raise Refused("Unreadable", f"{self.name}: a link that leads out of the pictures' folder")
        *folders, last = path.relative_to(self.folder).parts or (".",)
        at = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in folders:
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
                os.close(at)
                at = inner
            return os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
        finally:
            os.close(at)


def too_many_bytes(name: str, size: int, limit: int) -> Refused:
    """The refusal of a picture of `size` bytes, or at least so many."""
    return Refused("TooManyBytes", f"{name}: {size} bytes; at most {limit}")
