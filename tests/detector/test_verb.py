"""The verb detect as people run it: photo → objects → crop, with the real network."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from neuralshelf.ingestion.admission import DEFAULT_LIMITS, admit
from neuralshelf.local.detect import detect_file, load_detector
from neuralshelf.model_packages.detector import SsdDetector
from neuralshelf.model_packages.detector.evaluate import outline, overlap
from neuralshelf.model_packages.server.pictures import PictureLimits, decode
from tests.detector.conftest import ROOT, sample
from tests.detector.test_finding import scene

CHAIR = ROOT / "samples" / "images" / "chair-00.jpg"


def run(folder: Path, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "neuralshelf", "detect", "--config", str(ROOT / "neuralshelf.yaml"), *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.mark.usefixtures("cache")
def test_one_object_is_cropped_into_a_file_beside_us(tmp_path: Path) -> None:
    done = run(tmp_path, [str(CHAIR), "--prompt", "hats . chair"])
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "crop: chair-00-crop.jpg" in done.stdout
    with Image.open(tmp_path / "chair-00-crop.jpg") as crop:
        assert (crop.format, max(crop.size)) == ("JPEG", 400)


@pytest.mark.usefixtures("cache")
def test_several_are_listed_and_one_is_picked(tmp_path: Path) -> None:
    Image.fromarray(scene()[0]).save(tmp_path / "scene.png")
    done = run(tmp_path, ["scene.png", "--prompt", "chair . mug"])
    assert done.returncode == 0
    assert sorted(line.split()[2] for line in done.stdout.splitlines()[2:]) == ["chair", "mug"]
    assert "--pick N" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["scene.png"]
    done = run(tmp_path, ["scene.png", "--prompt", "chair . mug", "--pick", "2", "--out", "two.jpg", "--json"])
    told = json.loads(done.stdout)
    assert (told["format_version"], len(told["objects"]), told["crop"]) == (1, 2, "two.jpg")
    assert told["objects"][0]["score"] >= told["objects"][1]["score"]
    with Image.open(tmp_path / "two.jpg") as crop:
        assert crop.format == "JPEG"


@pytest.mark.usefixtures("cache")
def test_nothing_found_is_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, [str(CHAIR), "--prompt", "hats"])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("neuralshelf: nothing found in ")
    assert "; next: name other things" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_crop_is_what_was_found(cache: Path) -> None:
    detector = load_detector(cache)
    assert isinstance(detector, SsdDetector)
    found = detect_file(CHAIR, "chair", detector=detector)
    assert detect_file(CHAIR, "chair").objects == found.objects
    (only,) = found.objects
    data = found.crop(only.box)
    assert admit(data, DEFAULT_LIMITS, "crop").converted is None, "as a search takes it"
    crop = decode(data, PictureLimits())
    again = detector.detect(crop, "chair", 0.3, 0.25)
    assert overlap(again[0].box, (0.5, 0.5, 1, 1)) > 0.7, "the chair fills its crop"
    assert overlap(only.box, outline(sample("chair-00"))) > 0.7
