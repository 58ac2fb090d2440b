"""Pictures of documents on this machine, for pages to show."""

from collections.abc import Mapping
from pathlib import Path

from neuralshelf.errors import InputError
from neuralshelf.local.detect import read_picture
from neuralshelf.thumbnails import Picture


def picture_file(path: str, folders: Mapping[str, Path], images: Path | None = None) -> Path | None:
    """A picture by its `image_path`, KEY/PATH.

    Args:
        folders: catalogue key -> folder (`State.picture_folders`).
        images: where they are instead: PATH below it, or else its last part in it.
    """
    key, _, below = path.partition("/")
    if not below:
        return None
    if images is None:
        return _inside(folders[key], below) if key in folders else None
    found = [_inside(images, name) for name in (below, below.rpartition("/")[2])]
    return next((file for file in found if file is not None and file.is_file()), None)


def pixels(file: Path | None) -> Picture | None:
    """Of a picture; None without one that can be read: the page shows an empty frame then."""
    try:
        return None if file is None else read_picture(file).image
    except InputError:
        return None


def _inside(folder: Path, name: str) -> Path | None:
    file = (folder / name).resolve()
    return file if file.is_relative_to(folder.resolve()) else None
