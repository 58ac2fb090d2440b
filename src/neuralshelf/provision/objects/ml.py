"""Lists of ML Commons' objects. Names of connectors and models are not unique there."""

from typing import Any

from opensearchpy import NotFoundError, OpenSearch

ML = "/_plugins/_ml"
MOST = 1000


def search_all(client: OpenSearch, kind: str, prefix: str, names: list[str]) -> list[tuple[str, Any]]:
    """(id, source) of every object that may be ours: by its name, or by a marker in its description.

    Args:
        kind: `connectors`, `models` or `model_groups`.
    """
    any_of = [
        {"terms": {"name.keyword": names}},
        {"prefix": {"name.keyword": f"{prefix}-"}},
        {"match_phrase": {"description": f"managed-by neuralshelf ({prefix}/"}},
    ]
    query: dict[str, Any] = {"size": MOST, "query": {"bool": {"should": any_of, "minimum_should_match": 1}}}
    if kind == "models":
        query["query"]["bool"]["must_not"] = {"exists": {"field": "chunk_number"}}
    try:
        answer = client.transport.perform_request("POST", f"{ML}/{kind}/_search", body=query)
    except NotFoundError:  # the system index does not exist before the first object
        return []
    return [(str(hit["_id"]), hit["_source"]) for hit in answer["hits"]["hits"]]
