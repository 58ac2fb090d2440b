"""Several text files at once, into a folder that a person named."""

from collections.abc import Mapping
from pathlib import Path

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
