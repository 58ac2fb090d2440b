"""deploy and undeploy broken off at every call: the next run comes to the same end, and nothing is left over."""

from collections.abc import Callable

import pytest

from tests.aws.account import everything
from tests.aws.shop import Shop
from tests.aws.wiretap import Killed, Look, Wiretap, at_write, nothing

# Before a call an account is as it was after the last one.
moments = pytest.mark.parametrize("moment", [pytest.param("before", marks=pytest.mark.extended), "after"])


def kill(tap: Wiretap, moment: str, look: Look, work: Callable[[], object]) -> bool:
    """Whether the work was broken off."""
    setattr(tap, moment, look)
    try:
        work()
    except Killed:
        return True
    finally:
        tap.before = tap.after = nothing
    return False


@moments
def test_a_deploy_killed_at_any_call_is_finished_by_the_next(shop: Shop, tap: Wiretap, moment: str) -> None:
    shop.deployer().deploy()
    whole, calls = everything(), len(tap.writes)
    shop.deployer().undeploy()
    for number in range(calls):
        assert kill(tap, moment, at_write(number), shop.deployer().deploy), number
        shop.deployer().deploy()
        assert everything() == whole, number
        assert shop.deployer().deploy() == ()
        shop.deployer().undeploy()
        assert everything() == set(), number
    assert not kill(tap, moment, at_write(calls), shop.deployer().deploy)


@moments
def test_an_update_killed_at_any_call_is_finished_by_the_next(shop: Shop, tap: Wiretap, moment: str) -> None:
    shop.deployer().deploy()
    first = everything()
    number = 0
    while True:
        shop.pack("clip", b"clip, second")
        killed = kill(tap, moment, at_write(number), shop.deployer().deploy)
        served = [line for line in everything() if line.startswith("endpoint shop-")]
        assert len(served) == 2, "an endpoint was away meanwhile"
        shop.deployer().deploy()
        assert len(everything()) == len(first)
        assert shop.deployer().deploy() == ()
        shop.pack("clip", b"clip, first")
        shop.deployer().deploy()
        assert everything() == first, number
        number += 1
        if not killed:
            break
    assert number == 8


@moments
def test_an_undeploy_killed_at_any_call_is_finished_by_the_next(shop: Shop, tap: Wiretap, moment: str) -> None:
    number, killed = 0, True
    while killed:
        shop.deployer().deploy()
        killed = kill(tap, moment, at_write(number), shop.deployer().undeploy)
        shop.deployer().undeploy()
        assert everything() == set(), number
        number += 1
    assert number > 8


def test_ctrl_c_says_that_it_goes_on(shop: Shop, tap: Wiretap, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(service: str, operation: str, parameters: dict[str, object]) -> None:
        if operation == "CreateModel":
            raise KeyboardInterrupt

    tap.before = interrupt
    assert shop.run("deploy") == 130
    assert "do it again: it goes on" in capsys.readouterr().err
    tap.before = nothing
    assert shop.run("deploy") == 0
