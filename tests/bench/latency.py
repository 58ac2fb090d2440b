"""A hybrid `_search` against the sum of its parts: embedding the query twice, two kNN searches, one match."""

import itertools
import json
import statistics
from collections.abc import Callable, Mapping
from typing import Any

from opensearchpy import OpenSearch
from ratio import Ratio, compare, seconds

QUERIES = (
    "wine glass",
    "a red teapot",
    "warm light for the bedroom",
    "blue chair",
    "gift for a football fan",
    "steel pan",
)
REPEATS = 30


def measure(client: OpenSearch, runtime: Any, index: str, template: str, rounds: int = 5) -> Ratio:
    """Median latency of `REPEATS` searches, in milliseconds, against the sum of the medians of the parts."""
    texts = itertools.cycle(QUERIES)

    def hybrid() -> float:
        body = {"id": template, "params": {"size": 10}}

        def ask() -> None:
            body["params"] = {"size": 10, "text": next(texts)}
            client.transport.perform_request("POST", f"/{index}/_search/template", body=body)

        return _median(ask)

    def parts() -> float:
        text = next(texts)
        minilm = _invoke(runtime, "neuralshelf-minilm", [text])[0]
        clip = _invoke(runtime, "neuralshelf-clip", {"inputText": text})["embedding"]
        return (
            _median(lambda: _invoke(runtime, "neuralshelf-minilm", [next(texts)]))
            + _median(lambda: _invoke(runtime, "neuralshelf-clip", {"inputText": next(texts)}))
            + _median(lambda: _search(client, index, {"knn": {"text_vector": {"vector": minilm, "k": 100}}}))
            + _median(lambda: _search(client, index, {"knn": {"image_vector": {"vector": clip, "k": 100}}}))
            + _median(lambda: _search(client, index, {"match": {"title": next(texts)}}))
        )

    return compare("hybrid search ÷ sum of its parts (2 embed, 2 kNN, match)", "ms", hybrid, parts, rounds)


def _median(ask: Callable[[], object]) -> float:
    return 1000 * float(statistics.median(seconds(ask) for _ in range(REPEATS)))


def _search(client: OpenSearch, index: str, query: Mapping[str, Any]) -> None:
    body = {"size": 10, "_source": {"excludes": ["*_vector"]}, "query": query}
    client.search(index=index, body=body, params={"search_pipeline": "_none"})


def _invoke(runtime: Any, endpoint: str, body: Any) -> Any:
    answer = runtime.invoke_endpoint(
        EndpointName=endpoint, ContentType="application/json", Body=json.dumps(body).encode()
    )
    return json.loads(answer["Body"].read())
