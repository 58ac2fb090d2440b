"""A catalogue gets a view more for each good find; stopped anywhere, the next run ends as without the stop."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from neuralshelf.crops import CropRules
from neuralshelf.errors import InputError
from neuralshelf.ingestion.catalogue import Catalogue
from neuralshelf.ingestion.cropping import Cropper
from neuralshelf.model_packages.grounding_dino.contract import Detection
from tests.unit.test_crop_sources import INDEX

SMALL = Detection((0.5, 0.5, 0.05, 0.05), 0.9, "mug")
LEFT = Detection((0.25, 0.5, 0.5, 1.0), 0.5, "shoes")
RIGHT = Detection((0.75, 0.5, 0.5, 1.0), 0.75, "mug")
ALL = Detection((0.5, 0.5, 1.0, 1.0), 0.8, "table")


class Stop(BaseException):
    """What a kill is to a test."""


class Given:
    """Finds what stands in the first pixel's red: that many of LEFT, RIGHT, SMALL, ALL."""

    name = "given"

    def __init__(self, fingerprint: str = "one", stop_after: int = 10**6) -> None:
        self.fingerprint = fingerprint
        self.left = stop_after
        self.looked = 0

    def detect(
        self, image: NDArray[np.uint8], prompt: str, box_threshold: float, text_threshold: float
    ) -> list[Detection]:
        if not self.left:
            raise Stop
        self.left -= 1
        self.looked += 1
        return [LEFT, RIGHT, SMALL, ALL][: int(image[0, 0, 0]) // 50]


def shop(folder: Path, finds: Sequence[int], *more: dict[str, Any]) -> Catalogue:
    """A product a number, whose picture has that many things in it."""
    for number in set(finds):
        Image.new("RGB", (8, 8), (number * 50 + 10, 0, 0)).save(folder / f"{number}.png")
    rows = [{"id": f"p{place}", "title": "thing", "image": f"{number}.png"} for place, number in enumerate(finds)]
    path = folder / "shop.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, *more]))
    return Catalogue(path, INDEX)


def images(out: Path) -> dict[str, list[str]]:
    return {row["id"]: row["images"] for row in map(json.loads, out.read_text().splitlines())}


R, L, S = "#box=0.75,0.5,0.5,1", "#box=0.25,0.5,0.5,1", "#box=0.5,0.5,0.05,0.05"


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({}, {"p0": ["0.png"], "p1": ["4.png", f"4.png{R}", f"4.png{L}"]}),
        ({"most": 1}, {"p0": ["0.png"], "p1": ["4.png", f"4.png{R}"]}),
        ({"min_score": 0.8}, {"p0": ["0.png"], "p1": ["4.png"]}),
        ({"min_area": 0.001, "min_score": 0.6}, {"p0": ["0.png"], "p1": ["4.png", f"4.png{S}", f"4.png{R}"]}),
        ({"max_area": 1.0, "most": 1}, {"p0": ["0.png"], "p1": ["4.png", "4.png#box=0.5,0.5,1,1"]}),
        ({"whole": False}, {"p0": ["0.png"], "p1": [f"4.png{R}", f"4.png{L}"]}),
        ({"without": "skip"}, {"p1": ["4.png", f"4.png{R}", f"4.png{L}"]}),
    ],
)  # fmt: skip
def test_rules_say_which_things_count(tmp_path: Path, rules: dict[str, Any], expected: dict[str, list[str]]) -> None:
    out = tmp_path / "out.jsonl"
    done = Cropper(Given(), CropRules(**rules), "all").write(shop(tmp_path, [0, 4]), out)
    assert images(out) == expected
    crops = sum("#box" in name for names in expected.values() for name in names)
    without = 2 - sum(any("#box" in name for name in names) for names in expected.values())
    assert (done.products, done.crops, done.without, done.refused) == (len(expected), crops, without, {})


def test_its_rows_are_a_catalogue_again_and_crops_are_looked_at_no_more(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    Cropper(Given(), CropRules(), "all").write(shop(tmp_path, [4]), out)
    detector = Given()
    Cropper(detector, CropRules(whole=False), "all").write(Catalogue(out, INDEX), tmp_path / "again.jsonl")
    assert images(tmp_path / "again.jsonl")["p0"] == [f"4.png{R}", f"4.png{L}", f"4.png{R}", f"4.png{L}"]
    assert detector.looked == 1


def test_what_can_t_be_read_is_counted_and_stays_for_the_ingest_to_account_for(tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(b"\x89PNG")
    catalogue = shop(tmp_path, [1], {"id": "away", "image": "away.png"}, {"id": "cut", "image": "cut.png"}, {"id": 1.5})
    out = tmp_path / "out.jsonl"
    done = Cropper(Given(), CropRules(), "all").write(catalogue, out)
    assert images(out) == {"p0": ["1.png", f"1.png{L}"], "away": ["away.png"], "cut": ["cut.png"]}
    assert done.refused == {"Unreadable": 1, "UnsupportedFormat": 1, "BadLine": 1}
    assert done.examples[0].startswith("row 2: Unreadable: away.png: ")


@pytest.mark.parametrize("without", ["keep", "skip"])
def test_stopped_anywhere_the_next_run_ends_as_without_the_stop(tmp_path: Path, without: str) -> None:
    finds = [0, 1, 4, 0, 2, 0, 0, 3, 1, 0]
    rules = CropRules.model_validate({"without": without})
    for stop in range(len(finds)):
        folder = tmp_path / str(stop)
        folder.mkdir()
        catalogue = shop(folder, finds, {"id": 1.5})
        out = folder / "out.jsonl"
        whole = Cropper(Given(), rules, "all").write(catalogue, out)
        wanted = out.read_bytes()
        out.unlink()
        with pytest.raises(Stop):
            Cropper(Given(stop_after=stop), rules, "all").write(catalogue, out)
        assert not out.exists(), "half a catalogue looks like a whole one"
        (unfinished,) = folder.glob(".out.jsonl.*.unfinished")
        with unfinished.open("ab") as file:
            file.write(b'{"id": "torn')
        detector = Given()
        done = Cropper(detector, rules, "all").write(catalogue, out)
        assert out.read_bytes() == wanted
        assert done.as_dict() == whole.as_dict()
        kept = stop if without == "keep" else max((n for n in range(stop + 1) if n and finds[n - 1]), default=0)
        assert detector.looked == len(finds) - kept
        assert not list(folder.glob(".out*"))


def test_other_rules_or_another_detector_begin_anew(tmp_path: Path) -> None:
    catalogue, out = shop(tmp_path, [1, 2, 3]), tmp_path / "out.jsonl"
    with pytest.raises(Stop):
        Cropper(Given(stop_after=2), CropRules(), "all").write(catalogue, out)
    for rules, fingerprint in ((CropRules(most=1), "one"), (CropRules(), "two")):
        detector = Given(fingerprint)
        Cropper(detector, rules, "all").write(catalogue, out)
        assert detector.looked == 3


def test_a_file_that_can_t_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere/out\.jsonl: No such file or directory; next: give another file"):
        Cropper(Given(), CropRules(), "all").write(shop(tmp_path, [1]), tmp_path / "nowhere" / "out.jsonl")


def test_rules_that_nothing_can_pass_are_refused() -> None:
    with pytest.raises(ValidationError, match="min_area must be below max_area"):
        CropRules(min_area=0.5, max_area=0.5)
    with pytest.raises(ValidationError, match="prompt"):
        CropRules(prompt=" . ")
