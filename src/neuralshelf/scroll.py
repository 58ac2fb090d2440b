"""All documents that a query finds, page by page, of an index as it is at one moment."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from opensearchpy import NotFoundError, OpenSearch, TransportError
from tqdm import tqdm

from neuralshelf.client import reason
from neuralshelf.errors import EngineError

PAGE = 500
MOST = 10_000
"""Hits a page at the most: `index.max_result_window`."""

KEEP_ALIVE = "10m"
REFRESH_SECONDS = 900  # a million vectors that were never refreshed took four minutes


def pages(
    client: OpenSearch, index: str, body: Mapping[str, Any], desc: str, *, size: int = PAGE
) -> Iterator[list[dict[str, Any]]]:
    """Hits as they are stored, one page after another, with progress on stderr; nothing that is written meanwhile.

    Args:
        body: of the search: its query and what of each document is wanted.

    Raises:
        EngineError: there is no such index, or it can't be read.
    """
    body = {"size": size, "sort": ["_doc"], "track_total_hits": True, **body}
    options = {"scroll": KEEP_ALIVE, "search_pipeline": "_none", "allow_partial_search_results": "false"}
    scroll = None
    try:
        client.indices.refresh(index=index, request_timeout=REFRESH_SECONDS)
        answer = client.search(index=index, body=body, params=options)
        scroll = answer["_scroll_id"]
        total = answer["hits"]["total"]["value"]
        with tqdm(total=total, unit="doc", desc=desc, file=sys.stderr, disable=not sys.stderr.isatty()) as bar:
            while hits := answer["hits"]["hits"]:
                yield hits
                bar.update(len(hits))
                answer = client.scroll(body={"scroll_id": scroll, "scroll": KEEP_ALIVE})
                scroll = answer["_scroll_id"]
    except NotFoundError as fault:
        if scroll is None:
            raise EngineError(f"there is no index {index}", hint="neuralshelf apply, then ingest") from None
        raise _unreadable(index, fault) from None
    except TransportError as fault:
        raise _unreadable(index, fault) from None
    finally:
        if scroll is not None:
            with suppress(TransportError):  # it goes by itself after KEEP_ALIVE
                client.clear_scroll(body={"scroll_id": [scroll]})


def _unreadable(index: str, fault: TransportError) -> EngineError:
    return EngineError(f"index {index} can't be read: {reason(fault)}", hint="neuralshelf doctor, then again")
