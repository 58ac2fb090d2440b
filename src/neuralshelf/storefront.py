"""The questions that the search page may put to one index, and what it is told when there is no answer.

What a search asks is rendered by the cluster from its stored search template, shown as it is, and sent as it is. While
the models are away a text is searched for by its words alone, and the answer says so.
"""

import base64
import binascii
import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from opensearchpy import ConnectionError as NoConnection
from opensearchpy import ConnectionTimeout, OpenSearch, TransportError
from pydantic import ConfigDict, Field

from neuralshelf.client import innermost, said
from neuralshelf.connectors.ranking import LONGEST_USER, RankingSpec
from neuralshelf.degraded import SLOW, Outage, models_away
from neuralshelf.errors import NeuralshelfError, one_line
from neuralshelf.frozen import Frozen
from neuralshelf.personalisation.interactions import values_of
from neuralshelf.pipelines.spec import IndexSpec, SearchSpec
from neuralshelf.search import RANKED, total_of
from neuralshelf.templates import render
from neuralshelf.views import views_of
from neuralshelf.why import why

MAX_PICTURE_BYTES = 4_500_000
"""Of a picture; as base64 in a request it stays below what a SageMaker endpoint takes (6291456 bytes)."""
MAX_FACET_VALUES = 100
FROM_MODEL = "Error from remote service:"
LONG_WORD = re.compile(r"[A-Za-z0-9+/=]{120,}")

logger = logging.getLogger(__name__)


class Question(Frozen):
    """What the page asks: the body of POST /api/search.

    Attributes:
        text, image: at least one for a search; without both, what the filters leave is listed. `image` is base64.
        filters: parameters of the stored template: FIELD: [values] for keyword fields, FIELD_min and FIELD_max.
        vector_weight: 0 (words alone) to 1 (vectors alone); None leaves the configured weights.
        user: in whose order hits come; "" for nobody's.
        user_weight: 0 (the search alone) to 1 (the user's preference alone); None leaves the configured weight.
        keyword_only: ask the template that needs no model, as for further pages of an answer that is degraded.
    """

    model_config = ConfigDict(populate_by_name=True)

    text: str = Field(default="", max_length=2_000)
    image: str = Field(default="", max_length=4 * (MAX_PICTURE_BYTES // 3 + 1))
    filters: dict[str, tuple[str, ...] | float] = Field(default_factory=dict)
    vector_weight: float | None = Field(default=None, ge=0, le=1)
    start: int = Field(default=0, ge=0, le=9_800, alias="from")
    size: int = Field(default=24, ge=1, le=100)
    user: str = Field(default="", max_length=LONGEST_USER)
    user_weight: float | None = Field(default=None, ge=0, le=1)
    keyword_only: bool = False

    @property
    def asks_models(self) -> bool:
        """A list of what the filters leave needs none."""
        return bool(self.text.strip() or self.image) and not self.keyword_only


class View(Frozen):
    """Somebody looked at a hit: the body of POST /api/views.

    Attributes:
        user: one of `ranking.people`.
        id: of the hit.
    """

    user: str = Field(min_length=1, max_length=LONGEST_USER)
    id: str = Field(min_length=1, max_length=512)


Tracker = Callable[[str, str], None]
"""Keeps that a user viewed an item (a value of `ranking.item`); a NeuralshelfError when it can't."""


class Refusal(Exception):
    """An answer other than 200: {"error": one line, "hint": the next step, "code": for programs}."""

    def __init__(self, status: int, code: str, error: str, hint: str = "") -> None:
        self.status = status
        self.content = {"error": one_line(error, 300), "hint": hint, "code": code}
        super().__init__(error)


class ModelsAway(Refusal):
    """The models failed, and not the question; it can be asked by its words alone."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(503, "models_away", reason, "see why with: neuralshelf status")


@dataclass(frozen=True)
class Storefront:
    """The questions that may be put to one index. Methods block: call them in a thread."""

    client: OpenSearch
    index: IndexSpec
    search: SearchSpec
    public_url: str | None
    outage: Outage = field(default_factory=Outage)
    ranking: RankingSpec | None = None
    tracker: Tracker | None = None

    @property
    def _values(self) -> tuple[str, ...]:
        return tuple(field for field in self.search.filters if self.index.fields[field] == "keyword")

    @property
    def _numbers(self) -> tuple[str, ...]:
        return tuple(field for field in self.search.filters if self.index.fields[field] != "keyword")

    def answer(self, question: Question) -> dict[str, Any]:
        """Hits, each product once, how many products there are, and the exact body that was sent to `_search` as text.

        `degraded` says why hits are by words alone although the question asked for more; else it is null. `ranked` says
        how many hits, over all pages, are in the order of the question's user: 0 when no ranker answered, null when
        none was to be asked.
        """
        if not question.asks_models:
            return self._hits(question)
        if (reason := self.outage.known()) is not None:
            return self._by_words(question, reason)
        started = time.monotonic()
        try:
            found = self._hits(question)
        except ModelsAway as fault:
            self.outage.failed(fault.reason, time.monotonic() - started)
            return self._by_words(question, fault.reason)
        self.outage.answered()
        return found

    def _by_words(self, question: Question, reason: str) -> dict[str, Any]:
        if not question.text.strip():
            raise Refusal(503, "models_away", f"no picture can be searched for: {reason}", "try again, or use words")
        words = question.model_copy(update={"image": "", "vector_weight": None, "keyword_only": True})
        return self._hits(words) | {"degraded": reason, "ranked": 0 if question.user and self.ranking else None}

    def _hits(self, question: Question) -> dict[str, Any]:
        template = self.search.keyword_template if question.keyword_only else self.search.template
        params = self._params(question)
        rendered = self._send("/_render/template", {"id": template, "params": params})
        body = json.dumps(rendered["template_output"], indent=2, ensure_ascii=False)
        # One copy of each shard for all pages of a question: of another copy, equal scores may come in another order.
        asked = {name: value for name, value in params.items() if name not in ("from", "size")}
        preference = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
        begun = time.monotonic()
        answer = self._send(f"/{self.index.name}/_search?preference={preference}", body, models=question.asks_models)
        if self.ranking:  # OpenSearch's rerank says that all took 1 ms
            answer["took"] = round((time.monotonic() - begun) * 1000)
        hits = answer["hits"]["hits"]
        reasons = None
        if self._reranked(params) and hits:
            reasons = self._reasons(hits, question)
            hits = hits[question.start : question.start + question.size + 1]
        shown = hits[: question.size]
        sources = [hit["_source"] for hit in shown]
        views = views_of(self.client, self.index.name, self.index.product, sources, self.search.deadline)
        total, at_least = total_of(answer)
        return {
            "hits": [
                {"id": hit["_id"], "score": hit["_score"], "source": hit["_source"], "views": count}
                | {"why": (reasons or {}).get(hit["_id"])}
                for hit, count in zip(shown, views, strict=True)
            ],
            "total": total,
            "at_least": at_least,
            "took": answer["took"],
            "more": len(hits) > question.size,
            "body": body,
            "keyword_only": question.keyword_only,
            "degraded": None,
            "ranked": None if reasons is None else len(reasons),
        }

    def _reranked(self, params: Mapping[str, Any]) -> bool:
        """Whether hits are put into somebody's order after the search; a leg of preference pages as any search."""
        return "user" in params and self.ranking is not None and self.ranking.method == "rerank"

    def _reasons(self, hits: Sequence[Mapping[str, Any]], question: Question) -> dict[str, Any]:
        """Id -> the parts of the score, for hits that were ranked."""
        assert self.ranking is not None
        weight = self.ranking.weight if question.user_weight is None else question.user_weight
        found = {hit["_id"]: why(hit, weight) for hit in hits}
        return {identity: reason.as_dict() for identity, reason in found.items() if reason}

    def keep(self, view: View) -> dict[str, Any]:
        """Tell the event tracker; the user's next search knows it."""
        if self.tracker is None or self.ranking is None or view.user not in self.ranking.people:
            raise Refusal(403, "not_kept", "views of this person are not kept", "choose one whom the page offers")
        try:
            found = values_of(self.client, self.index.name, self.ranking.item, self.index.product)([view.id])
            if view.id not in found:
                raise Refusal(404, "no_item", f"that product has no {self.ranking.item}", "choose another one")
            self.tracker(view.user, found[view.id])
        except NeuralshelfError as fault:
            logger.warning("a view was not kept: %s", fault)
            hint = "see why with: neuralshelf status"
            raise Refusal(502, "tracker_away", "the view was not kept: the event tracker failed", hint) from None
        return {"kept": True}

    def facets(self) -> dict[str, Any]:
        """Values of each keyword filter with count and one product's picture, the range of each number."""
        found = self._counted(self._values, self._numbers)
        groups = found["aggregations"]
        return {
            "total": total_of(found)[0],
            "values": {field: [_facet_value(bucket) for bucket in groups[field]["buckets"]] for field in self._values},
            "ranges": {field: {"min": groups[field]["min"], "max": groups[field]["max"]} for field in self._numbers},
        }

    def status(self) -> dict[str, Any]:
        """What the page shows about itself; `error` when the cluster doesn't answer."""
        found: dict[str, Any] = {
            "index": self.index.name,
            "vector_weight": self._vector_weight(pictured=False),
            "picture_vector_weight": self._vector_weight(pictured=True),
            "ranking": self._ranking(),
            "search_url": f"{self.public_url.rstrip('/')}/{self.index.name}/_search" if self.public_url else None,
            "engine": None,
            "products": None,
        }
        try:
            found["engine"] = self._send("/", None)["version"]["number"]
            found["products"] = total_of(self._counted((), ()))[0]
        except Refusal as fault:
            found |= fault.content
        return found

    def _ranking(self) -> dict[str, Any] | None:
        if self.ranking is None:
            return None
        return {
            "people": list(self.ranking.people),
            "weight": self.ranking.weight,
            "keeps_views": self.tracker is not None,
        }

    def _vector_weight(self, *, pictured: bool) -> float:
        """Where the slider stands that nobody has moved."""
        weights = self.search.weights_of(pictured=pictured)
        return round(sum(weight for leg, weight in weights.items() if leg in self.index.vectors), 3)

    def _counted(self, values: Sequence[str], numbers: Sequence[str]) -> Any:
        """Products, by the values of some fields and within the range of others."""
        fields = {"values": values, "numbers": numbers, "product": self.index.product}
        body = render("gateway/facets.json.j2", most=MAX_FACET_VALUES, **fields)
        return self._send(f"/{self.index.name}/_search?search_pipeline=_none", body)

    def _params(self, question: Question) -> dict[str, Any]:
        params: dict[str, Any] = {"size": question.size + 1}  # one more tells whether there is a next page
        if question.start:
            params["from"] = question.start
        if text := question.text.strip():
            params["text"] = text
        if question.user and self.ranking and question.asks_models:
            params["user"] = question.user
            if question.user_weight is not None:
                params["user_weight"] = question.user_weight
            if self._reranked(params):
                # No more than these: what comes after them in the search may be among them, or ranked behind.
                params |= {"explain": True, "from": 0, "size": RANKED}
        if question.image and not question.keyword_only:
            _check_base64(question.image)
            params["image"] = question.image
        if question.vector_weight is not None and text and not question.keyword_only:
            params["weights"] = self.search.weights_at(question.vector_weight, pictured="image" in params)
        allowed = {*self._values, *(f"{field}_{end}" for field in self._numbers for end in ("min", "max"))}
        for name, value in question.filters.items():
            if name not in allowed or isinstance(value, tuple) != (name in self._values):
                raise Refusal(400, "bad_request", f"no filter {name!r} of that form", f"filters: {', '.join(allowed)}")
            if value != ():
                params[name] = value
        return params

    def _send(self, path: str, body: Mapping[str, Any] | str | None, *, models: bool = False) -> Any:
        method, params = ("GET" if body is None else "POST"), {"request_timeout": self.search.deadline}
        try:
            return self.client.transport.perform_request(method, path, body=body, params=params)
        except ConnectionTimeout:
            if models:  # whose else the wait is, the search by words tells
                raise ModelsAway(SLOW) from None
            hint = "see why with: neuralshelf status"
            raise Refusal(502, "engine_away", "OpenSearch doesn't answer in time", hint) from None
        except NoConnection:
            raise Refusal(502, "engine_away", "OpenSearch doesn't answer", "start it with: neuralshelf up") from None
        except TransportError as fault:
            _refuse(fault)


def _facet_value(bucket: Mapping[str, Any]) -> dict[str, Any]:
    example = bucket["example"]["hits"]["hits"][0]["_source"]
    products = bucket.get("products", {"value": bucket["doc_count"]})["value"]
    return {"value": bucket["key"], "count": products, "picture": example.get("image_path")}


def _check_base64(image: str) -> None:
    try:
        base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(400, "bad_picture", "the picture is not base64", "send the file's bytes as base64") from None


def _refuse(fault: TransportError) -> NoReturn:
    """What the cluster answered instead of hits, for somebody who looks at a page: no addresses, no picture bytes."""
    cause = LONG_WORD.sub("…", innermost(fault))
    status = fault.status_code if isinstance(fault.status_code, int) else 500
    if (reason := models_away(fault)) is not None:
        logger.warning("models away: %s", cause)
        raise ModelsAway(reason)
    if cause.startswith(FROM_MODEL):
        raise Refusal(400, "refused", f"the model refused it: {_words(cause)}", "change the text or the picture")
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


def _words(cause: str) -> str:
    """What a model says of its input, without SageMaker's frame."""
    return said(cause).removeprefix("400 Bad Request: ")
