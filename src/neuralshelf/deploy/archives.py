"""The archives of models on this machine, and where they go: a key that says what is inside."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from neuralshelf.errors import InputError

CHUNK = 1 << 20


@dataclass(frozen=True)
class Archive:
    """A `model.tar.gz`.

    Attributes:
        sha256: 64 hex digits.
        bytes: its size.
    """

    file: Path
    sha256: str
    bytes: int

    @classmethod
    def read(cls, file: Path) -> "Archive":
        """Read it once, as a stream.

        Raises:
            InputError: it can't be read.
        """
        hashed, size = hashlib.sha256(), 0
        try:
            with file.open("rb") as stream:
                while chunk := stream.read(CHUNK):
                    hashed.update(chunk)
                    size += len(chunk)
        except OSError as fault:
            hint = "make it: neuralshelf package --help"
            raise InputError(f"archive {file} can't be read ({fault.strerror})", hint=hint) from None
        return cls(file, hashed.hexdigest(), size)


def folder_of(archives: dict[str, Archive]) -> str:
    """Folder in the bucket for the archives of one endpoint: 64 hex digits over all of them.

    SageMaker keeps an archive by its name, so changed content never comes under an old one.
    """
    lines = [f"{package} {archive.sha256}\n" for package, archive in sorted(archives.items())]
    return hashlib.sha256("".join(lines).encode("utf-8")).hexdigest()
