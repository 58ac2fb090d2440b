"""How often a document is tried, how long that takes, and what is left behind."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from neuralshelf import bulk
from neuralshelf.bulk import MAX_ATTEMPTS, index_all, send
from neuralshelf.connectors.spec import INGEST_TUNING
from tests.faults.conftest import CONNECTOR_RETRIES, READ_TIMEOUT, Shop

WITH_HEADER = ("429 throttling", "400 throttling", "503 throttling")
"""What carries `x-amzn-ErrorType: ThrottlingException`: the only thing that ML Commons 3.6.0 repeats by itself."""

WITHOUT = ("429 text", "429 retry-after", "400 null", "500", "503", "424 crashed", "hang", "cut body")


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "FIRST_PAUSE_SECONDS", 0.001)


def calls(shop: Shop) -> int:
    return shop.models.calls


@pytest.mark.parametrize("logical", ["text", "picture", "titan"])
@pytest.mark.parametrize("fault", WITH_HEADER)
def test_the_connector_repeats_throttling_as_often_as_its_specification_says(
    shop: Shop, logical: str, fault: str
) -> None:
    before = calls(shop)
    shop.models.share(1.0, [fault])
    assert send(shop.client, shop.index, shop.documents(logical, 1)).keys() == {"d0"}
    assert calls(shop) - before == 1 + CONNECTOR_RETRIES


@pytest.mark.parametrize("fault", WITHOUT)
def test_the_connector_repeats_nothing_else(shop: Shop, fault: str) -> None:
    before = calls(shop)
    shop.models.share(1.0, [fault])
    assert send(shop.client, shop.index, shop.documents("picture", 1)).keys() == {"d0"}
    assert calls(shop) - before == 1


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("fault", ["429 throttling", "500"])
def test_calls_for_a_document_that_never_gets_in_are_the_product_of_both_limits_at_most(shop: Shop, fault: str) -> None:
    before = calls(shop)
    shop.models.share(1.0, [fault])
    (outcome,) = index_all(shop.client, shop.index, shop.documents("picture", 1))
    assert outcome.attempts == MAX_ATTEMPTS
    assert outcome.error
    repeated = 1 + CONNECTOR_RETRIES if fault in WITH_HEADER else 1
    assert calls(shop) - before == MAX_ATTEMPTS * repeated


def test_as_shipped_that_product_is_36() -> None:
    assert MAX_ATTEMPTS * (1 + INGEST_TUNING.max_retry_times) == 36


def test_a_throttled_document_gets_in_once_the_model_has_time(shop: Shop) -> None:
    shop.models.script("429 throttling", "400 throttling", "429 text", "400 null")
    (outcome,) = index_all(shop.client, shop.index, shop.documents("picture", 1))
    assert outcome.error is None
    assert shop.kept().keys() == {"d0"}


def sockets() -> int:
    """Sockets of this process, those of the toy model server in it included."""
    return sum(target.startswith("socket:") for target in _open_files())


def _open_files() -> Iterator[str]:
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            yield str(link.readlink())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks into /proc")
@pytest.mark.parametrize("fault", ["hang", "slow", "cut before", "cut head", "cut body"])
def test_a_document_fails_in_time_alone_and_leaves_no_socket_and_no_thread(shop: Shop, fault: str) -> None:
    good = shop.documents("picture", 12)
    assert not send(shop.client, shop.index, good)  # connections are open now
    open_before, threads_before = sockets(), threading.active_count()
    bad = shop.documents("titan", 4, name="bad")
    shop.models.share(1.0, [fault], path="titan")
    begun = time.monotonic()
    failed = send(shop.client, shop.index, {**bad, **good})
    assert failed.keys() == bad.keys()
    assert all(failure.may_pass for failure in failed.values())
    assert time.monotonic() - begun < READ_TIMEOUT + 2
    shop.models.heal()
    assert shop.kept().keys() == good.keys()
    end = time.monotonic() + 10
    while (shop.models.open or sockets() > open_before) and time.monotonic() < end:
        time.sleep(0.05)
    assert shop.models.open == 0
    assert sockets() <= open_before
    assert threading.active_count() <= threads_before
    assert not send(shop.client, shop.index, bad)
