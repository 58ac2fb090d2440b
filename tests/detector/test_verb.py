"""The verb detect as people run it: photo → objects → crop, with the real network."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from PIL import Image

from neuralshelf.deployment import Config
from neuralshelf.ingestion.admission import DEFAULT_LIMITS, admit
from neuralshelf.ingestion.catalogue import Catalogue, Product
from neuralshelf.ingestion.sources.crops import Crop
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


@pytest.mark.usefixtures("cache")
def test_a_catalogue_gets_a_view_more_for_each_thing_in_its_pictures(tmp_path: Path) -> None:
    config = yaml.safe_load((ROOT / "neuralshelf.yaml").read_text(encoding="utf-8"))
    config["index"]["product"] = "sku"
    config["index"]["fields"]["sku"] = "keyword"
    (tmp_path / "neuralshelf.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    shutil.copytree(ROOT / "environments", tmp_path / "environments")
    image, chair, mug = scene()
    Image.fromarray(image).save(tmp_path / "scene.png")
    Image.new("RGB", (300, 200), "white").save(tmp_path / "wall.png")
    rows = [{"id": "look", "title": "a chair and a mug", "image": "scene.png"}, {"id": "wall", "image": "wall.png"}]
    (tmp_path / "shop.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = run(tmp_path, ["--config", "neuralshelf.yaml", "--catalogue", "shop.jsonl", "--out", "crops.jsonl"])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "2 products with 2 crops in crops.jsonl; in 1 nothing was found\n"
    look, wall = Catalogue(tmp_path / "crops.jsonl", Config.parse(config, "config").index).rows()
    assert isinstance(look, Product)
    assert isinstance(wall, Product)
    assert [picture.name for picture in wall.pictures] == ["wall.png"]
    whole, *crops = look.pictures
    assert whole.name == "scene.png"
    boxes = [crop.box for crop in crops if isinstance(crop, Crop)]
    assert len(boxes) == len(crops) == 2
    for wanted in (chair, mug):
        assert max(overlap(box, wanted) for box in boxes) >= 0.7
