"""Configuration files are read safely, and a refusal names file, line and next step."""

from pathlib import Path

import pytest

from neuralshelf.errors import ConfigError
from neuralshelf.yamlfile import load

BOMB = "a: &a [x, x, x]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]\n"
DEEP = "a: " + "[" * 60 + "]" * 60


def test_a_mapping_is_read(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("project: shop\nlist: [1, two, {three: 3}]\n", encoding="utf-8")
    assert load(path) == {"project": "shop", "list": [1, "two", {"three": 3}]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (BOMB, "aliases are not allowed"),
        (DEEP, "nested over 20 levels deep"),
        ("a: 1\na: 2\n", "duplicate key 'a'"),
        ("no: 1\n", "write it in quotes"),
        ("1: x\n", "write it in quotes"),
        ("a: !!python/object/apply:os.system [true]\n", "could not determine a constructor"),
        ("a: [1\n", "expected"),
        ("a:\t- b\n", "found character"),
        ("- a\n- b\n", "no mapping at the top level"),
        ("", "no mapping at the top level"),
    ],
)
def test_a_bad_file_is_refused_with_one_line(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "next: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_line_number_is_named(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("a: 1\nb: 2\nb: 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"shop\.yaml:3: duplicate key"):
        load(path)


def test_a_file_over_a_megabyte_is_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("a: '" + "x" * 1_000_001 + "'", encoding="utf-8")
    with pytest.raises(ConfigError, match="the limit is 1000000"):
        load(path)


def test_a_missing_file_and_a_wrong_encoding_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        load(tmp_path / "nowhere.yaml")
    (tmp_path / "latin.yaml").write_bytes("a: café".encode("latin-1"))
    with pytest.raises(ConfigError, match="not UTF-8 at byte 6"):
        load(tmp_path / "latin.yaml")
