"""Nobody fetches an address that a document, a row or a question names: a socket that would hear of it stays silent."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from opensearchpy import TransportError

from neuralshelf.bulk import send
from tests.faults.addresses import Listener, listening
from tests.faults.conftest import FIELDS, Shop


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as opened:
        yield opened


def test_the_listener_hears(listener: Listener) -> None:
    assert not listener.heard()
    with socket.create_connection(("127.0.0.1", listener.port)):
        assert listener.heard()


@pytest.mark.parametrize("logical", ["picture", "titan"])
def test_a_document_whose_picture_is_an_address_is_refused_and_nothing_is_fetched(
    shop: Shop, listener: Listener, logical: str
) -> None:
    addresses = listener.addresses()
    good = shop.documents(logical, 1)
    bad = {name: {FIELDS[logical]: address} for name, address in addresses.items()}
    failed = send(shop.client, shop.index, {**bad, **good})
    assert failed.keys() == bad.keys()
    for name, failure in failed.items():
        assert not failure.may_pass, addresses[name]
        assert "UrlNotFetched" in failure.reason or "InvalidBase64" in failure.reason, failure.reason
    assert shop.kept().keys() == good.keys()
    assert not listener.heard()


def test_an_address_as_text_is_only_text(shop: Shop, listener: Listener) -> None:
    titles = {name: {"title": address} for name, address in listener.addresses().items()}
    assert not send(shop.client, shop.index, titles)
    assert not listener.heard()


def test_a_question_with_an_address_for_a_picture_is_refused_and_nothing_is_fetched(
    shop: Shop, listener: Listener
) -> None:
    shop.kept()
    for vector in ("image_vector", "photo_vector"):
        for address in listener.addresses().values():
            query: dict[str, Any] = {"neural": {vector: {"query_image": address, "k": 1}}}
            with pytest.raises(TransportError, match=r"UrlNotFetched|InvalidBase64"):
                shop.client.search(index=shop.index, body={"query": query})
    assert not listener.heard()
