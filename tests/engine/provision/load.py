"""Searches and bulk writes that go on in threads while something else is done; every failure is kept."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opensearchpy import OpenSearch, OpenSearchException

from neuralshelf.client import connect
from neuralshelf.settings import ClusterConfig

SEARCH_PAUSE, WRITE_PAUSE = 0.04, 0.2
DOCUMENTS = 5


@dataclass
class Load:
    """What was asked until now.

    Attributes:
        searches, writes: that succeeded; a write is a bulk of DOCUMENTS.
        failures: what went wrong, in words.
    """

    searches: int = 0
    writes: int = 0
    failures: list[str] = field(default_factory=list)

    def search(self, client: OpenSearch, index: str) -> None:
        """A hybrid search that has to be embedded; an answer without hits is a failure."""
        neural = {"text_vector": {"query_text": f"cup {self.searches % 7}", "k": 5}}
        legs: list[Mapping[str, Any]] = [{"match": {"title": "cup"}}, {"neural": neural}]
        body = {"size": 3, "_source": False, "query": {"hybrid": {"pagination_depth": 20, "queries": legs}}}
        answer = client.search(index=index, body=body)
        if not answer["hits"]["hits"]:
            self.failures.append("search: no hits")
        self.searches += 1

    def write(self, client: OpenSearch, index: str) -> None:
        """A bulk of documents that have to be embedded."""
        lines: list[Mapping[str, Any]] = []
        for number in range(DOCUMENTS):
            title = f"cup {self.writes} {number}"
            lines += [{"index": {"_id": f"{self.writes % 20}-{number}"}}, {"title": title}]
        for item in client.bulk(body=lines, index=index)["items"]:
            if "error" in item["index"]:
                self.failures.append(f"write: {item['index']['error']}")
        self.writes += 1


@contextmanager
def load_on(url: str, index: str) -> Iterator[Load]:
    """A search thread and a writing thread on `index`; begins when both have succeeded once."""
    load, stop = Load(), threading.Event()
    client = connect(ClusterConfig(provider="url", url=url))

    def work(name: str, pause: float) -> None:
        act = getattr(load, name)
        while not stop.is_set():
            begun = time.monotonic()
            try:
                act(client, index)
            except OpenSearchException as fault:
                load.failures.append(f"{name}: {fault}")
            stop.wait(max(0.0, pause - (time.monotonic() - begun)))

    load.write(client, index)
    client.indices.refresh(index=index)
    threads = [threading.Thread(target=work, args=("search", SEARCH_PAUSE))]
    threads.append(threading.Thread(target=work, args=("write", WRITE_PAUSE)))
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        client.close()
