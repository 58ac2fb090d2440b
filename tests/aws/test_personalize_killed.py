"""personalize broken off at every call: the next run comes to the same end, and nothing is left over."""

import pytest

from tests.aws.account import client, everything
from tests.aws.ranked import data, provisioner, ranked
from tests.aws.shop import BUCKET, Shop
from tests.aws.test_killed import kill, moments
from tests.aws.wiretap import Wiretap, at_write


@pytest.fixture
def taste(shop: Shop) -> Shop:
    """The shop with its bucket and nothing of Personalize."""
    client("s3").create_bucket(Bucket=BUCKET)
    return ranked(shop)


def shape(lines: set[str]) -> set[str]:
    """What is there without the ids that AWS draws."""
    return {line.rsplit("/", 1)[0] if "event-tracker/" in line or "-ranking/" in line else line for line in lines}


@moments
def test_an_up_killed_at_any_call_is_finished_by_the_next(taste: Shop, tap: Wiretap, moment: str) -> None:
    empty, learned = everything(), data(taste)
    tap.calls.clear()
    provisioner(taste).up(learned)
    whole, calls = shape(everything()), len(tap.writes)
    provisioner(taste).down()
    for number in range(calls):
        assert kill(tap, moment, at_write(number), lambda: provisioner(taste).up(learned)), number
        provisioner(taste).up(learned)
        assert shape(everything()) == whole, number
        assert provisioner(taste).up(learned) == (), number
        provisioner(taste).down()
        assert everything() == empty, number
    assert not kill(tap, moment, at_write(calls), lambda: provisioner(taste).up(learned))


@moments
def test_a_down_killed_at_any_call_is_finished_by_the_next(taste: Shop, tap: Wiretap, moment: str) -> None:
    empty, learned = everything(), data(taste)
    number, killed = 0, True
    while killed:
        provisioner(taste).up(learned)
        killed = kill(tap, moment, at_write(number), provisioner(taste).down)
        provisioner(taste).down()
        assert everything() == empty, number
        number += 1
    assert number > 8


def test_another_training_killed_at_any_call_is_finished_by_the_next(taste: Shop, tap: Wiretap) -> None:
    provisioner(taste).up(data(taste))
    whole, number, killed = shape(everything()), 0, True
    while killed:
        learned = data(taste, kind=f"vase{number}")
        killed = kill(tap, "after", at_write(number), lambda learned=learned: provisioner(taste).up(learned))  # type: ignore[misc]
        provisioner(taste).up(learned)
        assert provisioner(taste).up(learned) == (), number
        assert shape(everything()) == whole, number
        number += 1
    assert number == 5
