"""Flow 3 from the command line: one request to the stored search template, nothing that `curl` could not do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opensearchpy import ConnectionError as NoConnection
from opensearchpy import NotFoundError, OpenSearch, TransportError

from neuralshelf.client import reason
from neuralshelf.errors import EngineError, InputError, SearchError


@dataclass(frozen=True)
class Hit:
    """One product found. `score` is the combined, normalised score of the hybrid query, 0 to 1."""

    id: str
    score: float
    fields: Mapping[str, Any]


def search(
    client: OpenSearch,
    index: str,
    template: str,
    *,
    text: str | None = None,
    picture: str | None = None,
    size: int = 10,
    **params: Any,
) -> list[Hit]:
    """Search by text, by picture, or by both.

    Args:
        picture: as base64, in a form that the models take (`ingestion.admission`).
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
    body = {"id": template, "params": values}
    try:
        answer = client.transport.perform_request("POST", f"/{index}/_search/template", body=body)
    except NotFoundError:
        raise SearchError(
            f"no index {index} or search template {template}", hint="neuralshelf apply, then ingest"
        ) from None
    except NoConnection as fault:
        raise EngineError(f"no answer from OpenSearch ({fault.error})", hint="neuralshelf status") from None
    except TransportError as fault:
        raise SearchError(
            f"refused by the cluster ({fault.status_code}): {reason(fault)}", hint="neuralshelf status"
        ) from None
    return [Hit(hit["_id"], float(hit["_score"] or 0), hit["_source"]) for hit in answer["hits"]["hits"]]
