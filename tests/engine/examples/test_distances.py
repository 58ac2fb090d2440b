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


def told(space: SpaceType, numbers: list[int], distance: float) -> float:
    """The score that k-NN gives for a row of the table."""
    if space == "l2":
        return 1 / (1 + distance**2)
    cosine = sum(a * b for a, b in zip(numbers, ASKED, strict=True)) / math.hypot(*numbers) / math.hypot(*ASKED)
    return (1 + cosine) / 2


@pytest.mark.parametrize("exact", [False, True], ids=["approximate", "exact"])
def test_scores_are_those_of_the_space_and_give_the_distances_back(
    client: OpenSearch, space: SpaceType, exact: bool
) -> None:
    script = {
        "source": "knn_score",
        "lang": "knn",
        "params": {"field": "vector", "query_value": ASKED, "space_type": space},
    }
    query: Any = {"knn": {"vector": {"vector": ASKED, "k": 4}}}
    if exact:
        query = {"script_score": {"query": {"match_all": {}}, "script": script}}
    hits = client.search(index=NAME, body={"size": 4, "query": query})["hits"]["hits"]
    scores = {hit["_id"]: hit["_score"] for hit in hits}
    expected = {identity: told(space, *row) for identity, row in TABLE.items()}
    assert scores == {identity: pytest.approx(score, rel=1e-6) for identity, score in expected.items()}
    assert list(scores) == sorted(expected, key=lambda identity: -expected[identity])
    if space == "l2":
        # the score has 24 bits, enough to tell which whole number is squared
        assert {i: math.sqrt(round(1 / score - 1)) for i, score in scores.items()} == {
            i: d for i, (_, d) in TABLE.items()
        }
