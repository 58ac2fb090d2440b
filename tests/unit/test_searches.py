"""Whether an ingest knows that people search, and that they have to wait."""

import time
from typing import Any

import pytest

from neuralshelf.ingestion import searches
from neuralshelf.ingestion.searches import READING, SearchWatch
from tests.waiting import until

SHARDS = 2


class Index:
    """Counts searches as an index of two shards does; each takes so long."""

    def __init__(self) -> None:
        self.count, self.seconds = 0, 0.0
        self.indices = self

    def stats(self, **_: Any) -> Any:
        return {"_shards": {"total": SHARDS}, "_all": {"total": {"search": {"query_total": self.count}}}}

    def ask(self) -> None:
        time.sleep(self.seconds)
        self.count += SHARDS


@pytest.fixture
def index() -> Index:
    return Index()


def watch(index: Index) -> SearchWatch:
    return SearchWatch(index, "shop", index.ask, every=0.02)  # type: ignore[arg-type]


def test_its_own_searches_are_not_those_of_others(index: Index) -> None:
    with watch(index) as found:
        time.sleep(0.3)
        assert not found.searching
        assert (found.readings, found.suffering) == (0, False)


def test_others_are_noticed_and_forgotten_when_they_are_gone(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searches, "CALM_SECONDS", 0.2)
    with watch(index) as found:
        while not found.searching:
            index.count += SHARDS
            time.sleep(0.01)
        until(lambda: not found.searching)


def test_they_suffer_when_two_of_a_reading_take_longer_than_before(index: Index) -> None:
    with watch(index) as found:
        for seconds, suffering in ((0.0, False), (0.1, True), (0.0, False)):
            index.seconds = seconds
            begun = found.readings
            while found.readings < begun + 2:  # the first one may be of both times
                index.count += SHARDS
                time.sleep(0.01)
            assert found.suffering is suffering, seconds
    assert READING > 2
