"""The gate's questions and verdict, and what becomes of a document on its way into another generation."""

import json
from pathlib import Path

import numpy as np
import pytest

from neuralshelf.errors import InputError
from neuralshelf.pipelines.spec import IndexSpec, VectorSpec
from neuralshelf.provision.migration.changes import Changed
from neuralshelf.provision.migration.gate import Quality, Verdict, judged
from neuralshelf.provision.migration.pictures import Shaper
from neuralshelf.provision.spaces import Space

INDEX = IndexSpec(
    name="products",
    version=2,
    fields={"title": "text"},
    vectors={
        "text_vector": VectorSpec(connector="text", text=("title",)),
        "image_vector": VectorSpec(connector="picture", image="image"),
    },
)


def space(*values: float) -> Space:
    vector = np.array(values, np.float32)
    return Space(vector, vector)


def document(**source: object) -> Changed:
    return Changed("a", 0, 7, 1, 1, None, source)


def test_text_vectors_are_made_anew_and_a_pictures_vector_goes_along() -> None:
    spaces = {"text_vector": space(1, 0), "image_vector": space(0, 1)}
    shaper = Shaper(INDEX, "p-v1", "p-v2", spaces, spaces | {"text_vector": space(0, 1)})
    assert shaper.changed == ()
    assert shaper.without == ("text_vector", "text_vector_from")
    assert shaper([document(title="x", image_vector=[1, 2])]) == {"a": {"title": "x", "image_vector": [1, 2]}}


@pytest.mark.parametrize(
    ("stamp", "carried"), [("p-v1 abc", "p-v2 abc"), ("p-v0 abc", "p-v0 abc"), ("q-v1 abc", "q-v1 abc")]
)
def test_a_pictures_vector_that_goes_along_is_stamped_for_the_new_generation(stamp: str, carried: str) -> None:
    spaces = {"image_vector": space(0, 1)}
    found = Shaper(INDEX, "p-v1", "p-v2", spaces, spaces)([document(image_vector=[1], image_vector_from=stamp)])
    assert found == {"a": {"image_vector": [1], "image_vector_from": carried}}


def test_another_model_of_pictures_gets_the_picture_instead_of_the_vector() -> None:
    shaper = Shaper(
        INDEX,
        "p-v1",
        "p-v2",
        {"image_vector": space(0, 1)},
        {"image_vector": space(1, 0)},
        pictures=lambda i: f"of {i}",
    )
    assert shaper.changed == ("image_vector",)
    assert shaper([document(title="x", image_vector=[1, 2])]) == {"a": {"title": "x", "image": "of a"}}
    assert shaper([document(image_vector=[1, 2], image="sent")]) == {"a": {"image": "sent"}}
    assert shaper([document(title="no picture")]) == {"a": {"title": "no picture"}}


def test_fields_that_the_new_generation_has_not_stay_behind() -> None:
    shaper = Shaper(INDEX, "p-v1", "p-v2", {"image_vector": space(1)}, {"image_vector": space(1)})
    assert shaper([document(title="x", old_field=1)]) == {"a": {"title": "x"}}


@pytest.mark.parametrize(("new", "worse"), [(0.9, False), (0.885, False), (0.87, True), (1.0, False)])
def test_a_verdict_is_worse_when_recall_falls_by_more_than_the_tolerance(new: float, worse: bool) -> None:
    verdict = Verdict("judged", 10, Quality(0.9, 0.5, 0.7), Quality(new, 0.1, 0.1), 0.02)
    assert verdict.worse is worse
    assert verdict.as_dict()["worse"] is worse
    assert "recall@10" in verdict.table()


def test_judged_queries_are_read_with_their_pictures(tmp_path: Path) -> None:
    file = tmp_path / "queries.jsonl"
    rows = [{"text": "red cup", "relevant": ["a", "b"]}, {"image": "cup.jpg", "relevant": ["a"]}]
    file.write_text("\n\n".join(map(json.dumps, rows)), encoding="utf-8")
    first, second = judged(file, lambda path: path.name)
    assert (first.text, first.image, first.relevant) == ("red cup", None, frozenset("ab"))
    assert (second.text, second.image) == (None, "cup.jpg")


@pytest.mark.parametrize(
    "line", ["no json", "[]", '{"text": "x"}', '{"relevant": ["a"]}', '{"text": 1, "relevant": ["a"]}', ""]
)
def test_a_line_that_is_no_query_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "queries.jsonl"
    file.write_text(line, encoding="utf-8")
    with pytest.raises(InputError, match=r"queries\.jsonl"):
        judged(file, lambda path: path.name)
