"""A filter inside the vector clause costs no recall, at one document in a hundred as little as at all of them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from opensearchpy import OpenSearch

Json = Any
DIMENSION, QUERIES, TENANTS = 384, 50, 100
COUNTS = [2_000, pytest.param(10_000, marks=pytest.mark.extended)]
WANTED = 0.95


def clustered(draw: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Unit vectors around 200 centres, float32 [count, 384]: as embeddings, not spread evenly."""
    centres = np.random.default_rng(11).standard_normal((200, DIMENSION))
    rows = centres[draw.integers(200, size=count)] + 0.7 * draw.standard_normal((count, DIMENSION))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


@pytest.fixture(scope="module", params=COUNTS)
def many(client: OpenSearch, request: pytest.FixtureRequest) -> Iterator[NDArray[np.float32]]:
    """Vectors in the index `many`, document N being of tenant N % 100."""
    count: int = request.param
    vectors = np.round(clustered(np.random.default_rng(5), count), 3)
    method = {"name": "hnsw", "engine": "lucene"}
    vector = {"type": "knn_vector", "dimension": DIMENSION, "space_type": "cosinesimil", "method": method}
    properties = {"tenant": {"type": "keyword"}, "vector": vector}
    settings = {"index.knn": True, "index.number_of_replicas": 0}
    client.indices.create(index="many", body={"settings": settings, "mappings": {"properties": properties}})
    for start in range(0, count, 1000):
        lines: list[Json] = []
        for number in range(start, start + 1000):
            lines += [
                {"index": {"_id": str(number)}},
                {"tenant": f"t{number % TENANTS}", "vector": vectors[number].tolist()},
            ]
        assert not client.bulk(body=lines, index="many")["errors"]
    client.indices.refresh(index="many")
    yield vectors
    client.indices.delete(index="many")


def as_the_templates(condition: Json) -> Json:
    """The condition in the form of the stored templates: bools of all filters."""
    one = {"bool": {"should": [condition, {"match_none": {}}]}}
    return {"bool": {"filter": [one, {"match_all": {}}]}}


@pytest.mark.parametrize("form", ["plain", "template"])
def test_recall_at_ten_under_a_filter_of_one_in_a_hundred(
    form: str, client: OpenSearch, many: NDArray[np.float32]
) -> None:
    recall = []
    asked = clustered(np.random.default_rng(6), QUERIES)
    unit = many / np.linalg.norm(many, axis=1, keepdims=True)
    lines: list[Json] = []
    for number, vector in enumerate(asked):
        condition = {"term": {"tenant": f"t{number}"}}
        inside = condition if form == "plain" else as_the_templates(condition)
        query = {"knn": {"vector": {"vector": vector.tolist(), "k": 100, "filter": inside}}}
        lines += [{}, {"size": 10, "_source": False, "query": query}]
    for number, answer in enumerate(client.msearch(body=lines, index="many")["responses"]):
        own = np.arange(number, len(many), TENANTS)
        exact = own[np.argsort(-(unit[own] @ asked[number]))[:10]]
        recall.append(len({int(hit["_id"]) for hit in answer["hits"]["hits"]} & set(exact.tolist())) / 10)
    print(f"recall@10, filter of 1 % of {len(many)} documents, {form}: {np.mean(recall):.4f} over {QUERIES} queries")
    assert np.mean(recall) >= WANTED
