"""The fixed set of requests that the search page may make of the cluster."""

import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from opensearchpy import OpenSearch
from pydantic import Field

from neuralshelf.frozen import Frozen

FACETS = ("kind", "colour", "brand", "material")
MAX_FACET_VALUES = 200
SEARCH_TIMEOUT_SECONDS = 30

Values = tuple[str, ...]


class Filters(Frozen):
    """What narrows a search: any of the values of a field, a range of prices."""

    kind: Values = Field(default=(), max_length=MAX_FACET_VALUES, strict=False)
    colour: Values = Field(default=(), max_length=MAX_FACET_VALUES, strict=False)
    brand: Values = Field(default=(), max_length=MAX_FACET_VALUES, strict=False)
    material: Values = Field(default=(), max_length=MAX_FACET_VALUES, strict=False)
    price_min: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    price_max: float | None = Field(default=None, ge=0, allow_inf_nan=False)

    def params(self) -> dict[str, Any]:
        """As parameters of the stored templates; what isn't narrowed is left out."""
        fields = {name: list(values) for name in FACETS if (values := getattr(self, name))}
        prices = {"price_min": self.price_min, "price_max": self.price_max}
        return fields | {name: price for name, price in prices.items() if price is not None}


class Question(Frozen):
    """What the page asks.

    Attributes:
        image: a picture as base64.
        vector_weight: 0 (words only) to 1 (vectors only); None leaves it to the search pipeline.
        mode: `keyword` asks the template that needs no model.
    """

    text: str = Field(default="", max_length=2000)
    image: str | None = Field(default=None, pattern=r"^[A-Za-z0-9+/]+={0,2}$")
    filters: Filters = Filters()
    vector_weight: float | None = Field(default=None, ge=0, le=1)
    offset: int = Field(default=0, ge=0, le=10_000, alias="from")
    size: int = Field(default=24, ge=1, le=100)
    mode: Literal["hybrid", "keyword"] = "hybrid"

    @property
    def words(self) -> str:
        """The text as it is searched; blank counts as none."""
        return self.text.strip()


class Storefront:
    """Asks one index through its stored templates. Blocking; every method may raise opensearch-py's exceptions."""

    def __init__(self, client: OpenSearch, index: str, template: str) -> None:
        self._client = client
        self.index = index
        self._template = template
        self._keyword_template = f"{template.removesuffix('-search')}-keyword-search"

    def search(self, question: Question) -> dict[str, Any]:
        """Hits, and the exact body of the `_search` that found them.

        The body is text: a browser that writes it again makes 1 of 1.0, which the engine refuses as a weight.
        """
        keyword = question.mode == "keyword"
        params: dict[str, Any] = {"from": question.offset, "size": question.size, **question.filters.params()}
        if question.words:
            params["text"] = question.words
        if question.image and not keyword:
            params["image"] = question.image
        if question.vector_weight is not None and question.words and not keyword:
            params["weights"] = _shifted(self.weights(), question.vector_weight)
        rendered = self._render(self._keyword_template if keyword else self._template, params)
        body = json.dumps(rendered, ensure_ascii=False, indent=2)
        answer = self._client.transport.perform_request(
            "POST", f"/{self.index}/_search", body=body, params={"request_timeout": SEARCH_TIMEOUT_SECONDS}
        )
        hits = answer["hits"]
        return {
            "hits": [{"id": h["_id"], "score": h["_score"], "source": h.get("_source", {})} for h in hits["hits"]],
            "total": hits["total"]["value"],
            "took": answer["took"],
            "body": body,
        }

    def facets(self) -> dict[str, Any]:
        """Values of every facet with their counts, one picture per kind, and the range of prices."""
        terms = {
            name: {"terms": {"field": name, "size": MAX_FACET_VALUES, "order": {"_key": "asc"}}} for name in FACETS
        }
        picture = {"top_hits": {"size": 1, "_source": ["image_path"], "sort": [{"_id": "desc"}]}}
        aggregations = {
            **terms,
            "kind": terms["kind"] | {"aggs": {"picture": picture}},
            "price": {"stats": {"field": "price"}},
        }
        answer = self._client.search(index=self.index, body={"size": 0, "aggs": aggregations})["aggregations"]
        price = answer["price"]
        return {
            "facets": {name: [_bucket(bucket) for bucket in answer[name]["buckets"]] for name in FACETS},
            "price": {"min": price["min"], "max": price["max"]} if price["count"] else None,
        }

    def status(self) -> dict[str, Any]:
        """How many products there are, and how much vectors weigh in the search pipeline."""
        weights = self.weights()
        return {
            "index": self.index,
            "documents": self._client.count(index=self.index)["count"],
            "vector_weight": round(sum(list(weights.values())[1:]), 3),
        }

    def weights(self) -> dict[str, float]:
        """Leg -> weight, as the cluster has them: the legs from the template, the weights from the search pipeline."""
        queries = self._render(self._template, {"text": "legs"})["query"]["hybrid"]["queries"]
        legs = [next(iter(query["neural"])) if "neural" in query else "keyword" for query in queries]
        setting = "index.search.default_pipeline"
        found = self._client.indices.get_settings(index=self.index, name=setting, flat_settings=True)
        pipeline = next(iter(found.values()))["settings"][setting]
        body = self._client.transport.perform_request("GET", f"/_search/pipeline/{pipeline}")[pipeline]
        processor = next(iter(body["phase_results_processors"][0].values()))
        return dict(zip(legs, processor["combination"]["parameters"]["weights"], strict=True))

    def _render(self, template: str, params: Mapping[str, Any]) -> dict[str, Any]:
        body = {"id": template, "params": params}
        found = self._client.transport.perform_request("POST", "/_render/template", body=body)
        rendered: dict[str, Any] = found["template_output"]
        return rendered


def _bucket(bucket: Mapping[str, Any]) -> dict[str, Any]:
    found = {"value": bucket["key"], "count": bucket["doc_count"]}
    if hits := bucket.get("picture", {}).get("hits", {}).get("hits"):
        found["image_path"] = hits[0]["_source"].get("image_path")
    return found


def _shifted(weights: Mapping[str, float], vector_weight: float) -> dict[str, float]:
    """The vectors' weights at the sum `vector_weight`, in their own proportions; the rest to the words.

    Three decimals: smaller numbers are written with an exponent, which the template can't take.
    """
    keyword, *vectors = weights
    total = sum(weights[name] for name in vectors)
    shares = {name: weights[name] / total if total else 1 / len(vectors) for name in vectors}
    return {keyword: round(1 - vector_weight, 3)} | {
        name: round(vector_weight * share, 3) for name, share in shares.items()
    }


def without_pictures(text: str) -> str:
    """`text` with base64 cut: engine messages repeat whole requests."""
    return re.sub(r"[A-Za-z0-9+/]{120,}={0,2}", "…", text)
