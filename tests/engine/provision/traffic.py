"""Clients of a shop at work: writers that remember what was acknowledged, searchers, and what came of both."""

import random
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from opensearchpy import OpenSearch, TransportError

from neuralshelf.bulk import index_all
from neuralshelf.model_packages.encoder import Sample
from neuralshelf.pipelines.stamps import digest
from neuralshelf.provision.migration.changes import changes, checkpoints
from tests.engine.conftest import ToyEncoder

Json = dict[str, Any]
WORDS = [
    "red",
    "blue",
    "green",
    "oak",
    "steel",
    "glass",
    "chair",
    "table",
    "lamp",
    "shelf",
    "bottle",
    "jacket",
    "guitar",
    "mug",
    "small",
    "large",
    "old",
    "new",
]


def product(random_: random.Random) -> Json:
    """A document with a title that is hardly met twice."""
    words = random_.choices(WORDS, k=4)
    return {
        "title": " ".join([*words, f"no {random_.randrange(10**9)}"]),
        "brand": random_.choice(WORDS),
        "price": float(random_.randrange(1000)),
    }


def fill(client: OpenSearch, index: str, number: int, extra: Callable[[int], Json] = lambda _: {}) -> dict[str, Json]:
    """Index so many documents; returns what is there, without `extra`."""
    chance = random.Random(7)
    made = {f"p{i}": product(chance) for i in range(number)}
    ids = list(made)
    bulks = [
        {identity: made[identity] | extra(int(identity[1:])) for identity in ids[start : start + 200]}
        for start in range(0, number, 200)
    ]
    with ThreadPoolExecutor(2) as threads:
        outcomes = list(threads.map(lambda bulk: index_all(client, index, bulk), bulks))
    assert not [o for bulk in outcomes for o in bulk if o.error]
    client.indices.refresh(index=index)
    return made


def held(client: OpenSearch, index: str) -> dict[str, Json]:
    """id -> all documents of an index, with their vectors."""
    client.indices.refresh(index=index)
    pages = changes(client, index, {}, checkpoints(client, index))
    return {document.id: dict(document.source) for page in pages for document in page}


def assert_same(
    client: OpenSearch, index: str, expected: Mapping[str, Json], encoder: ToyEncoder, older: Collection[str] = ()
) -> None:
    """Nothing lost, nothing stale, nothing too many; every text vector is the one that `encoder` gives.

    Args:
        older: ids of documents that a client updated in the moment of a swap: they may have merged with an older
            state.
    """
    found = held(client, index)
    lost, extra = expected.keys() - found.keys(), found.keys() - expected.keys()
    assert not lost, sorted(lost)[:5]
    assert not extra, sorted(extra)[:5]
    expected = {identity: document for identity, document in expected.items() if identity not in older}
    stale = {
        identity: (document, fields)
        for identity, document in expected.items()
        if (fields := {k: v for k, v in found[identity].items() if "_vector" not in k}) != document
    }
    assert not stale, dict(list(stale.items())[:3])
    for identity, document in expected.items():
        text = " ".join(str(document[name]) for name in ("title", "brand") if document.get(name))
        wanted = encoder.encode([Sample(text=text)], encoder.default_dimension)[0]
        vector = np.asarray(found[identity]["text_vector"])
        assert vector.shape == wanted.shape, identity
        assert found[identity]["text_vector_from"].endswith(f"-v{index.rpartition('-')[2]} {digest(text)}"), identity
        assert float(vector @ wanted / np.linalg.norm(vector)) > 0.9999, (identity, document)


@dataclass
class Traffic:
    """Writers and searchers on an alias.

    Attributes:
        documents: what was acknowledged, id -> document.
        failures: of any request.
        writes, searches: how many were sent.
    """

    client: OpenSearch
    alias: str
    template: str
    documents: dict[str, Json]
    failures: list[str] = field(default_factory=list)
    writes: int = 0
    searches: int = 0
    stop: threading.Event = field(default_factory=threading.Event)
    slowest: float = 0.0

    def write(self, number: int, writers: int, rate: float) -> None:
        """One writer; each has ids of its own, so that it knows what has to be there."""
        chance = random.Random(number)
        mine = [identity for i, identity in enumerate(sorted(self.documents)) if i % writers == number]
        for _ in self._paced(rate):
            identity, kind = chance.choice(mine), chance.random()
            try:
                if kind < 0.15:
                    identity = f"w{uuid.uuid4()}"
                    document = product(chance)
                    self.client.index(index=self.alias, id=identity, body=document, params={"op_type": "create"})
                    self.documents[identity] = document
                    mine.append(identity)
                elif identity not in self.documents or kind < 0.55:
                    document = product(chance)
                    self.client.index(index=self.alias, id=identity, body=document)
                    self.documents[identity] = document
                elif kind < 0.85:
                    part = product(chance)
                    part = {"price": part["price"]} if kind < 0.7 else {"title": part["title"]}
                    # a migration may be carrying this very document (RESILIENCE.md, "Not held")
                    repeat = {"retry_on_conflict": 3}
                    self.client.update(index=self.alias, id=identity, body={"doc": part}, params=repeat)
                    self.documents[identity] = self.documents[identity] | part
                else:
                    self.client.delete(index=self.alias, id=identity)
                    del self.documents[identity]
            except TransportError as fault:
                self.failures.append(f"write {kind:.2f} {identity}: {fault.status_code} {str(fault.info)[:300]}")
            self.writes += 1

    def search(self, number: int, rate: float) -> None:
        """One searcher."""
        chance = random.Random(1000 + number)
        for count in self._paced(rate):
            params: Json = {"text": " ".join(chance.choices(WORDS, k=3)), "size": 5}
            try:
                if count % 4 == 3:
                    body = {"query": {"match": {"title": params["text"]}}, "size": 5}
                    answer = self.client.search(index=self.alias, body=body)
                else:
                    if count % 4 == 2:
                        params["weights"] = {"keyword": 0.5, "text_vector": 0.5}
                    body = {"id": self.template, "params": params}
                    answer = self.client.transport.perform_request("POST", f"/{self.alias}/_search/template", body=body)
                if answer["_shards"]["failed"] or not answer["hits"]["hits"]:
                    self.failures.append(f"search {count % 4}: {answer['_shards']} {len(answer['hits']['hits'])} hits")
            except TransportError as fault:
                self.failures.append(f"search {count % 4}: {fault.status_code} {str(fault.info)[:300]}")
            self.searches += 1

    def _paced(self, rate: float) -> Iterator[int]:
        count = 0
        due = time.monotonic()
        while not self.stop.is_set():
            yield count
            count += 1
            self.slowest = max(self.slowest, time.monotonic() - due)
            due = max(due + 1 / rate, time.monotonic() - 1)
            self.stop.wait(max(0.0, due - time.monotonic()))


@contextmanager
def traffic(
    client: OpenSearch,
    alias: str,
    template: str,
    documents: dict[str, Json],
    *,
    writes: float = 20,
    searches: float = 20,
    threads: int = 2,
) -> Iterator[Traffic]:
    """Inside the `with` there are so many writes and searches a second."""
    made = Traffic(client, alias, template, documents)
    running = [
        *(threading.Thread(target=made.write, args=(i, threads, writes / threads)) for i in range(threads)),
        *(threading.Thread(target=made.search, args=(i, searches / threads)) for i in range(threads)),
    ]
    for thread in running:
        thread.start()
    try:
        yield made
    finally:
        made.stop.set()
        for thread in running:
            thread.join(60)
