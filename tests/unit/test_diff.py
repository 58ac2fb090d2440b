"""Differences, path by path."""

import json

from hypothesis import given
from hypothesis import strategies as st

from neuralshelf.provision.diff import SHOWN, Difference, differences

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)


def test_a_changed_an_added_and_a_removed_key_are_one_difference_each() -> None:
    wanted = {"a": {"b": 1, "c": [1, 2]}, "d": "x"}
    live = {"a": {"b": 2, "c": [1, 2]}, "e": None}
    assert differences(wanted, live) == (
        Difference("a.b", "1", "2"),
        Difference("d", '"x"', None),
        Difference("e", None, "null"),
    )


def test_an_item_put_into_a_list_is_one_difference_and_not_one_for_each_item_after_it() -> None:
    processors = [{"fail": n} for n in range(5)]
    edited = [processors[0], {"set": {}}, *processors[1:]]
    assert differences(processors, edited) == (Difference("[1]", None, '{"set": {}}'),)
    assert differences(edited, processors) == (Difference("[1]", '{"set": {}}', None),)


def test_a_change_deep_inside_an_item_of_a_list_is_named_by_its_path() -> None:
    wanted = [{"fail": {"if": "a"}}, {"text_embedding": {"model_id": "M1", "batch_size": 16}}]
    live = [{"fail": {"if": "a"}}, {"text_embedding": {"model_id": "M2", "batch_size": 16}}]
    assert differences({"processors": wanted}, {"processors": live}) == (
        Difference("processors[1].text_embedding.model_id", '"M1"', '"M2"'),
    )


def test_long_texts_are_shown_from_where_they_part() -> None:
    script = "int a = 1; " * 100
    (found,) = differences(script + "return a;", script + "return b;")
    assert found.wanted is not None
    assert "return a;" in found.wanted
    assert found.live is not None
    assert "return b;" in found.live
    assert len(found.wanted) <= SHOWN


def test_numbers_and_booleans_are_not_the_same() -> None:
    assert differences({"x": 1}, {"x": True}) == (Difference("x", "1", "true"),)


def test_what_may_be_a_secret_is_not_shown() -> None:
    live = {
        "headers": {"Authorization": "Bearer hunter2"},
        "credential": {"secret_key": "hunter2"},
        "apiKey": "hunter2",
    }
    wanted = {"headers": {"Authorization": "Bearer other"}}
    found = differences(wanted, live)
    assert {d.path for d in found} == {"headers.Authorization", "credential", "apiKey"}
    assert "hunter2" not in "".join(map(str, found))
    assert "hunter2" not in "".join(map(str, differences({}, {"actions": [{"headers": live}]})))


@given(JSON)
def test_a_value_does_not_differ_from_itself(value: object) -> None:
    assert differences(value, json.loads(json.dumps(value))) == ()


@given(JSON, JSON)
def test_values_that_differ_have_a_difference(a: object, b: object) -> None:
    assert bool(differences(a, b)) == (json.dumps(a, sort_keys=True) != json.dumps(b, sort_keys=True))
