"""Offline fusion by hand: each rule on numbers small enough to check on paper. The engine itself is asked elsewhere."""

import pytest

from neuralshelf.pipelines.spec import Combination, Normalization
from neuralshelf.relevance.fuse import Fusion, LegAnswer, fuse


def leg(**scores: float) -> list[LegAnswer]:
    """A leg of one shard, best first; documents are numbered by their names."""
    return [LegAnswer(name, score, doc=ord(name[0]) - ord("a")) for name, score in scores.items()]


def fused(legs: list[list[LegAnswer]], *how: object, **more: int) -> dict[str, float]:
    return {answer.id: answer.score for answer in fuse(legs, Fusion(*how, **more))}  # type: ignore[arg-type]


def test_min_max_gives_the_least_a_floor_instead_of_nothing() -> None:
    assert fused([leg(a=4.0, b=3.0, c=2.0)], "min_max", "arithmetic_mean", (1.0,)) == pytest.approx(
        {"a": 1.0, "b": 0.5, "c": 0.001}
    )


@pytest.mark.parametrize("scores", [{"a": 0.2}, {"a": 0.2, "b": 0.2, "c": 0.2}])
def test_min_max_makes_a_single_score_and_equal_scores_one(scores: dict[str, float]) -> None:
    assert set(fused([leg(**scores)], "min_max", "arithmetic_mean", (1.0,)).values()) == {1.0}


def test_l2_divides_by_the_length_of_all_scores() -> None:
    assert fused([leg(a=4.0, b=3.0)], "l2", "arithmetic_mean", (1.0,)) == pytest.approx({"a": 0.8, "b": 0.6})


def test_z_score_is_never_negative_and_leaves_a_score_at_the_mean_the_greatest() -> None:
    found = fused([leg(a=4.0, b=3.0, c=2.0)], "z_score", "arithmetic_mean", (1.0,))
    assert found == pytest.approx({"a": 1.0, "b": 4.0, "c": 0.001})


@pytest.mark.parametrize(
    ("combination", "both", "one"),
    [
        ("arithmetic_mean", 0.25 * 0.8 + 0.75 * 0.6, 0.25 * 0.6),
        ("geometric_mean", 0.8**0.25 * 0.6**0.75, 0.6),  # the absent leg's weight goes too
        ("harmonic_mean", 1 / (0.25 / 0.8 + 0.75 / 0.6), 0.6),
    ],
)
def test_a_mean_of_what_one_leg_has_and_the_other_has_not(combination: Combination, both: float, one: float) -> None:
    found = fused([leg(a=4.0, b=3.0), leg(c=4.0, a=3.0)], "l2", combination, (0.25, 0.75))
    assert found["a"] == pytest.approx(both, abs=1e-6)
    assert found["b"] == pytest.approx(one, abs=1e-6)


def test_rrf_takes_ranks_alone() -> None:
    found = fused([leg(a=400.0, b=0.1), leg(b=7.0)], "min_max", "rrf", (0.4, 0.6), rank_constant=10)
    assert found == pytest.approx({"a": 0.4 / 11, "b": 0.4 / 12 + 0.6 / 11}, abs=1e-6)


def test_ranks_and_extremes_are_those_of_all_shards() -> None:
    one = [LegAnswer("a", 3.0, shard=0), LegAnswer("b", 1.0, shard=0, doc=1)]
    other = [LegAnswer("c", 5.0, shard=1), LegAnswer("d", 2.0, shard=1, doc=1)]
    assert fused([[*one, *other]], "min_max", "arithmetic_mean", (1.0,)) == pytest.approx(
        {"c": 1.0, "a": 0.5, "d": 0.25, "b": 0.001}
    )
    assert fused([[*one, *other]], "min_max", "rrf", (1.0,), rank_constant=1) == pytest.approx(
        {"c": 1 / 2, "a": 1 / 3, "d": 1 / 4, "b": 1 / 5}, abs=1e-6
    )


def test_equal_scores_stand_as_a_hash_table_of_sixteen_lists_them() -> None:
    found = [LegAnswer(str(doc), 1.0, doc=doc) for doc in (3, 17, 19, 33)]
    assert [answer.id for answer in fuse([found], Fusion("l2", "arithmetic_mean", (1.0,)))] == ["33", "17", "19", "3"]


def test_collapse_keeps_the_best_document_of_each_group_and_those_without_one_as_one() -> None:
    def of(name: str, score: float, group: str | None) -> LegAnswer:
        return LegAnswer(name, score, doc=ord(name), group=group)

    words = [of("a", 4.0, "p"), of("b", 3.0, "q"), of("x", 2.0, None), of("y", 1.0, None)]
    vectors = [of("c", 0.9, "p"), of("b", 0.8, "q")]
    found = fuse([words, vectors], Fusion("l2", "arithmetic_mean", (0.5, 0.5)), collapse=True)
    assert [(answer.id, answer.group) for answer in found] == [("b", "q"), ("c", "p"), ("x", None)]


@pytest.mark.parametrize("normalization", ["min_max", "l2", "z_score"])
def test_nothing_found_is_nothing_and_a_score_of_zero_is_not_found(normalization: Normalization) -> None:
    assert fuse([[], []], Fusion(normalization, "arithmetic_mean", (0.5, 0.5))) == []
    assert list(fused([leg(a=1.0, b=0.0), []], normalization, "arithmetic_mean", (0.5, 0.5))) == ["a"]


def test_weights_have_to_match_the_legs() -> None:
    with pytest.raises(ValueError, match="3 weights for 2 legs"):
        fuse([[], []], Fusion("min_max", "arithmetic_mean", (0.2, 0.3, 0.5)))
