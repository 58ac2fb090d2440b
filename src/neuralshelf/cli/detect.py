"""The verb detect: what is in a picture, and one of it cropped; or all of it, of a catalogue's pictures."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from neuralshelf.cli.searching import DEAD_LETTERS_REMAIN
from neuralshelf.errors import ConfigError, InputError

if TYPE_CHECKING:
    from neuralshelf.local.detect import Detected
    from neuralshelf.model_packages.grounding_dino.contract import Box, Detection
    from neuralshelf.model_packages.server.detection import NamedDetector

Run = Callable[[argparse.Namespace], int]
_TYPES = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png"}


def add(verb: Callable[[str, Run, str], argparse.ArgumentParser]) -> None:
    """The verb with its options."""
    made = verb("detect", detect, "which objects are in a picture, and one of them cropped for search --image")
    made.add_argument("picture", type=Path, nargs="?", metavar="PICTURE")
    made.add_argument("--prompt", metavar="WORDS", help='what to look for: "shoes . mugs" (default: all that it knows)')
    which = made.add_mutually_exclusive_group()
    which.add_argument("--pick", type=int, metavar="N", help="crop the object of this number")
    which.add_argument("--box", metavar="CX,CY,W,H", help="crop this box without looking, in parts of the picture")
    made.add_argument("--out", type=Path, metavar="FILE", help="the crop, .jpg or .png (default: PICTURE-crop.jpg)")
    made.add_argument("--box-threshold", type=float, metavar="SCORE", help="default: 0.3")
    made.add_argument("--text-threshold", type=float, metavar="SCORE", help="default: 0.25")
    made.add_argument(
        "--catalogue",
        type=Path,
        metavar="FILE",
        help="write it to --out FILE.jsonl with a view more for each thing found",
    )
    made.add_argument("--pictures", metavar="SOURCE", help="of the catalogue, as for ingest")
    made.add_argument("--format", choices=("jsonl", "csv", "tsv", "parquet"), help="of the catalogue, as for ingest")
    made.add_argument("--json", action="store_true")


def detect(words: argparse.Namespace) -> int:
    from neuralshelf.local.detect import Detected, chosen, described, read_picture

    check_prompt(words.prompt)
    for name in ("box_threshold", "text_threshold"):
        value = getattr(words, name)
        if value is not None and not 0 <= value <= 1:
            raise ConfigError(f"--{name.replace('_', '-')} {value} is out of range", hint="give 0 to 1")
    if (words.picture is None) == (words.catalogue is None):
        raise ConfigError("give a PICTURE or --catalogue FILE", hint="neuralshelf detect --help")
    if words.catalogue is not None:
        return _catalogue(words)
    box = None if words.box is None else given_box(words.box)
    if words.out is not None:
        _file_type(words.out)
    if box is not None:
        found = Detected((), read_picture(words.picture))
    else:
        found = _looked(words)
        only = chosen(found.objects, words.pick, described(words.picture, words.prompt))
        box = None if only is None else only.box
    crop = None if box is None else _write(found, box, words.picture, words.out)
    _say(words, found.objects, crop)
    return 0


def check_prompt(prompt: str | None) -> None:
    """Raises ConfigError when --prompt names nothing, or is too long."""
    from neuralshelf.model_packages.grounding_dino.contract import MAX_PROMPT, terms

    if prompt is not None and not (terms(prompt) and len(prompt) <= MAX_PROMPT):
        raise ConfigError("--prompt names nothing to look for, or too much", hint='give it as "shoes . mugs"')


def detector_of(words: argparse.Namespace) -> "NamedDetector":
    """The detector of this machine, fetched with progress on stderr."""
    from neuralshelf.local.detect import load_detector
    from neuralshelf.local.progress import Progress
    from neuralshelf.settings import Folders

    cache = Folders.default(words.config.resolve().parent / words.environment).cache
    with Progress() as progress:
        return load_detector(cache, progress.update)


def _looked(words: argparse.Namespace) -> "Detected":
    from neuralshelf.local.detect import detect_file
    from neuralshelf.model_packages.grounding_dino.contract import BOX_THRESHOLD, TEXT_THRESHOLD

    return detect_file(
        words.picture,
        words.prompt,
        detector=detector_of(words),
        box_threshold=BOX_THRESHOLD if words.box_threshold is None else words.box_threshold,
        text_threshold=TEXT_THRESHOLD if words.text_threshold is None else words.text_threshold,
    )


def _catalogue(words: argparse.Namespace) -> int:
    from neuralshelf.cli.context import context
    from neuralshelf.ingestion.cropping import Cropper
    from neuralshelf.local.detect import everything
    from neuralshelf.local.loading import Options, open_catalogue
    from neuralshelf.model_packages.grounding_dino.contract import TEXT_THRESHOLD
    from neuralshelf.tables import cropped_text

    if words.out is None or words.out.suffix.lower() != ".jsonl":
        raise ConfigError(
            "--catalogue wants --out FILE.jsonl", hint="neuralshelf detect --catalogue FILE --out FILE.jsonl"
        )
    if words.pick is not None or words.box is not None:
        raise ConfigError("--pick and --box are of one picture", hint="say in the section crops which things count")
    _, deployment = context(words)
    if deployment.config.index.product is None:
        raise ConfigError(
            "crops are further pictures of a product, and this index takes one",
            hint="name a keyword field for the product's id under index.product",
        )
    catalogue = open_catalogue(deployment, words.catalogue, Options(pictures=words.pictures, format=words.format))
    if words.out.exists() and words.out.samefile(words.catalogue):
        raise ConfigError(f"{words.out} is the catalogue itself", hint="give another --out")
    given = {"prompt": words.prompt, "min_score": words.box_threshold}
    rules = deployment.config.crops.model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )
    threshold = TEXT_THRESHOLD if words.text_threshold is None else words.text_threshold
    done = Cropper(detector_of(words), rules, everything(), threshold).write(catalogue, words.out)
    for example in done.examples:
        print(f"neuralshelf: {example}", file=sys.stderr)
    if words.json:
        print(json.dumps({"format_version": 1} | done.as_dict(), ensure_ascii=False))
    else:
        print(cropped_text(done, words.out))
    return DEAD_LETTERS_REMAIN if done.refused else 0


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


def given_box(text: str) -> "Box":
    """What --box says.

    Raises:
        ConfigError: that is no box.
    """
    from neuralshelf.ingestion.sources.crops import parse_box

    try:
        return parse_box(text)
    except ValueError:
        hint = "give centre and size in parts of the picture: --box 0.5,0.5,0.4,0.3"
        raise ConfigError(f"--box {text} is no box", hint=hint) from None
