"""The verb detect around a detector that finds what it is given; the real one is in tests/detector."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image

from neuralshelf.cli import main
from neuralshelf.local import detect as local
from neuralshelf.model_packages.grounding_dino.contract import Detection
from tests import awkward

ROOT = Path(__file__).resolve().parents[2]
LEFT, RIGHT = Detection((0.25, 0.5, 0.5, 1.0), 0.5, "shoes"), Detection((0.75, 0.5, 0.5, 1.0), 0.75, "mug")

Run = Callable[..., int]


class Given:
    name = fingerprint = "given"

    def __init__(self, *found: Detection) -> None:
        self.found = list(found)
        self.asked: list[tuple[str, float, float]] = []

    def detect(
        self, image: NDArray[np.uint8], prompt: str, box_threshold: float, text_threshold: float
    ) -> list[Detection]:
        self.asked.append((prompt, box_threshold, text_threshold))
        return self.found


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the verb in a folder with half.png, red on the left and blue on the right."""
    monkeypatch.chdir(tmp_path)
    image = Image.new("RGB", (80, 40), "red")
    image.paste("blue", (40, 0, 80, 40))
    image.save("half.png")

    def called(*words: str, detector: Given | None = None) -> int:
        if detector is not None:
            monkeypatch.setattr(local, "load_detector", lambda *_: detector)
        return main(["detect", "--config", str(ROOT / "neuralshelf.yaml"), *words])

    return called


def colours(path: Path | str) -> object:
    with Image.open(path) as image:
        return image.convert("RGB").getextrema()


BLUE = ((0, 0), (0, 0), (255, 255))


def test_one_object_is_cropped_in_the_format_of_the_picture(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("half.png", detector=Given(RIGHT)) == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[-2:] == ["1    0.75     mug       0.750,0.500,0.500,1.000", "crop: half-crop.png"]
    assert told.err == ""
    assert colours("half-crop.png") == BLUE


def test_of_several_none_is_cropped_unless_picked(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("half.png", detector=Given(LEFT, RIGHT)) == 0
    told = capsys.readouterr()
    assert [line.split()[:3] for line in told.out.splitlines()[2:]] == [["1", "0.75", "mug"], ["2", "0.50", "shoes"]]
    assert told.err == "neuralshelf: crop one of them with --pick N\n"
    assert [file.name for file in Path.cwd().iterdir()] == ["half.png"]
    assert run("half.png", "--pick", "1", "--out", "crop.png", detector=Given(LEFT, RIGHT)) == 0
    assert colours("crop.png") == BLUE


def test_json_is_one_document(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("half.png", "--json", detector=Given(LEFT, RIGHT)) == 0
    assert json.loads(capsys.readouterr().out) == {
        "format_version": 1,
        "objects": [
            {"box": [0.75, 0.5, 0.5, 1.0], "score": 0.75, "phrase": "mug"},
            {"box": [0.25, 0.5, 0.5, 1.0], "score": 0.5, "phrase": "shoes"},
        ],
        "crop": None,
    }


def test_prompt_and_thresholds_reach_the_detector(run: Run) -> None:
    detector = Given(LEFT)
    run("half.png", "--prompt", "Shoes", "--box-threshold", "0.5", "--text-threshold", "0", detector=detector)
    run("half.png", detector=detector)
    assert detector.asked[0] == ("Shoes", 0.5, 0.0)
    assert "footwear" in detector.asked[1][0]


def test_a_box_needs_no_detector(run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "load_detector", lambda *_: pytest.fail("asked"))
    assert run("half.png", "--box", "0.75,0.5,0.4,0.4", "--out", "b.JPEG") == 0
    assert capsys.readouterr().out == "crop: b.JPEG\n"
    with Image.open("b.JPEG") as crop:
        assert (crop.format, crop.size) == ("JPEG", (400, 200))


def refused(run: Run, capsys: pytest.CaptureFixture[str], *words: str, code: int, says: str) -> None:
    assert run(*words, detector=Given(LEFT, RIGHT)) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert says in told.err
    assert "; next: " in told.err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("half.png", "--pick", "3"), 1, "there is no object 3 in half.png"),
        (("half.png", "--pick", "0"), 1, "give --pick 1 to 2"),
        (("half.png", "--box", "0.5,0.5,2,1"), 2, "is no box"),
        (("half.png", "--box", "0.5,0.5,0,1"), 2, "is no box"),
        (("half.png", "--box", "a"), 2, "is no box"),
        (("half.png", "--box", "nan,0.5,0.5,0.5"), 2, "is no box"),
        (("half.png", "--prompt", " . "), 2, "names nothing"),
        (("half.png", "--prompt", "x" * 1001), 2, "or too much"),
        (("half.png", "--box-threshold", "1.5"), 2, "--box-threshold 1.5 is out of range"),
        (("half.png", "--out", "crop.gif"), 2, "neither .jpg nor .png"),
        (("half.png", "--pick", "1", "--out", "half.png"), 2, "is the picture itself"),
        (("half.png", "--pick", "1", "--out", "no/crop.png"), 1, "can't be written: No such file"),
        (("none.png",), 1, "picture none.png: No such file"),
        ((), 2, "give a PICTURE or --catalogue FILE"),
        (("half.png", "--catalogue", "a.jsonl"), 2, "give a PICTURE or --catalogue FILE"),
        (("--catalogue", "a.jsonl"), 2, "--catalogue wants --out FILE.jsonl"),
        (("--catalogue", "a.jsonl", "--out", "b.csv"), 2, "--catalogue wants --out FILE.jsonl"),
        (("--catalogue", "a.jsonl", "--out", "b.jsonl", "--pick", "1"), 2, "--pick and --box are of one picture"),
        (("--catalogue", "a.jsonl", "--out", "b.jsonl"), 2, "name a keyword field for the product's id"),
    ],
)
def test_what_is_wrong_is_one_line(
    run: Run, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, says: str
) -> None:
    refused(run, capsys, *words, code=code, says=says)


def test_bad_pictures_have_the_server_s_codes(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    whole = awkward.encoded(Image.new("RGB", (60, 60), "green"), "JPEG")
    files = {
        "EmptyPicture": b"",
        "UnsupportedFormat": b"%PDF-1.7",
        "TruncatedPicture": whole[: len(whole) // 2],
        "TooManyPixels": awkward.encoded(Image.new("1", (8000, 6000)), "PNG"),
    }
    for code, content in files.items():
        Path("bad.jpg").write_bytes(content)
        refused(run, capsys, "bad.jpg", code=1, says=f"picture bad.jpg: {code}: ")


def test_nothing_found_says_what_could_be(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("half.png", "--prompt", "hats", detector=Given()) == 1
    told = capsys.readouterr().err
    assert told.startswith("neuralshelf: nothing found in half.png for 'hats'; next: name other things (it knows ")


@pytest.fixture
def search(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the verb search there; whatever it asks of a cluster fails the test."""

    def called(*words: str, detector: Given | None = None) -> int:
        monkeypatch.setattr(local, "load_detector", lambda *_: detector or pytest.fail("asked"))
        return main(["search", "--config", str(ROOT / "neuralshelf.yaml"), *words])

    return called


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--pick", "3"), 1, "there is no object 3 in half.png"),
        (("--prompt", "shoes . mugs"), 1, "for 'shoes . mugs': 1 mug, 2 shoes; next: give --pick 1 to 2"),
        (("--box", "0.5,0.5,2,1"), 2, "is no box"),
        (("--prompt", " . "), 2, "names nothing"),
    ],
)  # fmt: skip
def test_a_search_by_crop_refuses_what_detect_refuses(
    search: Run, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, says: str
) -> None:
    refused(search, capsys, "--image", "half.png", *words, code=code, says=says)


def test_a_search_by_crop_wants_a_picture_in_which_there_is_something(
    search: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(search, capsys, "text", "--pick", "1", code=2, says="give --image FILE")
    refused(
        search, capsys, "--image", "none.png", "--box", "0.5,0.5,1,1", code=1, says="picture none.png: No such file"
    )
    assert search("--image", "half.png", "--prompt", "hats", detector=Given()) == 1
    assert "nothing found in half.png for 'hats'" in capsys.readouterr().err


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A configuration whose products have several pictures, with rules of its own; returns the file."""
    shutil.copytree(ROOT / "environments", tmp_path / "environments")
    config = yaml.safe_load((ROOT / "neuralshelf.yaml").read_text(encoding="utf-8"))
    config["index"]["product"] = "sku"
    config["index"]["fields"]["sku"] = "keyword"
    config["crops"] = {"prompt": "things", "min_score": 0.6}
    file = tmp_path / "neuralshelf.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    return file


def test_a_catalogue_gets_its_crops_by_the_rules_of_the_configuration(
    run: Run, shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"id": "a", "title": "two", "image": "half.png", "shelf": 3}, {"id": "b", "image": "away.png"}]
    Path("c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    detector = Given(LEFT, RIGHT)
    words = ["--config", str(shop), "--catalogue", "c.jsonl", "--out", "out.jsonl"]
    assert run(*words, detector=detector) == 3
    assert detector.asked == [("things", 0.6, 0.25)]
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "2 products with 1 crops in out.jsonl; in 1 nothing was found",
        "  Unreadable: 1",
        "note: column shelf left out: the index has no such field (1)",
    ]
    assert told.err.startswith("neuralshelf: row 2: Unreadable: away.png: ")
    first = json.loads(Path("out.jsonl").read_text().splitlines()[0])
    assert first == {"id": "a", "title": "two", "images": ["half.png", "half.png#box=0.75,0.5,0.5,1"]}
    assert run(*words, "--json", "--prompt", "mugs", "--box-threshold", "0.2", detector=detector) == 3
    done = json.loads(capsys.readouterr().out)
    assert (done["format_version"], done["products"], done["crops"]) == (1, 2, 2)
    assert detector.asked[1] == ("mugs", 0.2, 0.25)
    refused(run, capsys, *words[:-1], "c.jsonl", code=2, says="is the catalogue itself")
