"""The cluster itself is overloaded, rejects single items, or takes no writes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from opensearchpy import OpenSearch

from neuralshelf import bulk
from neuralshelf.bulk import MAX_ATTEMPTS, index_all, send
from neuralshelf.client import connect
from neuralshelf.errors import EngineError
from neuralshelf.settings import ClusterConfig
from tests.engine.provision.wire import Instead, Request
from tests.faults.conftest import Shop


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "FIRST_PAUSE_SECONDS", 0.001)


@pytest.fixture
def wired(shop: Shop) -> Iterator[OpenSearch]:
    """A client that goes by way of the wire."""
    wire = shop.project.wire
    client = connect(ClusterConfig(provider="url", url=wire.url))
    wire.clear()
    yield client
    wire.clear()
    client.close()


def ids(request: Request) -> list[str]:
    """Documents of a bulk, in its order."""
    return [json.loads(line)["index"]["_id"] for line in request.body.splitlines()[::2]]


def rejected(request: Request, some: set[str]) -> Instead:
    """The cluster's answer when its write queue is full for some of the items, and all others got in."""
    error = {"type": "rejected_execution_exception", "reason": "rejected execution of primary operation"}
    items: list[dict[str, Any]] = []
    for identity in ids(request):
        result = {"status": 429, "error": error} if identity in some else {"status": 201, "result": "created"}
        items.append({"index": {"_id": identity, **result}})
    return Instead(200, {"took": 1, "errors": True, "items": items})


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_bulk_that_the_cluster_is_too_busy_for_is_sent_again(shop: Shop, wired: OpenSearch, status: int) -> None:
    refusals = iter(range(2))

    def busy(request: Request) -> None:
        if next(refusals, None) is not None:
            raise Instead(status, {"error": {"type": "busy", "reason": "busy"}, "status": status})

    shop.project.wire.before = busy
    documents = shop.documents("text", 5)
    outcomes = index_all(wired, shop.index, documents)
    assert {(outcome.attempts, outcome.error) for outcome in outcomes} == {(3, None)}
    assert len(shop.project.wire.requests) == 3
    assert shop.kept().keys() == documents.keys()


def test_of_a_bulk_only_the_rejected_items_are_sent_again(shop: Shop, wired: OpenSearch) -> None:
    some = {"d1", "d3"}

    def full(request: Request) -> None:
        if len(shop.project.wire.requests) <= 2:
            raise rejected(request, some)

    shop.project.wire.before = full
    outcomes = index_all(wired, shop.index, shop.documents("text", 5))
    assert [sorted(ids(request)) for request in shop.project.wire.requests] == [
        ["d0", "d1", "d2", "d3", "d4"],
        ["d1", "d3"],
        ["d1", "d3"],
    ]
    assert {outcome.id: outcome.attempts for outcome in outcomes} == {"d0": 1, "d2": 1, "d4": 1, "d1": 3, "d3": 3}


def test_items_that_are_always_rejected_end_with_their_code_after_the_last_attempt(
    shop: Shop, wired: OpenSearch
) -> None:
    def full(request: Request) -> None:
        raise rejected(request, {"d1"})

    shop.project.wire.before = full
    outcomes = {outcome.id: outcome for outcome in index_all(wired, shop.index, shop.documents("text", 2))}
    assert outcomes["d0"].error is None
    assert (outcomes["d1"].code, outcomes["d1"].attempts) == ("rejected_execution_exception", MAX_ATTEMPTS)
    assert len(shop.project.wire.requests) == MAX_ATTEMPTS


def test_pauses_grow_are_bounded_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    longest = [max(bulk.pause(attempt) for _ in range(200)) for attempt in range(1, 9)]
    assert all(seconds <= bulk.LONGEST_PAUSE_SECONDS for seconds in longest)
    assert longest[0] < 0.6 < longest[4]
    assert len({bulk.pause(3) for _ in range(20)}) == 20


@pytest.mark.parametrize("block", ["read_only_allow_delete", "write"])
def test_an_index_that_takes_no_writes_is_told_from_a_bad_document(shop: Shop, block: str) -> None:
    where = f"{shop.index}-1"
    shop.client.indices.put_settings(index=where, body={f"index.blocks.{block}": True})
    try:
        failed = send(shop.client, shop.index, shop.documents("text", 3))
    finally:
        shop.client.indices.put_settings(index=where, body={f"index.blocks.{block}": None})
    assert len(failed) == 3
    assert all(failure.blocked for failure in failed.values()), failed
    assert not send(shop.client, shop.index, shop.documents("text", 3))


def test_a_bulk_refused_for_good_is_an_error_that_says_so(shop: Shop, wired: OpenSearch) -> None:
    def never(request: Request) -> None:
        raise Instead(403, {"error": {"type": "security_exception", "reason": "no permissions"}, "status": 403})

    shop.project.wire.before = never
    with pytest.raises(EngineError, match="403"):
        index_all(wired, shop.index, shop.documents("text", 1))
    assert len(shop.project.wire.requests) == 1
