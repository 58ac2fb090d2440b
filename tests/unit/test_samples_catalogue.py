"""The committed sample catalogue: complete, honest about its fields, and reproducible from the grammar."""

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))  # the samples folder is no part of the installed package

from samples.assortment import FOLDER, kinds, materials_for, products
from samples.catalogue import article, capital, files, fill, has_query_views, words
from samples.kinds import BUILDERS
from samples.materials import SHADES, linear
from samples.views import catalogue_view, query_views

FIELDS = ["id", "title", "description", "brand", "kind", "colour", "material", "price", "image"]


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]


CATALOGUE = rows("catalogue.jsonl")
VIEWS = rows("views.jsonl")


@pytest.mark.parametrize("file", files(), ids=lambda file: file.name)
def test_the_committed_file_is_what_the_grammar_gives(file: Path) -> None:
    assert file.read_text(encoding="utf-8") == files()[file]


def test_there_are_enough_products_of_enough_kinds() -> None:
    by_kind = Counter(row["kind"] for row in CATALOGUE)
    assert len(CATALOGUE) >= 410
    assert len(by_kind) >= 40
    assert min(by_kind.values()) >= 10
    assert {"wine glass", "teapot"} <= set(by_kind)


def test_ids_are_unique() -> None:
    assert len({row["id"] for row in CATALOGUE}) == len(CATALOGUE)


def test_every_product_has_every_field_filled() -> None:
    for row in CATALOGUE:
        assert list(row) == FIELDS
        assert all(row.values()), row["id"]
        assert isinstance(row["price"], float)
        assert 1 < row["price"] < 2000


def test_titles_name_the_kind_and_the_colour() -> None:
    for row in CATALOGUE:
        words_of_title = re.findall(r"[a-z-]+", row["title"].lower())
        assert row["kind"] in row["title"].lower(), row["title"]
        assert row["colour"] in words_of_title, row["title"]
        assert len(row["title"]) < 90


def test_most_titles_and_descriptions_are_their_own() -> None:
    for field in ("title", "description"):
        assert len({row[field] for row in CATALOGUE}) > 0.95 * len(CATALOGUE)


def test_descriptions_are_one_to_four_sentences_without_leftovers_of_the_grammar() -> None:
    for row in CATALOGUE:
        assert 1 <= len(re.findall(r"[.!?](?: |$)", row["description"])) <= 4, row["description"]
        assert not re.search(r"[{}]|  |\b[Aa] [aeio]|\b[Aa]n [^aeiouAEIOU\W]", row["description"]), row["description"]


def test_colours_are_known_and_spread_over_each_kind() -> None:
    assert {row["colour"] for row in CATALOGUE} <= set(SHADES)
    for kind in kinds():
        of_kind = Counter(row["colour"] for row in CATALOGUE if row["kind"] == kind.noun)
        assert 5 <= len(of_kind) <= 6, kind.noun
        assert max(of_kind.values()) <= 2, kind.noun


def test_every_colour_of_a_kind_has_a_material() -> None:
    assert all(materials_for(kind, colour) for kind in kinds() for colour in kind.colours)


def test_every_picture_is_a_small_square_jpeg_and_nothing_else_lies_there() -> None:
    named = {row["image"] for row in CATALOGUE + VIEWS}
    assert len(named) == len(CATALOGUE) + len(VIEWS)
    assert {f"images/{file.name}" for file in (FOLDER / "images").iterdir()} == named
    for name in named:
        with Image.open(FOLDER / name) as picture:
            assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (256, 256)), name
            picture.load()


def test_no_picture_is_blank_or_twice_there() -> None:
    seen = set()
    for row in CATALOGUE + VIEWS:
        data = (FOLDER / row["image"]).read_bytes()
        seen.add(data)
        with Image.open(FOLDER / row["image"]) as picture:
            assert np.asarray(picture, float).std() > 8, row["image"]
    assert len(seen) == len(CATALOGUE) + len(VIEWS)


def test_pictures_tell_nothing_about_the_run_that_made_them() -> None:
    assert not [row["image"] for row in CATALOGUE + VIEWS if b"Blender" in (FOLDER / row["image"]).read_bytes()]


def test_the_folder_stays_within_twelve_megabytes() -> None:
    assert (
        sum(file.stat().st_size for file in FOLDER.rglob("*") if "__pycache__" not in file.parts and file.is_file())
        < 12e6
    )


def test_a_third_of_the_products_has_two_more_views() -> None:
    by_id = Counter(row["id"] for row in VIEWS)
    assert set(by_id.values()) == {2}
    assert set(by_id) <= {row["id"] for row in CATALOGUE}
    assert len(by_id) / len(CATALOGUE) == pytest.approx(1 / 3, abs=0.01)
    assert {row["kind"] for row in CATALOGUE if row["id"] in by_id} == set(BUILDERS)


def test_query_views_differ_from_the_catalogue_in_camera_light_and_backdrop() -> None:
    for item in filter(has_query_views, products()):
        shown = catalogue_view(item)
        for view in query_views(item).values():
            assert view.light != shown.light
            assert view.backdrop != shown.backdrop
            assert view.turn != shown.turn


def test_words_are_there_for_every_kind_and_brand_lists_for_every_department() -> None:
    table = words()
    assert set(table) - {"grammar", "brands"} == set(BUILDERS)
    for noun in BUILDERS:
        assert table[noun]["department"] in table["brands"]
        assert len(table[noun]["forms"]) == 4
        assert len(table[noun]["details"]) >= 3
        assert len(table[noun]["uses"]) >= 3


def test_the_article_fits_what_follows() -> None:
    assert [article(word) for word in ("orange", "upright", "blue", "useful")] == ["An", "An", "A", "A"]
    assert fill("{A} {form} {said}.", form="oval", said="basket") == "An oval basket."
    assert capital("wine glass") == "Wine glass"


def test_colour_words_become_linear_light() -> None:
    assert linear("ffffff") == (1.0, 1.0, 1.0)
    assert linear("000000") == (0.0, 0.0, 0.0)
    red, green, blue = linear("red")
    assert red > 5 * max(green, blue)
