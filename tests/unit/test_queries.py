"""Query sets: four kinds, and every bad line told by its number."""

import json
from pathlib import Path

import pytest

from neuralshelf.errors import InputError
from neuralshelf.relevance.queries import read_queries


def test_the_kind_follows_from_what_is_asked_and_pictures_lie_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "queries.jsonl"
    rows = [
        {"id": "a", "text": " red teapot "},
        {"id": "b", "image": "p/shoe.jpg"},
        {"id": "c", "image": "p/shoe.jpg", "text": "in red"},
        {"id": "d", "image": "p/street.jpg", "box": [0.5, 0.5, 0.2, 1], "text": "shoe"},
        {"id": "e", "text": "teapot", "filters": {"price_max": 40}},
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf-8")
    found = read_queries(path)
    assert [(key, query.kind) for key, query in found.items()] == [
        ("a", "text"),
        ("b", "picture"),
        ("c", "text+picture"),
        ("d", "crop"),
        ("e", "text"),
    ]
    assert found["a"].text == "red teapot"
    assert found["b"].image == tmp_path / "p" / "shoe.jpg"
    assert found["d"].box == (0.5, 0.5, 0.2, 1.0)
    assert found["e"].filters == {"price_max": 40}


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("not json", "Expecting value"),
        ("[1]", "not a JSON object"),
        ('{"text": "x"}', "no id"),
        ('{"id": "q"}', "neither text nor image"),
        ('{"id": "q", "text": "  "}', "neither text nor image"),
        ('{"id": "q", "text": 7}', "text must be text"),
        ('{"id": "q", "text": "x", "boxes": []}', "unknown key 'boxes'"),
        ('{"id": "q", "text": "x", "box": [0, 0, 1, 1]}', "a box without an image"),
        ('{"id": "q", "image": "x.jpg", "box": [0, 0, 2, 1]}', "box must be"),
        ('{"id": "q", "image": "x.jpg", "box": [0.5, 0.5, 0, 1]}', "box must be"),
        ('{"id": "q", "image": "x.jpg", "box": [true, 0, 1, 1]}', "box must be"),
        ('{"id": "q", "text": "x", "filters": []}', "filters must be an object"),
        ('{"id": "first", "text": "x"}', "'first' is there twice"),
    ],
)
def test_a_bad_line_is_told_with_its_number(tmp_path: Path, line: str, cause: str) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_text('{"id": "first", "text": "x"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 2") as fault:
        read_queries(path)
    assert cause in fault.value.message


def test_a_file_that_is_away_empty_or_binary_is_told(tmp_path: Path) -> None:
    empty, binary = tmp_path / "empty", tmp_path / "binary"
    empty.write_text("\n")
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (empty, binary, tmp_path / "away", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            read_queries(path)
