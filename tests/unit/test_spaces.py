"""Spaces: what a model answers for known inputs, kept in a mapping and compared."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from neuralshelf.errors import ProvisionError
from neuralshelf.provision.spaces import SAME, Space, agreement, decode, encode


def space(seed: int = 0, dimension: int = 384, *, image: bool = True) -> Space:
    generator = np.random.default_rng(seed)
    text, picture = (generator.standard_normal(dimension).astype(np.float32) for _ in range(2))
    return Space(text / np.linalg.norm(text), picture / np.linalg.norm(picture) if image else None)


@pytest.mark.parametrize("dimension", [1, 2, 64, 384, 1024, 16_000])
def test_a_space_survives_its_way_through_a_mapping(dimension: int) -> None:
    before = {"text_vector": space(1, dimension, image=False), "image_vector": space(2, dimension)}
    after = decode(json.loads(json.dumps(encode(before))))
    assert set(after) == set(before)
    for field, kept in after.items():
        assert agreement(kept, before[field]) > 0.999999
        assert kept.dimension == dimension
        assert (kept.image is None) == (before[field].image is None)


def test_what_is_kept_is_little_endian_half_precision() -> None:
    kept = encode({"v": Space(np.array([1.0, 0.0, -1.0], dtype=np.float32), None)})
    assert base64.b64decode(kept["v"]["text"]) == b"\x00\x3c\x00\x00\x00\xbc"
    assert set(kept["v"]) == {"text"}


def test_spaces_of_two_models_do_not_agree_and_a_space_agrees_with_itself() -> None:
    assert agreement(space(1), space(1)) == pytest.approx(1.0, abs=1e-6)
    assert agreement(space(1), space(2)) < 0.5


def test_the_worse_of_text_and_picture_counts() -> None:
    one, other = space(1), space(2)
    assert agreement(one, Space(one.text, other.image)) < SAME
    assert agreement(one, Space(other.text, one.image)) < SAME


def test_only_what_both_answer_is_compared() -> None:
    one = space(1)
    assert agreement(one, Space(one.text, None)) > SAME


@pytest.mark.parametrize(
    "other", [space(1, 256), Space(None, None), Space(None, space(1).text)], ids=["length", "nothing", "no pair"]
)
def test_lengths_that_differ_and_nothing_in_common_are_no_agreement(other: Space) -> None:
    assert agreement(space(1, image=False), other) == -1.0


def test_vectors_need_not_have_unit_length_to_be_compared() -> None:
    one = space(1)
    assert one.text is not None
    assert agreement(Space(one.text * 7, None), one) > SAME


def test_an_index_without_spaces_has_none() -> None:
    assert decode(None) == {}
    assert decode({}) == {}


def _half(values: list[float]) -> str:
    return base64.b64encode(np.array(values, dtype="<f2").tobytes()).decode()


RUBBISH: dict[str, Any] = {
    "a text": "spaces",
    "a list": [1],
    "a field that is a text": {"v": "abc"},
    "a field of null": {"v": None},
    "a field without anything": {"v": {}},
    "an unknown input": {"v": {"sound": _half([1.0])}},
    "no base64": {"v": {"text": "not base64!"}},
    "letters outside ASCII": {"v": {"text": "grün"}},
    "a number": {"v": {"text": 7}},
    "null": {"v": {"text": None}},
    "an odd number of bytes": {"v": {"text": base64.b64encode(b"abc").decode()}},
    "cut": {"v": {"text": _half([1.0, 2.0])[:-3]}},
    "empty": {"v": {"text": ""}},
    "zeros": {"v": {"text": _half([0.0, 0.0])}},
    "not a number": {"v": {"text": _half([1.0, float("nan")])}},
    "infinite": {"v": {"text": _half([1.0, float("inf")])}},
    "two lengths": {"v": {"text": _half([1.0]), "image": _half([1.0, 2.0])}},
}


@pytest.mark.parametrize("value", RUBBISH.values(), ids=RUBBISH)
def test_a_hand_edited_space_is_refused_by_name(value: Any) -> None:
    with pytest.raises(ProvisionError, match=r"^index products-1: _meta\.spaces") as caught:
        decode(value, source="index products-1: _meta.spaces")
    assert "migrate" in caught.value.hint
    if isinstance(value, dict):
        assert "_meta.spaces.v" in caught.value.message
