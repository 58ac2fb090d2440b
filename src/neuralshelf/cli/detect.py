"""The verb detect: what is in a picture, and one of it cropped."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from neuralshelf.errors import ConfigError, InputError

if TYPE_CHECKING:
    from neuralshelf.local.detect import Detected
    from neuralshelf.model_packages.grounding_dino.contract import Box, Detection

Run = Callable[[argparse.Namespace], int]
_TYPES = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png"}
_NUMBERS_OF_A_BOX = 4


def add(verb: Callable[[str, Run, str], argparse.ArgumentParser]) -> None:
    """The verb with its options."""
    made = verb("detect", detect, "which objects are in a picture, and one of them cropped for search --image")
    made.add_argument("picture", type=Path, metavar="PICTURE")
    made.add_argument("--prompt", metavar="WORDS", help='what to look for: "shoes . mugs" (default: all that it knows)')
    which = made.add_mutually_exclusive_group()
    which.add_argument("--pick", type=int, metavar="N", help="crop the object of this number")
    which.add_argument("--box", metavar="CX,CY,W,H", help="crop this box without looking, in parts of the picture")
    made.add_argument("--out", type=Path, metavar="FILE", help="the crop, .jpg or .png (default: PICTURE-crop.jpg)")
    made.add_argument("--box-threshold", type=float, default=0.3, metavar="SCORE", help="default: %(default)s")
    made.add_argument("--text-threshold", type=float, default=0.25, metavar="SCORE", help="default: %(default)s")
    made.add_argument("--json", action="store_true")


def detect(words: argparse.Namespace) -> int:
    from neuralshelf.local.detect import Detected, chosen, read_picture
    from neuralshelf.model_packages.grounding_dino.contract import MAX_PROMPT, terms

    for name in ("box_threshold", "text_threshold"):
        if not 0 <= getattr(words, name) <= 1:
            raise ConfigError(f"--{name.replace('_', '-')} {getattr(words, name)} is out of range", hint="give 0 to 1")
    if words.prompt is not None and not (terms(words.prompt) and len(words.prompt) <= MAX_PROMPT):
        raise ConfigError("--prompt names nothing to look for, or too much", hint='give it as "shoes . mugs"')
    box = None if words.box is None else _box(words.box)
    if words.out is not None:
        _file_type(words.out)
    if box is not None:
        found = Detected((), read_picture(words.picture))
    else:
        found = _looked(words)
        what = f"{words.picture}" + (f" for {words.prompt!r}" if words.prompt else "")
        only = chosen(found.objects, words.pick, what)
        box = None if only is None else only.box
    crop = None if box is None else _write(found, box, words.picture, words.out)
    _say(words, found.objects, crop)
    return 0


def _looked(words: argparse.Namespace) -> "Detected":
    from neuralshelf.local.detect import detect_file, load_detector
    from neuralshelf.local.progress import Progress
    from neuralshelf.settings import Folders

    cache = Folders.default(words.config.resolve().parent / words.environment).cache
    with Progress() as progress:
        detector = load_detector(cache, progress.update)
    return detect_file(
        words.picture,
        words.prompt,
        detector=detector,
        box_threshold=words.box_threshold,
        text_threshold=words.text_threshold,
    )


def _say(words: argparse.Namespace, objects: "Sequence[Detection]", crop: Path | None) -> None:
    if words.json:
        listed = [{"box": list(one.box), "score": one.score, "phrase": one.phrase} for one in objects]
        print(json.dumps({"format_version": 1, "objects": listed, "crop": crop and str(crop)}, ensure_ascii=False))
        return
    if objects:
        from neuralshelf.tables import objects_table

        print(objects_table(objects))
    if crop is None:
        print("neuralshelf: crop one of them with --pick N", file=sys.stderr)
    else:
        print(f"crop: {crop}")


def _write(found: "Detected", box: "Box", picture: Path, out: Path | None) -> Path:
    suffix = "jpg" if found.request.file_type == "jpeg" else "png"
    target = out or Path(f"{picture.stem}-crop.{suffix}")
    if target.exists() and target.samefile(picture):
        raise ConfigError(f"{target} is the picture itself", hint="give another --out")
    crop = found.crop(box, _file_type(target))
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        unfinished.write_bytes(crop)
        unfinished.replace(target)
    except OSError as fault:
        unfinished.unlink(missing_ok=True)
        raise InputError(f"{target} can't be written: {fault.strerror}", hint="give another --out") from None
    return target


def _file_type(out: Path) -> str:
    if out.suffix.lower() not in _TYPES:
        raise ConfigError(f"--out {out} is neither .jpg nor .png", hint="give it one of these endings")
    return _TYPES[out.suffix.lower()]


def _box(text: str) -> "Box":
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != _NUMBERS_OF_A_BOX or not all(0 <= n <= 1 for n in numbers) or not (numbers[2] and numbers[3]):
        hint = "give centre and size in parts of the picture: --box 0.5,0.5,0.4,0.3"
        raise ConfigError(f"--box {text} is no box", hint=hint)
    x, y, width, height = numbers
    return x, y, width, height
