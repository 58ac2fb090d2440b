"""Text files that a person named: several at once into a folder, or one in the place of another."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from neuralshelf.errors import InputError


def write_files(files: Mapping[str, str], folder: Path) -> list[Path]:
    """Name -> text as files in `folder`, which is made if needed; what stands there under these names is replaced.

    Raises:
        InputError: the folder can't be written.
    """
    written = []
    try:
        for name, text in files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            written.append(file)
    except OSError as fault:
        raise InputError(f"{folder} can't be written ({fault.strerror})", hint="choose another folder") from None
    return written


@contextmanager
def replacing(path: Path, mode: int = 0o666) -> Iterator[TextIO]:
    """A file to write, which takes the place of `path` when all is written; till then, or else, that stays as it was.

    Its folder is made if needed.

    Args:
        mode: of the file, less the umask.

    Raises:
        InputError: it can't be written.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)  # of a run that was killed: its mode would stay
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            yield file
        temporary.replace(path)
    except OSError as fault:
        raise InputError(f"{path} can't be written: {fault.strerror}", hint="choose another file") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
