"""Every line of a catalogue becomes a product or a reason; a catalogue never reaches outside its folder."""

import json
from pathlib import Path
from typing import Any

import pytest

from neuralshelf.errors import InputError
from neuralshelf.ingestion.admission import Refused
from neuralshelf.ingestion.catalogue import BadLine, Catalogue, Product
from neuralshelf.ingestion.sources.pictures import PictureFile
from neuralshelf.pipelines.spec import IndexSpec, VectorSpec

INDEX = IndexSpec(
    name="products",
    fields={"title": "text", "price": "float", "stock": "integer", "new": "boolean", "image_path": "keyword"},
    vectors={"image_vector": VectorSpec(connector="picture", image="image")},
)


def read(folder: Path, *lines: Any) -> list[Product | BadLine]:
    path = folder / "catalogue.jsonl"
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines))
    return list(Catalogue(path, INDEX).rows())


def test_a_product_keeps_its_known_fields_and_finds_its_picture_beside_the_catalogue(tmp_path: Path) -> None:
    (row,) = read(tmp_path, {"id": "a", "title": "Cup", "price": 3, "colour": "red", "image": "images/a.jpg"})
    picture = PictureFile(tmp_path.resolve(), "images/a.jpg")
    assert row == Product(1, "a", {"title": "Cup", "price": 3}, (picture,))


def test_empty_lines_don_t_count_and_line_numbers_stay_those_of_the_file(tmp_path: Path) -> None:
    rows = read(tmp_path, b"", {"id": "a"}, b"  ", {"id": "b"})
    assert [row.line for row in rows] == [2, 4]
    assert Catalogue(tmp_path / "catalogue.jsonl", INDEX).count() == 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{not json", "not JSON"),
        (b'{"id": "a", "price": NaN}', "NaN is not JSON"),
        (b'"text"', "not a JSON object"),
        (b"\xff", "not JSON"),
        ({"title": "no id"}, "id must be a string"),
        ({"id": ""}, "id must be a string"),
        ({"id": 7.5}, "id must be a string"),
        ({"id": True}, "id must be a string"),
        ({"id": "x" * 513}, "id must be a string"),
        ({"id": "a", "title": 7}, "title must be text, is int"),
        ({"id": "a", "price": "7"}, "price must be float, is str"),
        ({"id": "a", "price": True}, "price must be float, is bool"),
        (b'{"id": "a", "title": "\\ud800"}', "lone surrogate"),
        (b'{"id": "\\ud800"}', "lone surrogate"),
        (b'{"id": "a", "price": 1e999}', "price is inf, which is no number"),
        (b'{"id": "a", "x": ' + b"[" * 100_000, "not JSON"),
        (b'{"id": "a", "x": ' + b"7" * 5000 + b"}", "not JSON"),
        ({"id": "a", "image": "http://169.254.169.254/x.jpg"}, "is an address"),
        ({"id": "a", "image": "../secret.jpg"}, "outside the pictures' folder"),
        ({"id": "a", "image": "/etc/passwd"}, "outside the pictures' folder"),
        ({"id": "a", "image": ["x.jpg"]}, "image must be a path, is list"),
        ({"id": "a", "image": "a\0.jpg"}, "NUL"),
        (b'{"id": "a", "title": "' + b"x" * 1_000_001 + b'"}', "the limit is 1000000"),
    ],
)
def test_a_bad_line_says_why_and_stops_no_other(tmp_path: Path, line: Any, words: str) -> None:
    bad, good = read(tmp_path, line, {"id": "good"})
    assert isinstance(bad, BadLine)
    assert words in bad.cause
    assert isinstance(good, Product)


def test_a_repeated_id_is_a_bad_line_not_a_silent_overwrite(tmp_path: Path) -> None:
    first, second = read(tmp_path, {"id": "a", "title": "one"}, {"id": "a", "title": "two"})
    assert isinstance(first, Product)
    assert isinstance(second, BadLine)
    assert "was in row 1 already" in second.cause


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"x")
    (tmp_path / "shop" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (row,) = read(tmp_path / "shop", {"id": "a", "image": "link.jpg"})
    assert isinstance(row, Product)
    with pytest.raises(Refused, match="leads out of the pictures' folder"):
        row.pictures[0].read(1000)


def test_a_missing_catalogue_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.jsonl does not exist; next:"):
        Catalogue(tmp_path / "nowhere.jsonl", INDEX)
