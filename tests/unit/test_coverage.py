"""What a stamp says about a vector, and sets of ids."""

import pytest

from neuralshelf.ingestion.coverage.comparison import Ids
from neuralshelf.ingestion.coverage.coverage import EXAMPLES, Scan, State, Tally, state
from neuralshelf.pipelines.spec import IndexSpec, VectorSpec
from neuralshelf.pipelines.stamps import digest, restamped, stamp, together

TEXT = VectorSpec(connector="text", text=("title", "brand"))
PICTURE = VectorSpec(connector="picture", image="image")
JOINT = VectorSpec(connector="titan", text=("title",), image="image")
NOW = "shop-v2"
MUG = stamp(NOW, "red mug")
BOTH = stamp(NOW, together("red mug", digest("cGlj")))


@pytest.mark.parametrize(
    ("vector", "source", "there", "expected"),
    [
        (TEXT, {"title": " red ", "brand": "mug", "v_from": MUG}, True, State.PRESENT),
        (TEXT, {"title": "blue mug", "v_from": MUG}, True, State.STALE),
        (TEXT, {"title": "red mug", "v_from": MUG}, False, State.MISSING),
        (TEXT, {"title": "red mug"}, True, State.UNSTAMPED),
        (TEXT, {"title": "red mug", "v_from": stamp("shop-v1", "red mug")}, True, State.FOREIGN),
        (TEXT, {"title": " ", "v_from": MUG}, True, State.STALE),
        (TEXT, {"price": 1.0}, False, State.WITHOUT),
        (PICTURE, {"v_from": stamp(NOW, "cGlj")}, True, State.PRESENT),
        (PICTURE, {"v_from": stamp("shop-v1", "cGlj")}, True, State.FOREIGN),
        (PICTURE, {}, True, State.UNSTAMPED),
        (PICTURE, {"v_from": stamp(NOW, "cGlj")}, False, State.MISSING),
        (PICTURE, {}, False, State.WITHOUT),
        (JOINT, {"title": "red mug", "v_from": BOTH, "v_picture": digest("cGlj")}, True, State.PRESENT),
        (JOINT, {"title": "red mug", "v_from": MUG, "v_picture": digest("cGlj")}, True, State.STALE),
        (JOINT, {"title": "blue mug", "v_from": BOTH, "v_picture": digest("cGlj")}, True, State.STALE),
        (JOINT, {"title": "red mug", "v_from": MUG}, True, State.PRESENT),
        (JOINT, {}, False, State.WITHOUT),
    ],
)
def test_a_stamp_tells_how_a_vector_is(
    vector: VectorSpec, source: dict[str, object], there: bool, expected: State
) -> None:
    assert state("v", vector, source, there=there, generation=NOW) is expected


def test_a_known_picture_tells_more() -> None:
    source = {"v_from": stamp(NOW, "cGlj")}
    found = [state("v", PICTURE, source, there=True, generation=NOW, picture=p) for p in ("cGlj", "b3RoZXI=", None)]
    assert found == [State.PRESENT, State.STALE, State.PRESENT]
    assert state("v", PICTURE, {}, there=False, generation=NOW, picture="cGlj") is State.MISSING


def test_a_tally_keeps_the_first_ids_alone() -> None:
    tally = Tally()
    for number in range(100):
        tally.add("stale", f"d{number}")
        tally.add("present")
    assert tally.counts == {"stale": 100, "present": 100}
    assert tally.examples == {"stale": [f"d{number}" for number in range(EXAMPLES)]}


def test_a_set_of_ids_knows_what_is_in_it() -> None:
    ids = Ids()
    assert "a" not in ids
    ids = Ids()
    for number in range(5000):
        ids.add(f"id {number}")
    assert all(f"id {number}" in ids for number in range(5000))
    assert not any(f"other {number}" in ids for number in range(5000))


def test_stamps_are_carried_from_one_generation_alone() -> None:
    assert restamped(MUG, NOW, "shop-v3") == stamp("shop-v3", "red mug")
    assert restamped(MUG, "shop-v1", "shop-v3") == MUG


def test_states_of_a_document_are_those_of_all_its_vectors() -> None:
    index = IndexSpec(name="shop", fields={"title": "text"}, vectors={"a": JOINT, "b": PICTURE})
    scan = Scan(None, "shop-1", index, NOW)  # type: ignore[arg-type]
    assert scan.states({"title": "x"}, there={"b"}) == {"a": State.MISSING, "b": State.UNSTAMPED}
