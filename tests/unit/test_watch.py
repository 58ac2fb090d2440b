"""When the watch reads, and what it does with credentials that were refused."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from pydantic import SecretStr

from neuralshelf.connectors.runtime import Runtime
from neuralshelf.errors import ConfigError, LockedError, NeuralshelfError, ProvisionError
from neuralshelf.provision import watch as module
from neuralshelf.provision.rotate import Rotation
from neuralshelf.provision.watch import _Watched


def runtime(secret: str, minutes: float | None = None) -> Runtime:
    ends = None if minutes is None else datetime.now(UTC) + timedelta(minutes=minutes)
    return Runtime("us-east-1", access_key=SecretStr("AKIA"), secret_key=SecretStr(secret), expires=ends)


class Cluster:
    """In the place of `rotate`: takes down what it is given, and refuses while `fault` is set."""

    def __init__(self) -> None:
        self.given: list[str] = []
        self.fault: NeuralshelfError | None = None

    def rotate(self, client: object, deployment: object, found: Runtime, say: Callable[[str], None]) -> Rotation:
        assert found.secret_key is not None
        self.given.append(found.secret_key.get_secret_value())
        if self.fault is not None:
            raise self.fault
        return Rotation(("connector/a",), ("model/a",), 0.1, 70.0, found.expires)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster()
    monkeypatch.setattr(module, "rotate", made.rotate)
    return made


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def watched(said: list[str]) -> _Watched:
    nothing: Any = None
    return _Watched(nothing, nothing, said.append, lambda _: None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Monotonic seconds; set the last entry."""
    now = [1000.0]
    monkeypatch.setattr("neuralshelf.provision.watch.time.monotonic", lambda: now[-1])
    return now


def test_what_is_in_force_is_not_written_again(cluster: Cluster, watched: _Watched, said: list[str]) -> None:
    for secret in ("a", "a", "b", "b", "a"):
        watched.look(lambda secret=secret: runtime(secret))  # type: ignore[misc]
    assert cluster.given == ["a", "b", "a"]
    assert said == []


@pytest.mark.parametrize(
    ("minutes", "every", "least", "most"),
    [
        (None, 60, 60, 60),
        (60, 60, 60, 60),
        (60, 7200, 49 * 60, 50 * 60),  # ten minutes before the end in any case
        (9, 7200, 15, 15),
        (-1, 7200, 15, 15),
        (9, 5, 5, 5),
    ],
)
@pytest.mark.usefixtures("cluster")
def test_it_reads_again_ten_minutes_before_the_end(
    watched: _Watched, minutes: float | None, every: float, least: float, most: float
) -> None:
    watched.look(lambda: runtime("a", minutes))
    assert least <= watched.pause(every) <= most


def test_an_end_that_is_near_and_one_that_is_past_are_told(
    cluster: Cluster, watched: _Watched, said: list[str]
) -> None:
    for found in (runtime("a", 5), runtime("b", -1)):
        for _ in range(2):
            watched.look(lambda found=found: found)  # type: ignore[misc]
    assert "end in 5 min, and there are no newer ones" in said[0]
    assert "have expired" in said[1]


def test_refused_credentials_are_tried_less_and_less_often_and_others_at_once(
    cluster: Cluster, watched: _Watched, clock: list[float], said: list[str]
) -> None:
    cluster.fault = ProvisionError("model/a: the endpoint does not answer (403)", hint="check the credentials")
    tried = []
    for second in range(0, 4000, 5):
        clock[-1] = 1000.0 + second
        before = len(cluster.given)
        watched.look(lambda: runtime("wrong"))
        tried += [second] if len(cluster.given) > before else []
    pauses = [b - a for a, b in pairwise(tried)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (15, 600)
    assert len(said) == len(tried)
    watched.look(lambda: runtime("other"))
    assert cluster.given[-1] == "other"
    cluster.fault = None
    watched.look(lambda: runtime("right"))
    assert cluster.given[-1] == "right"
    assert watched.pause(60) == 60


def test_refused_credentials_are_tried_sooner_when_those_in_force_are_about_to_end(
    cluster: Cluster, watched: _Watched, clock: list[float]
) -> None:
    watched.look(lambda: runtime("a", 4))
    cluster.fault = ProvisionError("model/a: the endpoint does not answer (503)")
    tried = []
    for second in range(0, 1200, 5):
        clock[-1] = 1000.0 + second
        before = len(cluster.given)
        watched.look(lambda: runtime("b"))
        tried += [second] if len(cluster.given) > before else []
    assert max(b - a for a, b in pairwise(tried)) <= 60


def test_the_lock_of_another_says_nothing_about_the_credentials(cluster: Cluster, watched: _Watched) -> None:
    cluster.fault = LockedError("held by ann")
    for _ in range(3):
        watched.look(lambda: runtime("a"))
    assert cluster.given == ["a", "a", "a"]


def test_what_can_t_be_read_leaves_what_is_in_force_and_is_looked_for_again(
    cluster: Cluster, watched: _Watched, said: list[str]
) -> None:
    def missing() -> Runtime:
        raise ConfigError("secret file key can't be read", hint="check path and mode")

    watched.look(lambda: runtime("a"))
    pauses = []
    for _ in range(4):
        watched.look(missing)
        pauses.append(watched.pause(100))
    assert pauses == [15, 30, 60, 100]
    assert cluster.given == ["a"]
    assert all("the connectors stay as they are" in line for line in said)
    watched.look(lambda: runtime("a"))
    assert watched.pause(100) == 100
    assert cluster.given == ["a"]
