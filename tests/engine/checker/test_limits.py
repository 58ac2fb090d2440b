"""What the tables of docs/queries.md say without showing it: inner hits, ends of pages, nested vectors."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from opensearchpy import OpenSearch, TransportError

from neuralshelf.checker import check
from neuralshelf.checker.live import read_facts

from .building import TENANT, WORDS, body, hybrid, knn, of, vector_legs
from .conftest import K, Shelf

Json = Any

# a sort by _id is what the checker asks for with search_after; the engine calls it deprecated, once a day
pytestmark = pytest.mark.filterwarnings("ignore:Loading the fielddata on the _id field")


def test_inner_hits_are_not_ranked_by_the_joined_score(shelves: Sequence[Shelf]) -> None:
    shelf = shelves[0]
    sent = body(hybrid(*vector_legs()), 30, collapse={"field": "product", "inner_hits": {"name": "views", "size": 3}})
    hits = shelf.client.search(index=shelf.index, body=sent)["hits"]["hits"]
    first = [hit["inner_hits"]["views"]["hits"]["hits"][0] for hit in hits]
    assert any(inner["_id"] != hit["_id"] for inner, hit in zip(first, hits, strict=True))
    assert max(inner["_score"] for inner in first) > 1


def after(shelf: Shelf, sort: Json, values: Json, size: int = 50) -> list[Json]:
    """The hits that follow `values` in an order by fields."""
    sent = body(hybrid(*vector_legs()), size, sort=sort, **({"search_after": values} if values else {}))
    return list(shelf.client.search(index=shelf.index, body=sent)["hits"]["hits"])


def walk(shelf: Shelf, sort: Json) -> list[Json]:
    """Hits of all pages by search_after."""
    seen = page = after(shelf, sort, None)
    while page:
        page = after(shelf, sort, page[-1]["sort"])
        seen = seen + page
    return seen


def test_search_after_ends_in_an_error_on_several_shards_and_passes_over_equals(shelves: Sequence[Shelf]) -> None:
    one, three = shelves
    by_price, by_category = [{"price": "asc"}, {"_id": "asc"}], [{"category": "asc"}]
    total = one.client.search(index=one.index, body=body(hybrid(*vector_legs()), 0))["hits"]["total"]["value"]
    assert len({hit["_id"] for hit in walk(one, by_price)}) == total
    assert len({hit["_id"] for hit in walk(one, by_category)}) < total
    *_, last_but_one, last = after(three, [{"price": "desc"}, {"_id": "desc"}], None, 2)[::-1]
    with pytest.raises(TransportError) as refused:  # a single hit is left, on one of three shards
        after(three, by_price, last_but_one["sort"])
    assert refused.value.status_code == 500
    assert "no_such_element" in str(refused.value.info)
    assert last["sort"] > last_but_one["sort"]


@pytest.fixture(scope="module")
def parts(client: OpenSearch, shelves: Sequence[Shelf]) -> Iterator[str]:
    """An index whose vectors are in a nested field, a part a document."""
    vector = {"type": "knn_vector", "dimension": 384, "space_type": "cosinesimil"}
    nested = {"type": "nested", "properties": {"vector": {**vector, "method": {"name": "hnsw", "engine": "lucene"}}}}
    properties = {"title": {"type": "text"}, "tenant": {"type": "keyword"}, "parts": nested}
    pipeline: Json = {"phase_results_processors": [{"normalization-processor": {}}]}
    client.transport.perform_request("PUT", "/_search/pipeline/parts", body=pipeline)
    settings = {"index.knn": True, "index.number_of_replicas": 0, "index.search.default_pipeline": "parts"}
    client.indices.create(index="parts", body={"settings": settings, "mappings": {"properties": properties}})
    lines: list[Json] = []
    for identity, document in list(shelves[0].oracle.documents.items())[:200]:
        kept = {key: document[key] for key in ("title", "tenant")}
        lines += [{"index": {"_id": identity}}, {**kept, "parts": [{"vector": document["text_vector"]}]}]
    assert not client.bulk(body=lines, index="parts", refresh=True)["errors"]
    yield "parts"
    client.indices.delete(index="parts")
    client.transport.perform_request("DELETE", "/_search/pipeline/parts")


def test_a_filter_of_the_hybrid_query_gets_into_nested_vectors(
    client: OpenSearch, shelves: Sequence[Shelf], parts: str
) -> None:
    facts = read_facts(client, parts, shelves[0].configured)
    inside = {"nested": {"path": "parts", "query": {"knn": {"parts.vector": knn(5)["knn"]["text_vector"]}}}}
    sent = body(hybrid(WORDS, inside, filter=TENANT), 5)
    found = check(facts, sent)
    assert (found.word, found.findings[-1].issue) == ("rewritten", "neural-search #1759")
    exact = shelves[0].oracle.scores(knn(10_000))
    first = [one.id for one in exact if int(one.id[1:]) < 200 and of("t3")(shelves[0].oracle.documents[one.id])][:5]
    asked = {name: client.search(index=parts, body=one) for name, one in (("raw", sent), ("right", found.body))}
    near = {name: {hit["_id"] for hit in answer["hits"]["hits"]} for name, answer in asked.items()}
    everything = client.search(index=parts, body={**dict(found.body or {}), "size": K})["hits"]["hits"]
    assert set(first) <= {hit["_id"] for hit in everything}
    assert near["raw"] != near["right"]
    assert check(facts, found.body).word == "correct"


def test_what_was_reported_and_is_right_in_3_6(shelves: Sequence[Shelf]) -> None:
    """Totals that depended on size (neural-search #756), collapse (#665): correct, and the tables show them so."""
    for shelf in shelves:
        totals = {
            shelf.client.search(index=shelf.index, body=body(size=size))["hits"]["total"]["value"]
            for size in (1, 7, 50)
        }
        assert len(totals) == 1
