"""Distances that OpenSearch gives, held against a table of vectors of three dimensions."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from opensearchpy import OpenSearch

from neuralshelf.connectors.spec import SageMakerText
from neuralshelf.pipelines.index import index_resource
from neuralshelf.pipelines.spec import IndexSpec, SearchSpec, SpaceType, VectorSpec
from neuralshelf.settings import VectorStore

NAME = "distances-test"
ASKED = [3, 1, 2]
# id -> a vector, and its Euclidean distance from ASKED: the square roots of 6, 9, 77 and 99
TABLE = {
    "a": ([4, 2, 4], 2.449489742783178),
    "b": ([6, 1, 2], 3.0),
    "c": ([7, 6, 8], 8.774964387392123),
    "d": ([10, 6, 7], 9.9498743710662),
}


@pytest.fixture(params=["l2", "cosinesimil"])
def space(request: pytest.FixtureRequest, client: OpenSearch) -> Iterator[SpaceType]:
    """An index as the configuration makes it, without pipelines, holding the table."""
    vector = VectorSpec(connector="text", text=("title",), space=request.param)
    index = IndexSpec(name=NAME, fields={"title": "text"}, vectors={"vector": vector})
    search = SearchSpec(keyword=("title",), weights={"keyword": 0.5, "vector": 0.5})
    connector = SageMakerText(kind="sagemaker-text", endpoint="none", dimension=3)
    made = index_resource(
        index, search, {"text": connector}, store=VectorStore(), ingest_pipeline="_none", search_pipeline="_none"
    )
    made = replace(made, name=f"{NAME}-1")
    client.indices.create(index=made.name, body=made.body)
    lines: list[Any] = []
    for identity, (numbers, _) in TABLE.items():
        lines += [{"index": {"_id": identity}}, {"vector": numbers}]
    assert not client.bulk(body=lines, index=NAME, refresh=True)["errors"]
    yield request.param
    client.indices.delete(index=made.name)


def test_scores_are_those_distances_and_the_nearest_comes_first(client: OpenSearch, space: SpaceType) -> None:
    body = {"size": 4, "query": {"knn": {"vector": {"vector": ASKED, "k": 4}}}}
    hits = client.search(index=NAME, body=body)["hits"]["hits"]
    scores = {hit["_id"]: hit["_score"] for hit in hits}
    assert set(scores) == set(TABLE)
    if space == "l2":
        assert list(scores) == ["a", "b", "c", "d"]
        for identity, (_, distance) in TABLE.items():
            square = 1 / scores[identity] - 1  # the score has 24 bits, so that the square is known to five digits
            assert square == pytest.approx(distance**2, rel=1e-5)
            assert math.sqrt(round(square)) == distance
    else:
        for identity, (numbers, _) in TABLE.items():
            cosine = sum(a * b for a, b in zip(numbers, ASKED, strict=True)) / math.hypot(*numbers) / math.hypot(*ASKED)
            assert 2 * scores[identity] - 1 == pytest.approx(cosine, abs=1e-6)


def test_the_same_distances_come_out_of_an_exact_search(client: OpenSearch, space: SpaceType) -> None:
    if space != "l2":
        pytest.skip("exact distances are compared once")
    script = {
        "source": "knn_score",
        "lang": "knn",
        "params": {"field": "vector", "query_value": ASKED, "space_type": "l2"},
    }
    body = {"size": 4, "query": {"script_score": {"query": {"match_all": {}}, "script": script}}}
    hits = client.search(index=NAME, body=body)["hits"]["hits"]
    assert [math.sqrt(round(1 / hit["_score"] - 1)) for hit in hits] == [distance for _, distance in TABLE.values()]
