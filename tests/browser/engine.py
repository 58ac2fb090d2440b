"""A small OpenSearch in memory, for the page: it answers what the gateway asks, in the shapes of the real one.

It plugs in under the opensearch-py client, as its connection, so everything above that is the real thing.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opensearchpy import Connection, OpenSearch
from opensearchpy import ConnectionError as NoConnection

ADDRESS = "http://cluster.internal.example:9200"
PASSWORD = "p4ss-w0rd-of-the-cluster"
LEGS = ("keyword", "text_vector", "image_vector")
FACETS = ("brand", "kind", "colour", "material")


@dataclass
class Engine:
    """Products, and what is wrong with the cluster.

    Attributes:
        products: id -> document, with `image_path` below `folder`.
        away: nothing answers.
        models_away: what needs a model fails.
        refusal: status and reason that every search gets instead of hits.
        searches: bodies of `_search` as they arrived, as text.
    """

    products: Mapping[str, Mapping[str, Any]]
    folder: Path
    away: bool = False
    models_away: bool = False
    refusal: tuple[int, str] | None = None
    searches: list[str] = field(default_factory=list)

    def client(self) -> OpenSearch:
        """An opensearch-py client whose requests end up here."""
        engine = self

        class InMemory(Connection):
            def perform_request(self, method: str, url: str, *args: Any, **options: Any) -> Any:
                body = options.get("body", args[1] if len(args) > 1 else None)
                status, answer = engine.answer(url, body.decode() if isinstance(body, bytes) else body)
                if status >= 400:
                    self._raise_error(status, json.dumps(answer), "application/json")
                return status, {"content-type": "application/json"}, json.dumps(answer)

        return OpenSearch(ADDRESS, http_auth=("shop", PASSWORD), connection_class=InMemory, max_retries=0)

    def answer(self, path: str, body: str | None) -> tuple[int, Any]:
        """Status and content for one request."""
        if self.away:
            raise NoConnection("N/A", f"refused: {ADDRESS}", OSError("refused"))
        if path == "/":
            return 200, {"version": {"number": "3.6.0"}}
        asked = json.loads(body or "{}")
        if path == "/_render/template":
            return 200, {"template_output": rendered(asked["id"], asked["params"])}
        assert path.startswith("/products/_search"), path
        if "aggs" in asked:
            return 200, self._facets()
        if "ids" in asked["query"]:
            wanted = asked["query"]["ids"]["values"]
            hits = [{"_id": one, "_source": self.products[one]} for one in wanted if one in self.products]
            return 200, {"hits": {"hits": hits}}
        assert body is not None
        self.searches.append(body)
        return self._search(asked)

    def _search(self, body: Mapping[str, Any]) -> tuple[int, Any]:
        query = body["query"]
        needs_model = "hybrid" in query or "neural" in query
        refusal = (503, "Error communicating with remote model") if needs_model and self.models_away else self.refusal
        if refusal is not None:
            cause = {"type": "status_exception", "reason": refusal[1]}
            return refusal[0], {"error": {**cause, "root_cause": [cause]}, "status": refusal[0]}
        text, image = str(body["_asked"].get("text", "")), body["_asked"].get("image")
        found = [
            (self._score(document, text.lower().split(), image), identity)
            for identity, document in self.products.items()
            if passes(document, body["_asked"])
        ]
        if text or image:
            found = [(score, identity) for score, identity in found if score > 0]
        found.sort(key=lambda hit: (-hit[0], hit[1]))
        start, size = int(body["from"]), int(body["size"])
        hits = [
            {"_id": identity, "_score": score, "_source": self.products[identity]}
            for score, identity in found[start : start + size]
        ]
        total = {"value": len(found), "relation": "eq"}
        return 200, {"took": 7, "timed_out": False, "hits": {"total": total, "max_score": 1.0, "hits": hits}}

    def _score(self, document: Mapping[str, Any], words: list[str], image: str | None) -> float:
        have = f"{document['title']} {document['kind']} {document['colour']}".lower()
        score = sum(word in have for word in words) / max(1, len(words))
        if image is not None:
            stored = base64.b64encode(
                (self.folder / str(document["image_path"]).partition("/")[2]).read_bytes()
            ).decode()
            alike = 1.0 if stored == image else 0.5 + hashlib.sha256(stored.encode()).digest()[0] / 1024
            score = (score + alike) / 2 if words else alike
        return score

    def _facets(self) -> dict[str, Any]:
        groups: dict[str, Any] = {}
        for facet in FACETS:
            buckets: dict[str, dict[str, Any]] = {}
            for document in self.products.values():
                example = {"hits": {"hits": [{"_source": {"image_path": document["image_path"]}}]}}
                value = str(document[facet])
                bucket = buckets.setdefault(value, {"key": value, "doc_count": 0, "example": example})
                bucket["doc_count"] += 1
            groups[facet] = {"buckets": list(buckets.values())}
        prices = [document["price"] for document in self.products.values()]
        groups["price"] = {"count": len(prices), "min": min(prices, default=None), "max": max(prices, default=None)}
        total = {"value": len(self.products), "relation": "eq"}
        return {"took": 1, "hits": {"total": total, "hits": []}, "aggregations": groups}


def passes(document: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    """Whether the filters among `asked` leave `document`."""
    kept = all(document[facet] in asked[facet] for facet in FACETS if asked.get(facet))
    return kept and asked.get("price_min", 0) <= document["price"] <= asked.get("price_max", 1e9)


def rendered(template: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """What the stored templates make of `params`, without the filters' exact form; `_asked` repeats the parameters."""
    body: dict[str, Any] = {"from": str(params.get("from", 0)), "size": str(params.get("size", 10))}
    if "weights" in params:
        weights = [float(params["weights"][leg]) for leg in LEGS]
        combination = {"technique": "arithmetic_mean", "parameters": {"weights": weights}}
        normalised = {
            "normalization-processor": {"normalization": {"technique": "min_max"}, "combination": combination}
        }
        body["search_pipeline"] = {"phase_results_processors": [normalised]}
    asked = {name: value for name, value in params.items() if name not in ("from", "size", "weights")}
    text, image = params.get("text"), params.get("image")
    match = {"multi_match": {"query": text, "fields": ["title^3", "description"]}}
    neural = {"query_text": text} | ({"query_image": image} if image else {})
    if "keyword" in template:
        body["query"] = {"bool": {"must": [match if text else {"match_all": {}}]}}
    elif text:
        legs = [{"neural": {"text_vector": {"query_text": text}}}, {"neural": {"image_vector": neural}}]
        body["query"] = {"hybrid": {"pagination_depth": 100, "queries": [match, *legs]}}
    elif image:
        body["query"] = {"neural": {"image_vector": {"query_image": image, "k": 100}}}
    else:
        body["query"] = {"bool": {"filter": [{"match_all": {}}]}}
    return body | {"_asked": asked}
