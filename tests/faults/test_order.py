"""Vectors of a batch in another order, or too many of them: OpenSearch takes them as they come.

`verify` finds that afterwards. A batch of one text can't be mixed up: `batch_size: 1` of a connector is the safe
choice for a model that is not trusted, at the price of one call a document.
"""

from pathlib import Path

import pytest

from neuralshelf.bulk import send
from tests.faults.conftest import BATCH, Shop
from tests.faults.ledger import Goods, indexed, wrong

MIXED_UP = ("other order", "shifted")


@pytest.mark.parametrize("name", MIXED_UP)
def test_mixed_up_batches_get_in_and_verify_names_them(shop: Shop, name: str) -> None:
    shop.models.share(1.0, [name])
    documents = shop.documents("text", 10 * BATCH)
    assert not send(shop.client, shop.index, documents)
    shop.models.heal()
    bad = wrong(indexed(shop.client, shop.index), titles(documents))
    assert len(bad) >= 7 * BATCH
    found = shop.project.run("verify", "--json", code=1).json
    (check,) = [check for check in found["checks"] if check["name"] == "kept-vectors" and not check["ok"]]
    assert any(identity in check["found"] for identity in bad), check


@pytest.mark.parametrize("name", MIXED_UP)
def test_a_batch_of_one_cannot_be_mixed_up(shop: Shop, name: str) -> None:
    shop.models.share(1.0, [name])
    documents = shop.documents("text", 6)
    for identity, document in documents.items():
        assert not send(shop.client, shop.index, {identity: document})
    assert not wrong(indexed(shop.client, shop.index), titles(documents))


def test_a_vector_too_many_at_the_end_does_no_harm(shop: Shop) -> None:
    shop.models.share(1.0, ["more"])
    documents = shop.documents("text", 2 * BATCH)
    assert not send(shop.client, shop.index, documents)
    assert not wrong(indexed(shop.client, shop.index), titles(documents))


def titles(documents: dict[str, dict[str, str]]) -> Goods:
    """What must have become of documents of texts alone."""
    return Goods(Path(), {identity: document["title"] for identity, document in documents.items()}, {})
