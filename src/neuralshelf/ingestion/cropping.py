"""A catalogue with one view more for each thing found in its pictures: rows for `ingest`, crops by their names."""

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from tqdm import tqdm

from neuralshelf.crops import CropRules
from neuralshelf.errors import InputError
from neuralshelf.ingestion.admission import Refused
from neuralshelf.ingestion.catalogue import BadLine, Catalogue, Product
from neuralshelf.ingestion.resuming import last_id
from neuralshelf.ingestion.sources.crops import BOX, Crop, crop_name
from neuralshelf.ingestion.sources.pictures import Picture
from neuralshelf.model_packages.grounding_dino.contract import PICTURES, TEXT_THRESHOLD
from neuralshelf.model_packages.server.detection import NamedDetector
from neuralshelf.model_packages.server.pictures import PictureError, PictureLimits, decode
from neuralshelf.model_packages.server.refusals import InputRefused

_EXAMPLES = 10
_LIMITS = PictureLimits(keep_pixels=PICTURES.keep_pixels)


@dataclass
class Cropped:
    """What became of a catalogue's rows.

    Attributes:
        products: written, those of an earlier run included.
        crops: in them.
        without: products in which nothing was found; left out if the rules say so.
        refused: rows and pictures that can't be read, by the code of why; pictures of this run alone. Such rows are
            left out, such pictures stay: the ingest makes dead letters of them.
        examples: some of their causes.
        ignored: columns of which the index has no field, so that they were left out -> rows with a value there.
    """

    products: int = 0
    crops: int = 0
    without: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)

    def refuse(self, line: int, code: str, cause: str) -> None:
        """Count one, and remember the first ten."""
        self.refused[code] = self.refused.get(code, 0) + 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(f"row {line}: {code}: {cause}")

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


@dataclass(frozen=True)
class Cropper:
    """Finds things in pictures and says which crops they give.

    Attributes:
        everything: the prompt when the rules have none.
        text_threshold: see `Detector.detect`.
    """

    detector: NamedDetector
    rules: CropRules
    everything: str
    text_threshold: float = TEXT_THRESHOLD

    def write(self, catalogue: Catalogue, out: Path) -> Cropped:
        """Write the catalogue with its crops as JSON lines to `out`, with progress on stderr.

        A run that was stopped is gone on with by the next one of the same catalogue, rules and detector; `out` appears
        when all is done.

        Raises:
            InputError: `out` can't be written, or the prompt can't be taken.
        """
        done = Cropped()
        unfinished = out.with_name(f".{out.name}.{self._mark(catalogue)}.unfinished")
        total = catalogue.count()
        try:
            with (
                unfinished.open("a+b") as file,
                tqdm(total=total, desc="crops", unit="row", file=sys.stderr, disable=not sys.stderr.isatty()) as bar,
            ):
                rows = iter(catalogue.rows())
                bar.update(_go_on(rows, file, unfinished, done))
                for row in rows:
                    if isinstance(row, BadLine):
                        done.refuse(row.line, "BadLine", row.cause)
                    elif (line := self._line(row, catalogue.views, done)) is not None:
                        file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
                        file.flush()
                    bar.update()
            unfinished.replace(out)
        except OSError as fault:
            raise InputError(f"{out}: {fault.strerror or fault}", hint="give another file with --out") from None
        done.ignored = dict(catalogue.ignored)
        return done

    def _line(self, row: Product, most: int, done: Cropped) -> dict[str, Any] | None:
        """The row with its crops; None for one that is left out."""
        images: list[str] = []
        for picture in row.pictures:
            found = [] if isinstance(picture, Crop) else self._crops(picture, row.line, done)
            images += [picture.name, *found] if self.rules.whole or not found else found
        images = images[:most]
        if self.rules.without == "skip" and not _crops_in(images):
            done.without += 1
            return None
        _count(images, done)
        return {"id": row.id, **row.fields, "images": images}

    def _crops(self, picture: Picture, line: int, done: Cropped) -> list[str]:
        rules = self.rules
        try:
            pixels = decode(picture.read(_LIMITS.max_bytes), _LIMITS)
            found = self.detector.detect(pixels, rules.prompt or self.everything, rules.min_score, self.text_threshold)
        except Refused as fault:
            done.refuse(line, fault.code, str(fault))
            return []
        except PictureError as fault:
            done.refuse(line, str(fault.code), f"{picture.name}: {fault.message}")
            return []
        except InputRefused as fault:
            raise InputError(f"the prompt can't be taken: {fault.message}", hint="shorten crops.prompt") from None
        return [crop_name(picture.name, box) for box in rules.boxes(found)]

    def _mark(self, catalogue: Catalogue) -> str:
        """The same for the same work."""
        found = catalogue.path.stat()
        about = [str(catalogue.path.resolve()), found.st_size, found.st_mtime_ns, self.rules.model_dump()]
        about += [self.detector.fingerprint, self.text_threshold]
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:12]


def _go_on(rows: Iterator[Product | BadLine], file: BinaryIO, path: Path, done: Cropped) -> int:
    """Read on to the last product that is written, counting what there is; how many rows that were."""
    last = last_id(file, path, "a catalogue")
    if last is None:
        return 0
    file.seek(0)
    for line in file:
        _count(json.loads(line)["images"], done)
    left_out = -done.products
    for number, row in enumerate(rows, 1):
        if isinstance(row, BadLine):
            done.refuse(row.line, "BadLine", row.cause)
            continue
        left_out += 1
        if row.id == last:
            done.without += left_out
            return number
    raise InputError(f"{path} is not of this catalogue", hint="delete it, then run it again")


def _count(images: Sequence[str], done: Cropped) -> None:
    crops = _crops_in(images)
    done.products += 1
    done.crops += crops
    done.without += not crops


def _crops_in(images: Iterable[str]) -> int:
    return sum(BOX in image for image in images)
