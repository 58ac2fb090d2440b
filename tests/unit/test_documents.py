"""A product with several pictures is several documents; ids are each there once, however a catalogue is read."""

import json
from pathlib import Path
from typing import Any

import pytest

from neuralshelf.errors import ConfigError, InputError
from neuralshelf.ingestion.catalogue import BadLine, Catalogue, Product
from neuralshelf.ingestion.documents import documents
from neuralshelf.ingestion.rows.seen import Seen
from neuralshelf.pipelines.spec import IndexSpec, VectorSpec

FIELDS: dict[str, Any] = {"title": "text", "sku": "keyword"}
PICTURE = VectorSpec(connector="picture", image="photo")
SEVERAL = IndexSpec(name="products", fields=FIELDS, vectors={"image_vector": PICTURE}, product="sku")
ONE = IndexSpec(name="products", fields=FIELDS, vectors={"image_vector": PICTURE})
NONE = IndexSpec(name="products", fields=FIELDS, vectors={"text_vector": VectorSpec(connector="text", text=("title",))})


def rows(folder: Path, *lines: dict[str, Any], index: IndexSpec = SEVERAL, start: int = 1) -> list[Product | BadLine]:
    path = folder / "catalogue.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return list(Catalogue(path, index).rows(start))


def made(row: Product | BadLine, index: IndexSpec = SEVERAL) -> list[tuple[str, dict[str, Any], str | None]]:
    assert isinstance(row, Product)
    return [(d.id, dict(d.fields), d.picture.name if d.picture else None) for d in documents(row, index)]


def causes(found: list[Product | BadLine]) -> list[tuple[int, str]]:
    return [(row.line, row.cause) for row in found if isinstance(row, BadLine)]


def test_each_picture_is_a_document_with_all_fields_and_the_products_id(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, {"id": "a", "title": "Cup", "sku": "other", "images": ["1.jpg", "2.jpg", "3.jpg"]})
    fields = {"title": "Cup", "sku": "a"}
    assert made(row) == [("a", fields, "1.jpg"), ("a/2", fields, "2.jpg"), ("a/3", fields, "3.jpg")]
    assert isinstance(row, Product)
    assert {(d.product, d.views, d.line) for d in documents(row, SEVERAL)} == {("a", 3, 1)}


@pytest.mark.parametrize("images", [{}, {"image": "1.jpg"}, {"images": ["1.jpg"]}, {"images": []}, {"images": [""]}])
def test_one_picture_or_none_is_one_document(tmp_path: Path, images: dict[str, Any]) -> None:
    (row,) = rows(tmp_path, {"id": "a", **images})
    name = "1.jpg" if any(images.values()) and images != {"images": [""]} else None
    assert made(row) == [("a", {"sku": "a"}, name)]
    assert made(row, ONE) == [("a", {}, name)]


def test_several_pictures_without_the_setting_say_what_to_configure(tmp_path: Path) -> None:
    found = rows(tmp_path, {"id": "a", "images": ["1.jpg", "2.jpg"]}, {"id": "b", "images": ["1.jpg"]}, index=ONE)
    ((line, cause),) = causes(found)
    assert line == 1
    assert "index.product" in cause


def test_an_index_without_pictures_ignores_them(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.jsonl"
    path.write_text(json.dumps({"id": "a", "title": "Cup", "images": ["1.jpg", "2.jpg"], "image": 7}))
    catalogue = Catalogue(path, NONE)
    (row,) = catalogue.rows()
    assert made(row, NONE) == [("a", {"title": "Cup"}, None)]
    assert catalogue.ignored == {"images": 1, "image": 1}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"images": ["1.jpg"], "image": "2.jpg"}, "give image or images, not both"),
        ({"images": [1]}, "image must be a path, is int"),
        ({"images": {"a": 1}}, "images must be a list of paths, is dict"),
        ({"images": ["x.jpg"] * 101}, "101 images, index.views is 10: raise it"),
        ({"images": ["a.jpg", "https://example.com/b.jpg"]}, "is an address"),
        ({"id": "x" * 511, "images": ["1.jpg", "2.jpg"]}, "id is too long"),
    ],
)
def test_a_row_with_unusable_pictures_says_why(tmp_path: Path, line: dict[str, Any], words: str) -> None:
    bad, good = rows(tmp_path, {"id": "a", **line}, {"id": "b"})
    assert isinstance(bad, BadLine)
    assert words in bad.cause
    assert isinstance(good, Product)


def test_an_id_is_there_once_the_ids_of_pictures_included(tmp_path: Path) -> None:
    found = rows(
        tmp_path,
        {"id": "a", "images": ["1.jpg", "2.jpg"]},
        {"id": "a/2"},
        {"id": "b/2"},
        {"id": "b", "images": ["1.jpg", "2.jpg"]},
        {"id": "b"},
        {"id": 7},
        {"id": "7"},
        {"id": "bad", "title": 5},
        {"id": "bad", "title": "good"},
    )
    assert causes(found) == [
        (2, "id 'a/2' was in row 1 already"),
        (4, "id 'b/2' was in row 3 already"),
        (7, "id '7' was in row 6 already"),
        (8, "title must be text, is int"),
        (9, "id 'bad' was in row 8 already"),
    ]
    assert [row.id for row in found if isinstance(row, BadLine)] == [None, None, None, "bad", None]


def test_a_run_that_goes_on_finds_the_same_rows_as_one_from_the_beginning(tmp_path: Path) -> None:
    lines = [{"id": f"p{number % 7}", "images": ["x.jpg"] * (number % 3)} for number in range(20)]
    whole = rows(tmp_path, *lines)
    for start in (1, 2, 8, 20, 21):
        assert rows(tmp_path, *lines, start=start) == [row for row in whole if row.line >= start]


def test_ids_beyond_the_cache_are_still_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuralshelf.ingestion.rows.seen.CACHE_KIB", 100)
    with Seen() as seen:
        for number in range(20_000):
            assert seen.claim([f"product-{number}", f"product-{number}/2"], number + 1) is None
        assert seen.claim(["new", "product-0/2"], 99) == ("product-0/2", 1)
        assert seen.claim(["new"], 100) is None
        assert seen.claim(["product-19999"], 101) == ("product-19999", 20_000)


def test_a_full_disk_is_one_line_that_says_where() -> None:
    with Seen() as seen:
        seen._table.execute("PRAGMA max_page_count=20")
        many = (seen.claim([f"product-{number}"], number + 1) for number in range(100_000))
        with pytest.raises(InputError, match=r"ids can't be noted on disk: .*full; next: .*SQLITE_TMPDIR"):
            list(many)


def test_the_products_field_must_be_a_keyword_field_of_the_index() -> None:
    for field in ("title", "nowhere"):
        values = {"name": "products", "fields": FIELDS, "vectors": {}, "product": field}
        values["vectors"] = {"image_vector": {"connector": "picture", "image": "photo"}}
        with pytest.raises(ConfigError, match=f"product: '{field}' is no keyword field"):
            IndexSpec.parse(values, "neuralshelf.yaml")
