"""What the network sees in many pictures, kept in files as it goes, so that a stopped run goes on where it was."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neuralshelf.model_packages.lite.encoder import LiteEncoder

GROUP = 256
_BATCH = 32

Floats = NDArray[np.float32]


class PicturesError(Exception):
    """A list of pictures or a picture can't be used; the message is one line with the next step."""


@dataclass(frozen=True)
class Shown:
    """One picture of a product."""

    product: str
    path: Path


@dataclass(frozen=True, eq=False)
class Seen:
    """Rows as LiteEncoder.observe gives them: features (n, 1280), logits (n, 1000), colours (n, 11)."""

    features: Floats
    logits: Floats
    colours: Floats


def read(file: Path) -> list[Shown]:
    """The pictures of a file of JSON lines, `{"id": product, "image": path beside the file}`; other keys are not read.

    Raises:
        PicturesError: the file can't be read, or a line is something else.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PicturesError(f"{file}: can't be read ({type(error).__name__}); name a file of JSON lines") from None
    found = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            found.append(Shown(str(row["id"]), file.parent / str(row["image"])))
        except (ValueError, TypeError, KeyError):
            raise PicturesError(f"{file}, line {number}: no object with id and image; correct or remove it") from None
    return found


def observe(
    encoder: LiteEncoder, paths: Sequence[Path], kept: Path, advance: Callable[[int], object] = lambda done: None
) -> Seen:
    """What `encoder` sees in the pictures, in their order.

    Args:
        kept: folder for what is done, by the pictures' contents; made if it is not there.
        advance: gets the number of pictures after each group.

    Raises:
        PicturesError: a picture can't be read.
    """
    kept.mkdir(parents=True, exist_ok=True)
    groups = [_group(encoder, paths[at : at + GROUP], kept, advance) for at in range(0, len(paths), GROUP)]
    parts = [np.concatenate(part) for part in zip(*groups, strict=True)]
    return Seen(parts[0], parts[1], parts[2])


def _group(
    encoder: LiteEncoder, paths: Sequence[Path], kept: Path, advance: Callable[[int], object]
) -> tuple[Floats, Floats, Floats]:
    digest = hashlib.sha256(encoder.fingerprint.encode())
    for path in paths:
        digest.update(_content(path))
    file = kept / f"{digest.hexdigest()[:24]}.npz"
    if file.exists():
        with np.load(file) as stored:
            found = stored["features"], stored["logits"], stored["colours"]
    else:
        batches = [encoder.observe(list(_pixels(paths[at : at + _BATCH]))) for at in range(0, len(paths), _BATCH)]
        features, logits, colours = (np.concatenate(part) for part in zip(*batches, strict=True))
        partial = file.with_suffix(".partial")
        with partial.open("wb") as stream:
            np.savez(stream, features=features, logits=logits, colours=colours)
        partial.replace(file)
        found = features, logits, colours
    advance(len(paths))
    return found


def _pixels(paths: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
    for path in paths:
        try:
            with Image.open(path) as picture:
                yield np.asarray(picture.convert("RGB"))
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise PicturesError(f"{path}: no picture ({type(error).__name__}); leave its line out") from None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PicturesError(f"{path}: {error.strerror}; correct its line or leave it out") from None
