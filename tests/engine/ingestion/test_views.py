"""A product that has fewer pictures than before leaves documents behind: exactly these are found."""

from collections.abc import Iterator

import pytest
from opensearchpy import OpenSearch

from neuralshelf.errors import EngineError
from neuralshelf.ingestion import documents
from neuralshelf.ingestion.catalogue import view_id
from neuralshelf.ingestion.documents import stale_views
from neuralshelf.pipelines.spec import IndexSpec, VectorSpec

INDEX = IndexSpec(
    name="views-test",
    fields={"title": "text", "sku": "keyword"},
    vectors={"image_vector": VectorSpec(connector="picture", image="image")},
    product="sku",
)


@pytest.fixture(scope="module")
def filled(client: OpenSearch) -> Iterator[OpenSearch]:
    """300 products of three views each, and some documents that are others'."""
    client.indices.create(
        index=INDEX.name,
        body={
            "settings": {"number_of_shards": 2, "number_of_replicas": 0},
            "mappings": {"dynamic": "strict", "properties": {"sku": {"type": "keyword"}}},
        },
    )
    own = [(view_id(f"p{product}", view), f"p{product}") for product in range(300) for view in (1, 2, 3)]
    others = [("p1/x", "p1"), ("p1/٣", "p1"), ("other", "p1"), ("p9/7", "p9/7"), ("p2/3/4", "p2/3")]
    lines: list[dict[str, object]] = []
    for identity, product in own + others:
        lines += [{"index": {"_id": identity}}, {"sku": product}]
    assert not client.bulk(body=lines, index=INDEX.name, refresh=True)["errors"]
    yield client
    client.indices.delete(index=INDEX.name)


def test_exactly_the_views_that_products_no_longer_have_are_stale(filled: OpenSearch) -> None:
    products = {f"p{product}": 1 + product % 4 for product in range(250)} | {"new": 2}
    expected = {view_id(name, view) for name, views in products.items() for view in range(views + 1, 4)}
    expected.discard("new/3")
    found = stale_views(filled, INDEX, products)
    assert sorted(found) == sorted(expected)


def test_more_views_than_one_answer_holds_are_all_found(filled: OpenSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "RESULT_WINDOW", 8)
    monkeypatch.setattr(documents, "MAX_VIEWS", 1)
    found = stale_views(filled, INDEX, {f"p{product}": 1 for product in range(50)})
    assert sorted(found) == sorted(f"p{product}/{view}" for product in range(50) for view in (2, 3))


def test_without_the_setting_nothing_is_stale_and_nothing_asked(client: OpenSearch) -> None:
    assert stale_views(client, INDEX.model_copy(update={"product": None, "name": "nowhere"}), {"p1": 1}) == []


def test_an_index_that_can_t_be_searched_is_one_line(client: OpenSearch) -> None:
    with pytest.raises(EngineError, match=r"index nowhere: .*no such index.*; next:"):
        stale_views(client, INDEX.model_copy(update={"name": "nowhere"}), {"p1": 1})
