"""Flow 3 from the command line: a request to the stored search template, nothing that `curl` could not do.

With a fallback there is a second one, by words alone, while the models are away.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from opensearchpy import ConnectionError as NoConnection
from opensearchpy import ConnectionTimeout, OpenSearch, TransportError

from neuralshelf.client import TIMEOUT_SECONDS, reason
from neuralshelf.degraded import SLOW, models_away
from neuralshelf.errors import EngineError, InputError, SearchError
from neuralshelf.views import views_of
from neuralshelf.why import Why, why

RANKED = 100
"""Hits that are put into somebody's order, whatever is shown of them: fewer would leave less to choose from, and each
page by itself would be another ranking."""


@dataclass(frozen=True)
class Hit:
    """One product found, by its best document.

    Attributes:
        score: the combined, normalised score of the hybrid query, 0 to 1.
        views: documents that the product has.
        why: the parts of the score, in somebody's order.
    """

    id: str
    score: float
    fields: Mapping[str, Any]
    views: int = 1
    why: Why | None = None


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        total: products that fit: all that have the words, and of each vector the nearest.
        at_least: there are more, which OpenSearch did not count.
        degraded: why the hits are by words alone although more was asked for; None when they are not.
    """

    hits: list[Hit]
    total: int
    at_least: bool = False
    degraded: str | None = None

    @property
    def is_ranked(self) -> bool:
        """Whether the hits are in somebody's order."""
        return any(hit.why for hit in self.hits)


@dataclass(frozen=True)
class Fallback:
    """What to ask when the models are away: `template` by words alone, after `deadline` seconds at the latest."""

    template: str
    deadline: float


def search(
    client: OpenSearch,
    index: str,
    template: str,
    *,
    text: str | None = None,
    picture: str | None = None,
    size: int = 10,
    product: str | None = None,
    fallback: Fallback | None = None,
    user: str | None = None,
    user_weight: float = 0.5,
    **params: Any,
) -> Found:
    """Search by text, by picture, or by both.

    Args:
        picture: as base64, in a form that the models take (`ingestion.admission`).
        product: field of the product's id, to tell how many views it has.
        fallback: without one a search whose models are away is an error.
        user: in whose order hits come. Those of an index that ranks nothing, or whose ranker is away, come as ever.
        user_weight: of the user's preference, 0 to 1.
        params: further parameters of the stored template (filters, weights, from).

    Raises:
        InputError: neither text nor picture.
        SearchError: the cluster refused the search; EngineError: it can't be reached.
    """
    text = text.strip() if text else None
    if not text and picture is None:
        raise InputError("nothing to search for", hint='give a text, --image FILE, or both: search "red shoes"')
    values: dict[str, Any] = {"size": size, **params}
    if text:
        values["text"] = text
    if picture is not None:
        values["image"] = picture
    if user is not None:
        values |= {"user": user, "user_weight": user_weight, "explain": True, "size": max(size, RANKED)}
    asking = _Asking(client, index, product, fallback.deadline if fallback else TIMEOUT_SECONDS)
    try:
        return asking.ask(template, values, size)
    except _ModelsAway as fault:
        if fallback is None:
            raise
        if not text:
            raise SearchError(f"no picture can be searched for: {fault.reason}", hint="neuralshelf status") from None
        words = {name: value for name, value in values.items() if name not in ("image", "weights")}
        return replace(asking.ask(fallback.template, words, size), degraded=fault.reason)


class _ModelsAway(SearchError):
    def __init__(self, message: str, reason: str) -> None:
        self.reason = reason
        super().__init__(message, hint="neuralshelf status")


@dataclass(frozen=True)
class _Asking:
    client: OpenSearch
    index: str
    product: str | None
    seconds: float

    def ask(self, template: str, values: Mapping[str, Any], size: int) -> Found:
        answer = self._sent({"id": template, "params": values})
        hits = answer["hits"]["hits"][:size]
        views = views_of(self.client, self.index, self.product, [hit["_source"] for hit in hits], self.seconds)
        found = [
            Hit(hit["_id"], float(hit["_score"] or 0), hit["_source"], count, why(hit, values.get("user_weight", 0)))
            for hit, count in zip(hits, views, strict=True)
        ]
        return Found(found, *total_of(answer))

    def _sent(self, body: Mapping[str, Any]) -> Any:
        path, params = f"/{self.index}/_search/template", {"request_timeout": self.seconds}
        try:
            return self.client.transport.perform_request("POST", path, body=body, params=params)
        except ConnectionTimeout:
            raise _ModelsAway(f"no answer from OpenSearch in {self.seconds:g} s", SLOW) from None
        except NoConnection as fault:
            raise EngineError(f"no answer from OpenSearch ({fault.error})", hint="neuralshelf status") from None
        except TransportError as fault:
            if (away := models_away(fault)) is not None:
                raise _ModelsAway(_refused(fault), away) from None
            if fault.status_code == 404:
                missing = f"no index {self.index} or search template {body['id']}"
                raise SearchError(missing, hint="neuralshelf apply, then ingest") from None
            raise SearchError(_refused(fault), hint="neuralshelf status") from None


def _refused(fault: TransportError) -> str:
    return f"refused by the cluster ({fault.status_code}): {reason(fault)}"


def total_of(answer: Mapping[str, Any]) -> tuple[int, bool]:
    """How many products an answer of a stored template is about, and whether there are more.

    `hits.total` counts documents; where a product may have several, the template counts products beside it.
    """
    products = answer.get("aggregations", {}).get("products")
    if products is not None:
        return int(products["value"]), False
    total = answer["hits"]["total"]
    return int(total["value"]), total["relation"] == "gte"
