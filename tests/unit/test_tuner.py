"""Choosing by nested cross-validation, on legs with a planted truth: what is there is found, and nothing else is."""

import itertools
import random
from collections.abc import Mapping

import numpy as np
import pytest

from neuralshelf.pipelines.spec import SearchSpec
from neuralshelf.relevance.cutoffs import Cutoff
from neuralshelf.relevance.fuse import Fusion, LegAnswer, fuse
from neuralshelf.relevance.legs import Legs, raw_order
from neuralshelf.relevance.measures import per_query
from neuralshelf.relevance.queries import Query
from neuralshelf.relevance.scoring import Scorer, Setting
from neuralshelf.relevance.tuner import Tuned, Tuner, boosts, grouped, neighbours, simplex

LEGS = ("keyword", "text_vector", "image_vector")
SEARCH = SearchSpec(keyword=("title^3", "brand"), weights={"keyword": 0.8, "text_vector": 0.1, "image_vector": 0.1})
Judged = dict[str, dict[str, int]]


def shop(queries: int, good: Mapping[str, float], *, seed: int, groups: bool = False) -> tuple[dict[str, Legs], Judged]:
    """Legs over 20 documents: a relevant one's score is so much above chance in each leg as `good` says.

    With `groups`, three documents are a product, and products are judged.
    """
    chance = random.Random(seed)
    legs: dict[str, Legs] = {}
    judged: Judged = {}
    for number in range(queries):
        relevant = {f"d{each}": chance.randint(1, 3) for each in chance.sample(range(20), 3)}
        made = []
        for leg in LEGS:
            scores = {f"d{each}": chance.random() + good.get(leg, 0.0) * (f"d{each}" in relevant) for each in range(20)}
            best = sorted(scores, key=lambda name: -scores[name])[:12]
            product = (lambda name: f"p{int(name[1:]) // 3}") if groups else (lambda name: None)
            made.append([LegAnswer(name, scores[name], 0, int(name[1:]), product(name)) for name in best])
        judged[f"q{number}"] = {f"p{int(name[1:]) // 3}" if groups else name: 2 for name in relevant}
        legs[f"q{number}"] = Legs(dict.fromkeys((SEARCH.keyword, *boosts(SEARCH.keyword)), made[0]), made[1:])
    return legs, judged


def two_kinds(texts: int, pictured: int, *good: Mapping[str, float], seed: int) -> tuple[dict[str, Legs], Judged]:
    """`shop` of queries q0, q1, … by text, and p0, p1, … with a picture, to which the legs are so `good`."""
    legs, judged = shop(texts, good[0], seed=seed)
    more, of_these = shop(pictured, good[1], seed=seed + 1000)
    legs |= {name.replace("q", "p"): each for name, each in more.items()}
    judged |= {name.replace("q", "p"): each for name, each in of_these.items()}
    return legs, judged


def tuned(legs: Mapping[str, Legs], judged: Judged, search: SearchSpec = SEARCH, seed: int = 0) -> Tuned:
    pictured = [name for name in legs if name.startswith("p")]
    scorer = Scorer(legs, judged, Cutoff.parse("nDCG@10"), pictured=pictured)
    return Tuner(scorer, search, LEGS, range(len(legs))).tune(seed)


def test_a_leg_that_knows_more_gets_the_weight() -> None:
    found = tuned(*shop(40, {"keyword": 0.2, "text_vector": 0.6}, seed=1))
    keyword, text, image = found.winner.fusion.weights
    assert text > keyword
    assert text > image
    assert found.accepted
    assert found.against["keyword"].p < 0.001
    assert found.means["tuned"] > max(found.means[name] for name in ("configured", "keyword", "image_vector"))


def test_nothing_is_better_than_keyword_search_where_only_that_knows_anything() -> None:
    found = tuned(*shop(40, {"keyword": 0.6}, seed=2))
    assert not found.accepted


def test_where_nobody_knows_anything_what_looks_best_is_not() -> None:
    legs, judged = shop(40, {}, seed=4)
    found = tuned(legs, judged)
    assert not found.accepted
    how = Fusion("min_max", "arithmetic_mean", (0.0, 0.0, 0.0))
    on_its_own_queries = Scorer(legs, judged, Cutoff.parse("nDCG@10")).values(SEARCH.keyword, how, simplex(3, 10))
    assert on_its_own_queries.mean(axis=1).max() > found.means["tuned"]


@pytest.mark.extended
@pytest.mark.timeout(6_000)
@pytest.mark.parametrize("pictured", [0, 20])
def test_chance_is_seldom_accepted(pictured: int) -> None:
    """p < 0.05, so 3 of 60 tries at the most on average; 9 or more would be one in four hundred."""
    assert sum(tuned(*two_kinds(40 - pictured, pictured, {}, {}, seed=seed)).accepted for seed in range(60)) <= 8


def test_kinds_that_want_opposite_weights_get_their_own() -> None:
    found = tuned(*two_kinds(20, 20, {"text_vector": 0.7}, {"image_vector": 0.7}, seed=20))
    assert found.freedom == "weights by kind"
    assert found.held_out["weights by kind"] > found.held_out["weights"] + 0.03
    assert found.winner.picture_weights is not None
    assert np.argmax(found.winner.fusion.weights) == LEGS.index("text_vector")
    assert np.argmax(found.winner.picture_weights) == LEGS.index("image_vector")
    assert found.accepted
    assert found.tried > 66**2
    assert {kind: (each.queries, each.groups) for kind, each in found.kinds.items()} == {
        "text": (20, 20),
        "text+picture": (20, 20),
    }
    for name, mean in found.means.items():
        assert sum(each.means[name] for each in found.kinds.values()) / 2 == pytest.approx(mean)
    assert found.kinds["text"].means["text_vector"] > found.kinds["text"].means["image_vector"] + 0.1


def test_kinds_that_want_the_same_share_one_weighting() -> None:
    good = {"keyword": 0.1, "text_vector": 0.7}
    found = tuned(*two_kinds(20, 20, good, good, seed=21))
    assert found.freedom == "weights"
    assert found.winner.picture_weights is None
    assert found.accepted


def test_a_kind_of_few_queries_gets_no_weights_of_its_own() -> None:
    found = tuned(*two_kinds(20, 9, {"text_vector": 0.7}, {"image_vector": 0.9}, seed=22))
    assert "weights by kind" not in found.held_out
    assert (found.apart, found.winner.picture_weights) == (False, None)
    assert found.kinds["text+picture"].queries == 9


def test_configured_picture_weights_stay_where_their_queries_are_few() -> None:
    own = {"keyword": 0.0, "text_vector": 0.5, "image_vector": 0.5}
    search = SearchSpec.parse({**SEARCH.model_dump(), "picture_weights": own}, "values")
    found = tuned(*two_kinds(20, 9, {"text_vector": 0.7}, {}, seed=23), search)
    assert "weights by kind" not in found.held_out
    assert found.winner.picture_weights == (0.0, 0.5, 0.5)
    assert found.winner.fusion.weights != (0.8, 0.1, 0.1)
    assert all(each.picture_weights == (0.0, 0.5, 0.5) for each in found.chosen)


def test_where_nothing_helps_the_configuration_stays() -> None:
    legs, judged = shop(40, {"keyword": 0.3}, seed=6)
    same = {name: Legs(each.keyword, [each.keyword[SEARCH.keyword]] * 2) for name, each in legs.items()}
    found = tuned(same, judged)
    assert (found.freedom, found.winner) == ("nothing", found.chosen[0])
    assert found.winner == Setting(SEARCH.keyword, Fusion("min_max", "arithmetic_mean", (0.8, 0.1, 0.1)))
    assert not found.accepted


def test_boosts_that_help_are_found() -> None:
    legs, judged = shop(40, {"keyword": 0.1, "text_vector": 0.3}, seed=7)
    better, _ = shop(40, {"keyword": 0.9}, seed=7)
    helpful = ("title^6", "brand")
    assert helpful in boosts(SEARCH.keyword)
    mixed = {
        name: Legs({**each.keyword, helpful: next(iter(better[name].keyword.values()))}, each.vectors)
        for name, each in legs.items()
    }
    found = tuned(mixed, judged)
    assert (found.freedom, found.winner.keyword) == ("boosts", helpful)


def test_the_same_seed_gives_the_same() -> None:
    made = shop(30, {"text_vector": 0.3}, seed=8)
    assert tuned(*made, seed=5) == tuned(*made, seed=5)


@pytest.mark.parametrize("collapse", [False, True])
def test_values_are_those_of_fuse_measured_by_ir_measures(collapse: bool) -> None:
    legs, judged = shop(12, {"text_vector": 0.3}, seed=9, groups=collapse)
    scorer = Scorer(legs, judged, Cutoff.parse("nDCG@10"), collapse=collapse)
    for how in (Fusion("z_score", "arithmetic_mean", (0.2, 0.5, 0.3)), Fusion("min_max", "rrf", (0.1, 0.2, 0.7), 20)):
        run = {
            name: fuse((each.keyword[SEARCH.keyword], *each.vectors), how, collapse=collapse)
            for name, each in legs.items()
        }
        if collapse:
            run = {name: [LegAnswer(str(one.group), one.score) for one in found] for name, found in run.items()}
        wanted = per_query(run, judged, ["nDCG@10"])["nDCG@10"]
        assert scorer.of(Setting(SEARCH.keyword, how)).tolist() == pytest.approx([wanted[name] for name in legs])


def test_queries_with_a_picture_are_measured_by_their_own_weights() -> None:
    legs, judged = two_kinds(6, 6, {"text_vector": 0.3}, {"image_vector": 0.3}, seed=12)
    scorer = Scorer(legs, judged, Cutoff.parse("nDCG@10"), pictured=[name for name in legs if name.startswith("p")])
    how = Fusion("min_max", "arithmetic_mean", (0.2, 0.5, 0.3))
    own = Setting(SEARCH.keyword, how, (0.1, 0.0, 0.9))
    assert own.fusion_of(pictured=True) == Fusion("min_max", "arithmetic_mean", (0.1, 0.0, 0.9))
    texts, pictures = (
        scorer.of(Setting(SEARCH.keyword, own.fusion_of(pictured=pictured))).tolist() for pictured in (False, True)
    )
    assert scorer.of(own).tolist() == texts[:6] + pictures[6:]


def test_a_leg_alone_is_measured_as_it_was_answered() -> None:
    legs, judged = shop(12, {"text_vector": 0.3}, seed=10)
    scorer = Scorer(legs, judged, Cutoff.parse("nDCG@10"))
    wanted = per_query({name: raw_order(each.vectors[0]) for name, each in legs.items()}, judged, ["nDCG@10"])
    assert scorer.alone(1, SEARCH.keyword).tolist() == pytest.approx([wanted["nDCG@10"][name] for name in legs])


def test_groups_are_in_one_fold_whole() -> None:
    legs, judged = shop(40, {}, seed=11)
    groups = [number // 3 for number in range(40)]
    tuner = Tuner(Scorer(legs, judged, Cutoff.parse("nDCG@10")), SEARCH, LEGS, groups)
    folds = tuner._folds(np.arange(40), 0)
    assert sorted(itertools.chain.from_iterable(test.tolist() for _, test in folds)) == list(range(40))
    for train, test in folds:
        assert not {groups[each] for each in train} & {groups[each] for each in test}
        assert 6 <= len(test) <= 10


def test_queries_with_the_same_words_or_answers_are_a_group() -> None:
    queries = [
        Query("a", "Red  mug"),
        Query("b", "mug red"),
        Query("c", "cup"),
        Query("d", "cup for tea"),
        Query("e", "sofa"),
    ]
    judged = {"a": {"d1": 3}, "b": {"d2": 1}, "c": {"d2": 2, "d9": 0}, "d": {"d3": 1}, "e": {"d4": 1}}
    found = grouped(queries, judged)
    assert found[0] == found[1] == found[2]
    assert len({found[0], found[3], found[4]}) == 3


@pytest.mark.parametrize(("legs", "count"), [(2, 11), (3, 66), (4, 286)])
def test_the_grid_holds_all_tenths(legs: int, count: int) -> None:
    found = simplex(legs, 10)
    assert len(set(found)) == count
    assert all(sum(round(weight * 10) for weight in weights) == 10 for weights in found)


def test_neighbours_move_half_a_step_and_never_below_zero() -> None:
    assert set(neighbours((1.0, 0.0))) == {(0.95, 0.05)}
    assert len(neighbours((0.3, 0.3, 0.4))) == 6
    assert all(sum(weights) == pytest.approx(1) and min(weights) >= 0 for weights in neighbours((0.05, 0.95, 0.0)))


def test_boosts_change_one_field_at_a_time_and_leave_one() -> None:
    assert boosts(("title^3", "brand")) == [
        ("brand",),
        ("title^1.5", "brand"),
        ("title^6", "brand"),
        ("title^3",),
        ("title^3", "brand^0.5"),
        ("title^3", "brand^2"),
    ]
    assert boosts(("title",)) == [("title^0.5",), ("title^2",)]
