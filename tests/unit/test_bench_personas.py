"""People of the personalisation benchmark: the ranker knows nothing that they pick, and who has no taste shows none."""

import random
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from personas import NOW, Ask, Behaviour, Person, Shop
from questions import Breadth, Facet, broad
from trial import BLENDS, WEIGHTS, Trial

from neuralshelf.personalisation.blending import blended
from neuralshelf.relevance.run import Answer

KINDS = ("cup", "hat", "drum", "sofa", "vase", "lamp", "ball", "chair", "clock", "pan")
COLOURS = ("red", "blue")
ROWS = {
    f"{kind}-{colour}-{n}": {"kind": kind, "colour": colour} for kind in KINDS for colour in COLOURS for n in range(4)
}
CATEGORIES = {product: row["kind"] for product, row in ROWS.items()}
BEHAVIOUR = Behaviour(people=20, liking=0.8, events=60, asks=4)


def shop() -> Shop:
    questions = broad(ROWS, (Facet(("colour",), "something {}"),), CATEGORIES, Breadth(categories=3))
    likeable = {product: frozenset({f"kind={kind}"}) for product, kind in CATEGORIES.items()}
    judged = {"a cup": {product: 3 for product, kind in CATEGORIES.items() if kind == "cup"}}
    return Shop(likeable, {text: each.products for text, each in questions.items()}, judged)


def of(group: str, people: Sequence[Person]) -> list[Person]:
    return [person for person in people if person.group == group]


def test_what_people_did_lies_before_all_they_pick() -> None:
    for person in shop().population(BEHAVIOUR):
        assert all(one.at < NOW for one in person.history)
        assert all(ask.at > NOW for ask in person.asks)
        assert {one.user for one in person.history} == {person.name}


def test_a_seed_gives_the_same_people_and_another_one_others() -> None:
    assert shop().population(BEHAVIOUR) == shop().population(BEHAVIOUR)
    assert shop().population(BEHAVIOUR) != shop().population(Behaviour(20, 0.8, 60, 4, seed=1))


def test_more_people_leave_those_that_there_are_as_they_are() -> None:
    few, many = (shop().population(Behaviour(number, asks=4)) for number in (3, 5))
    assert {person.name: person for person in few}.items() <= {person.name: person for person in many}.items()


def test_who_has_a_taste_keeps_to_it_and_who_has_none_does_anything_alike() -> None:
    people = shop().population(BEHAVIOUR)
    for person in of("taste", people):
        share = sum(f"kind={CATEGORIES[one.item]}" in person.likes for one in person.history) / len(person.history)
        assert share > 0.6, person.name
    done = Counter(CATEGORIES[one.item] for person in of("neutral", people) for one in person.history)
    assert max(done.values()) < 1.5 * min(done.values())
    picked = Counter[str]()
    for person in of("neutral", people):
        for ask in person.asks:
            picked.update({CATEGORIES[product]: times for product, times in ask.picks.items() if not ask.precise})
    assert max(picked.values()) < 3 * min(picked.values())


def test_who_changed_likes_other_things_than_the_history_tells() -> None:
    shares = []
    for person in of("changed", shop().population(BEHAVIOUR)):
        shares.append(sum(f"kind={CATEGORIES[one.item]}" in person.likes for one in person.history) / 60)
    assert 0.15 < sum(shares) / len(shares) < 0.45  # three of ten kinds: no more than chance


def test_picks_answer_the_question_and_a_precise_question_is_what_it_says() -> None:
    where = shop()
    for person in where.population(BEHAVIOUR):
        for ask in person.asks:
            assert (
                ask.picks == where.judged[ask.question]
                if ask.precise
                else set(ask.picks) <= set(where.questions[ask.question])
            )


def test_questions_leave_something_open() -> None:
    both = (Facet(("kind",)), Facet(("colour",)))
    assert set(broad(ROWS, both, CATEGORIES, Breadth(categories=3))) == {"blue", "red"}
    assert set(broad(ROWS, both, CATEGORIES, Breadth(categories=1))) == {"blue", "red", *KINDS}
    assert not broad(ROWS, both, CATEGORIES, Breadth(categories=3, share=0.4))


ANSWERS = tuple(
    Answer(product, 1.0 - place / 100) for place, product in enumerate(random.Random(0).sample(sorted(ROWS), len(ROWS)))
)


def trial() -> Trial:
    where = shop()
    return Trial(where, dict.fromkeys([*where.questions, *where.judged], ANSWERS), CATEGORIES, candidates=80)


def test_somebody_unknown_gains_and_loses_nothing() -> None:
    people = shop().population(BEHAVIOUR)
    outcome = trial().outcome(people, {person.name: "nobody knows me" for person in people})
    for part in outcome.parts:
        found = outcome.gain(part, 0.7)
        assert (found.mean, found.low, found.high) == (0, 0, 0)


def test_a_taste_is_worth_something_to_its_owner_and_nothing_to_others() -> None:
    people = shop().population(BEHAVIOUR)
    mine = trial().outcome(people)
    assert mine.gain(("taste", False), 0.7).low > 0.05
    names = [person.name for person in people]
    others = trial().outcome(people, dict(zip(names, [*names[7:], *names[:7]], strict=True)))
    assert others.gain(("taste", False), 0.7).mean < mine.gain(("taste", False), 0.7).mean / 2


def test_a_weight_is_chosen_on_other_people() -> None:
    """Of each fold one weight, and another one's values decide it."""
    outcome = trial().outcome(shop().population(BEHAVIOUR))
    before = outcome.chosen
    fold = {person.name for people in outcome.parts.values() for person in people[::5]}
    spoilt = {
        weight: {pair: float(weight == 0.0) if pair[0] in fold else value for pair, value in of_weight.items()}
        for weight, of_weight in outcome.values.items()
    }
    after = type(outcome)(outcome.people, spoilt).chosen
    assert {after[name] for name in fold} == {before[name] for name in fold}
    assert len({before[name] for name in fold}) == 1


@pytest.mark.parametrize("blend", ["linear", "geometric"])
def test_weight_0_is_the_order_of_the_search_and_1_that_of_preference(blend: str) -> None:
    found = [Answer("a", 0.9), Answer("b", 0.8), Answer("c", 0.3), Answer("d", 0.1)]
    items, liked = {"a": "x", "b": "y", "c": "z", "d": "y"}, {"x": 0.1, "y": 0.6, "z": 0.3}
    pages = Trial(shop(), {"q": found}, items, BLENDS[blend]).pages("q", liked, (0.0, 1.0))
    assert [each.id for each in pages[0.0]] == ["a", "b", "c", "d"]
    assert [each.id for each in pages[1.0]] == ["b", "d", "c", "a"]


def test_blended_is_what_geometric_says() -> None:
    """What the cluster does (personalisation/blending.py) is one of the blends, and the default."""
    items, scores, liked = ("x", "y", "z", "y"), (0.9, 0.8, 0.3, 0.1), {"x": 0.2, "y": 0.5, "z": 0.3}
    answers = [Answer(str(place), score) for place, score in enumerate(scores)]
    pages = Trial(shop(), {"q": answers}, {str(n): item for n, item in enumerate(items)}).pages("q", liked, WEIGHTS)
    for weight, page in pages.items():
        assert [int(each.id) for each in page] == [hit.place for hit in blended(items, scores, liked, weight)]


def test_a_judgement_by_taste_tells_what_is_liked_from_what_only_answers() -> None:
    where = shop()
    person = of("taste", where.population(BEHAVIOUR))[0]
    graded = Trial(where, {}, {}, graded=True)
    grades = graded._grades(person, Ask("something red", NOW + 1, {}))
    assert set(grades) == set(where.questions["something red"])
    assert {product for product, grade in grades.items() if grade == 3} == {
        product for product in grades if f"kind={CATEGORIES[product]}" in person.likes
    }
