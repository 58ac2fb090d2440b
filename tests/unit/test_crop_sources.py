"""A row names one thing in a picture, and gets the very crop that detection makes; what is no box is told."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuralshelf.ingestion.admission import Refused
from neuralshelf.ingestion.catalogue import BadLine, Catalogue, Product
from neuralshelf.ingestion.sources.crops import Crop, crop_name, cropped, named, parse_box, split
from neuralshelf.ingestion.sources.pictures import Folder
from neuralshelf.local.detect import Detected, read_picture
from neuralshelf.model_packages.grounding_dino.contract import Box
from neuralshelf.pipelines.spec import IndexSpec, VectorSpec

INDEX = IndexSpec(
    name="products",
    fields={"title": "text", "sku": "keyword", "image_path": "keyword"},
    vectors={"image_vector": VectorSpec(connector="picture", image="image")},
    product="sku",
)
BOX: Box = (0.25, 0.5, 0.5, 0.75)


def drawn(path: Path, size: tuple[int, int] = (600, 400)) -> Path:
    """A picture without two equal parts."""
    noise = np.random.default_rng(0).integers(0, 255, (size[1] // 8, size[0] // 8, 3), np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.NEAREST).save(path, quality=95)
    return path


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("size", [(600, 400), (3000, 2200)])
def test_a_crop_is_byte_for_byte_that_of_detection(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    path = drawn(tmp_path / f"street.{suffix}", size)
    crop = named(Folder(tmp_path), f"./street.{suffix}{crop_name('', BOX)}")
    assert isinstance(crop, Crop)
    assert crop.name == f"street.{suffix}#box=0.25,0.5,0.5,0.75"
    data = crop.read(25_000_000)
    assert data == Detected((), read_picture(path)).crop(BOX)
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == ("JPEG" if suffix == "jpg" else "PNG")
        assert max(image.size) == 400


def test_a_name_keeps_enough_digits_for_the_same_pixels() -> None:
    chance = np.random.default_rng(1)
    for _ in range(1000):
        x, y = chance.uniform(0.1, 0.9, 2)
        box = (float(x), float(y), float(min(x, 1 - x)), float(min(y, 1 - y)))
        path, again = split(crop_name("a.jpg", box))
        assert path == "a.jpg"
        assert again is not None
        assert max(abs(one - other) for one, other in zip(box, again, strict=True)) * 4096 < 1e-3


NO_BOXES = ("", "1", "0.5,0.5,0.1", "0.5,0.5,0.1,0.1,0.1", "a,b,c,d", "0.5,0.5,0,0.1", "0.5,0.5,-0.1,0.1")


@pytest.mark.parametrize("text", [*NO_BOXES, "0.5,1.5,0.1,0.1", "nan,0.5,0.1,0.1"])
def test_what_is_no_box_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is none: centre and size"):
        parse_box(text)


def test_rows_name_crops_in_every_format(tmp_path: Path) -> None:
    drawn(tmp_path / "a.jpg")
    lines = tmp_path / "shop.jsonl"
    rows = [
        {"id": "1", "images": ["a.jpg", "a.jpg#box=0.5,0.5,0.2,0.2"]},
        {"id": "2", "image": "a.jpg#box=0.5,0.5,0.2,0.2"},
        {"id": "3", "image": "a.jpg#box=0.5,0.5"},
        {"id": "4", "image": "../a.jpg#box=0.5,0.5,0.2,0.2"},
    ]
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, second, third, fourth = Catalogue(lines, INDEX).rows()
    assert isinstance(first, Product)
    assert isinstance(second, Product)
    assert [picture.name for picture in first.pictures] == ["a.jpg", "a.jpg#box=0.5,0.5,0.2,0.2"]
    assert second.pictures == first.pictures[1:]
    assert isinstance(third, BadLine)
    assert third.cause == "box '0.5,0.5' is none: centre and size in shares of the picture, such as 0.5,0.5,0.4,0.3"
    assert fourth == BadLine(4, "4", "picture '../a.jpg' is outside the pictures' folder")
    table = tmp_path / "shop.csv"
    table.write_text('id,images\n1,"a.jpg|a.jpg#box=0.5,0.5,0.2,0.2"\n')
    (row,) = Catalogue(table, INDEX).rows()
    assert isinstance(row, Product)
    assert row.pictures == first.pictures


def test_a_damaged_or_absent_picture_is_refused_with_its_code(tmp_path: Path) -> None:
    whole = drawn(tmp_path / "a.jpg").read_bytes()
    with pytest.raises(Refused) as fault:
        cropped(whole[:2000], BOX, "a.jpg")
    assert fault.value.code == "TruncatedPicture"
    assert str(fault.value).startswith("a.jpg: ")
    with pytest.raises(Refused) as fault:
        named(Folder(tmp_path), "b.jpg#box=0.5,0.5,0.2,0.2").read(1000)
    assert fault.value.code == "Unreadable"
    with pytest.raises(Refused) as fault:
        named(Folder(tmp_path), "a.jpg#box=0.5,0.5,0.2,0.2").read(1000)
    assert fault.value.code == "TooManyBytes"
