"""The questions that the search page may put to one index, and what it is told when there is no answer.

What a search asks is rendered by the cluster from its stored search template, shown as it is, and sent as it is.
"""

import base64
import binascii
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from opensearchpy import ConnectionError as NoConnection
from opensearchpy import OpenSearch, TransportError
from pydantic import ConfigDict, Field

from neuralshelf.client import innermost
from neuralshelf.errors import one_line
from neuralshelf.frozen import Frozen
from neuralshelf.pipelines.spec import IndexSpec, SearchSpec
from neuralshelf.templates import render

MAX_PICTURE_BYTES = 4_500_000
"""Of a picture; as base64 in a request it stays below what a SageMaker endpoint takes (6291456 bytes)."""
MAX_FACET_VALUES = 100
FROM_MODEL = "Error from remote service:"
UNUSABLE_INPUT = (400, 413, 415, 422)
ABOUT_MODELS = re.compile(r"model|remote|connector|throttl|acquire operation", re.IGNORECASE)
LONG_WORD = re.compile(r"[A-Za-z0-9+/=]{120,}")

logger = logging.getLogger(__name__)


class Question(Frozen):
    """What the page asks: the body of POST /api/search.

    Attributes:
        text, image: at least one for a search; without both, what the filters leave is listed. `image` is base64.
        filters: parameters of the stored template: FIELD: [values] for keyword fields, FIELD_min and FIELD_max.
        vector_weight: 0 (words alone) to 1 (vectors alone); None leaves the configured weights.
        keyword_only: ask the template that needs no model.
    """

    model_config = ConfigDict(populate_by_name=True)

    text: str = Field(default="", max_length=2_000)
    image: str = Field(default="", max_length=4 * (MAX_PICTURE_BYTES // 3 + 1))
    filters: dict[str, tuple[str, ...] | float] = Field(default_factory=dict)
    vector_weight: float | None = Field(default=None, ge=0, le=1)
    start: int = Field(default=0, ge=0, le=9_900, alias="from")
    size: int = Field(default=24, ge=1, le=100)
    keyword_only: bool = False


class Refusal(Exception):
    """An answer other than 200: {"error": one line, "hint": the next step, "code": for programs}."""

    def __init__(self, status: int, code: str, error: str, hint: str = "") -> None:
        self.status = status
        self.content = {"error": one_line(error, 300), "hint": hint, "code": code}
        super().__init__(error)


@dataclass(frozen=True)
class Storefront:
    """The questions that may be put to one index. Methods block: call them in a thread."""

    client: OpenSearch
    index: IndexSpec
    search: SearchSpec
    public_url: str | None

    @property
    def _values(self) -> tuple[str, ...]:
        return tuple(field for field in self.search.filters if self.index.fields[field] == "keyword")

    @property
    def _numbers(self) -> tuple[str, ...]:
        return tuple(field for field in self.search.filters if self.index.fields[field] != "keyword")

    def answer(self, question: Question) -> dict[str, Any]:
        """Hits, and the exact body that was sent to `_search` as text."""
        template = self.search.keyword_template if question.keyword_only else self.search.template
        rendered = self._send("/_render/template", {"id": template, "params": self._params(question)})
        body = json.dumps(rendered["template_output"], indent=2, ensure_ascii=False)
        answer = self._send(f"/{self.index.name}/_search", body)
        found = answer["hits"]
        hits = [{"id": h["_id"], "score": h["_score"], "source": h["_source"]} for h in found["hits"]]
        total = found["total"]["value"]
        return {
            "hits": hits,
            "total": total,
            "took": answer["took"],
            "more": len(hits) == question.size and question.start + question.size < total,
            "body": body,
            "keyword_only": question.keyword_only,
        }

    def facets(self) -> dict[str, Any]:
        """Values of each keyword filter with count and one product's picture, the range of each number."""
        body = render("gateway/facets.json.j2", values=self._values, numbers=self._numbers, most=MAX_FACET_VALUES)
        found = self._send(f"/{self.index.name}/_search?search_pipeline=_none", body)
        groups = found["aggregations"]
        return {
            "total": found["hits"]["total"]["value"],
            "values": {field: [_facet_value(bucket) for bucket in groups[field]["buckets"]] for field in self._values},
            "ranges": {field: {"min": groups[field]["min"], "max": groups[field]["max"]} for field in self._numbers},
        }

    def status(self) -> dict[str, Any]:
        """What the page shows about itself; `error` when the cluster doesn't answer."""
        vectors = sum(weight for leg, weight in self.search.weights.items() if leg in self.index.vectors)
        found: dict[str, Any] = {
            "index": self.index.name,
            "vector_weight": round(vectors, 3),
            "search_url": f"{self.public_url.rstrip('/')}/{self.index.name}/_search" if self.public_url else None,
            "engine": None,
            "products": None,
        }
        try:
            found["engine"] = self._send("/", None)["version"]["number"]
            found["products"] = self._send(f"/{self.index.name}/_count", None)["count"]
        except Refusal as fault:
            found |= fault.content
        return found

    def _params(self, question: Question) -> dict[str, Any]:
        params: dict[str, Any] = {"size": question.size}
        if question.start:
            params["from"] = question.start
        if text := question.text.strip():
            params["text"] = text
        if question.image and not question.keyword_only:
            _check_base64(question.image)
            params["image"] = question.image
        if question.vector_weight is not None and text and not question.keyword_only:
            params["weights"] = self.search.weights_at(question.vector_weight)
        allowed = {*self._values, *(f"{field}_{end}" for field in self._numbers for end in ("min", "max"))}
        for name, value in question.filters.items():
            if name not in allowed or isinstance(value, tuple) != (name in self._values):
                raise Refusal(400, "bad_request", f"no filter {name!r} of that form", f"filters: {', '.join(allowed)}")
            if value != ():
                params[name] = value
        return params

    def _send(self, path: str, body: Mapping[str, Any] | str | None) -> Any:
        try:
            return self.client.transport.perform_request("GET" if body is None else "POST", path, body=body)
        except NoConnection:
            raise Refusal(502, "engine_away", "OpenSearch doesn't answer", "start it with: neuralshelf up") from None
        except TransportError as fault:
            _refuse(fault)


def _facet_value(bucket: Mapping[str, Any]) -> dict[str, Any]:
    example = bucket["example"]["hits"]["hits"][0]["_source"]
    return {"value": bucket["key"], "count": bucket["doc_count"], "picture": example.get("image_path")}


def _check_base64(image: str) -> None:
    try:
        base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(400, "bad_picture", "the picture is not base64", "send the file's bytes as base64") from None


def _refuse(fault: TransportError) -> NoReturn:
    """What the cluster answered instead of hits, for somebody who looks at a page: no addresses, no picture bytes."""
    cause = LONG_WORD.sub("…", innermost(fault))
    status = fault.status_code if isinstance(fault.status_code, int) else 500
    from_model = cause.startswith(FROM_MODEL)
    if from_model and (words := _refusal_of_model(cause.removeprefix(FROM_MODEL), status)):
        raise Refusal(400, "refused", f"the model refused it: {words}", "change the text or the picture")
    missing_model = status == 404 and "find model" in cause
    if from_model or missing_model or ((status == 429 or status >= 500) and ABOUT_MODELS.search(cause)):
        logger.warning("models away: %s", cause)
        raise Refusal(503, "models_away", "the embedding models don't answer", "see why with: neuralshelf status")
    if status == 404:
        raise Refusal(
            503,
            "not_provisioned",
            "there is no catalogue to search yet",
            "make one with: neuralshelf apply, then neuralshelf ingest FILE.jsonl",
        )
    if status in (401, 403):
        raise Refusal(502, "login_refused", "OpenSearch refused the login of this page", "check the cluster's login")
    if status >= 500 or status == 429:
        logger.warning("OpenSearch failed: %s", cause)
        raise Refusal(502, "engine_failed", f"OpenSearch failed (status {status})", "see why with: neuralshelf status")
    raise Refusal(400, "refused", cause, "change the question")


def _refusal_of_model(answer: str, status: int) -> str | None:
    """What the model says is wrong with its input; None when it is the model that failed, or was never reached.

    SageMaker answers 424 with the container's own status inside, Bedrock 400. A throttled SageMaker answers 400 too,
    yet without a message.
    """
    try:
        body = json.loads(answer)
    except ValueError:
        return None
    if not isinstance(body, Mapping) or body.get("OriginalStatusCode", status) not in UNUSABLE_INPUT:
        return None
    words = body.get("OriginalMessage") or body.get("Message") or body.get("message")
    return str(words).removeprefix("400 Bad Request: ") if words else None
