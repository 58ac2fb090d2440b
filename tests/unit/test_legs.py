"""Answers of legs in a file: kept, found again, asked anew after a kill or a change."""

from pathlib import Path

from neuralshelf.relevance.fuse import LegAnswer
from neuralshelf.relevance.legs import _boosts, _Kept, raw_order

ANSWERS = {
    "one": [LegAnswer("a\u2028b", 0.1, 1, 7, "p"), LegAnswer("c", 1.0000001192092896)],
    "other": [],
}


def test_what_was_kept_is_found_again_digit_by_digit(tmp_path: Path) -> None:
    _Kept.open(tmp_path, "state").add(ANSWERS)
    assert _Kept.open(tmp_path, "state").answers == ANSWERS


def test_a_line_that_a_kill_cut_off_is_lost_and_no_other(tmp_path: Path) -> None:
    _Kept.open(tmp_path, "state").add(ANSWERS)
    file = next(tmp_path.glob("legs-*.jsonl"))
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        found = _Kept.open(tmp_path, "state")
        assert found.answers.items() <= ANSWERS.items()
        found.add({"third": ANSWERS["one"]})
        assert _Kept.open(tmp_path, "state").answers == {**found.answers, "third": ANSWERS["one"]}


def test_another_state_of_the_index_begins_anew(tmp_path: Path) -> None:
    _Kept.open(tmp_path, "state").add(ANSWERS)
    assert _Kept.open(tmp_path, "other state").answers == {}
    assert len(list(tmp_path.glob("legs-*.jsonl"))) == 1


def test_fields_are_those_of_the_configuration_whatever_sub_field_holds_their_words() -> None:
    assert _boosts(("title^3", "brand")) == _boosts(["title^3", "brand.text"])
    assert _boosts(("title^3", "brand")) != _boosts(["title^2", "brand.text"])
    assert _boosts("title") is None
    assert _boosts(None) is None


def test_a_leg_alone_lists_shards_together() -> None:
    one, two, three = LegAnswer("a", 0.5, 0), LegAnswer("b", 0.9, 1), LegAnswer("c", 0.5, 1)
    assert raw_order([one, two, three]) == [two, one, three]
