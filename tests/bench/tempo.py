"""The rate that `ingest` finds: against fixed settings, against embedding in the client, and what searches notice.

All with the sample products, texts and pictures, by the models of the stack that is up, into a copy of its index.
"""

import itertools
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pipeline
from opensearchpy import OpenSearch
from ratio import Ratio, compare

from neuralshelf.bulk import send
from neuralshelf.deployment import Deployment
from neuralshelf.ingestion.admission import picture_limits
from neuralshelf.ingestion.catalogue import BadLine, Catalogue, Product
from neuralshelf.ingestion.documents import documents
from neuralshelf.ingestion.ingest import Ingest
from neuralshelf.ingestion.preparing import Preparer
from neuralshelf.ingestion.searches import SearchWatch
from neuralshelf.ingestion.sender import Sender
from neuralshelf.ingestion.tempo import Tempo
from neuralshelf.search import search

DOCUMENTS = 660
GRID = ((1, 32), (2, 16), (2, 32), (2, 64), (4, 16), (4, 32), (8, 16), (8, 64))
"""Writers and documents a bulk of the fixed settings."""

QUESTIONS = ("red teapot", "wine glass", "something to sit on", "blue lamp", "football", "wooden chair")


@dataclass
class Bench:
    """An index of its own, filled again and again."""

    client: OpenSearch
    deployment: Deployment
    runtime: Any
    catalogue: Catalogue

    def __post_init__(self) -> None:
        config = self.deployment.config
        self.name = f"{config.index.name}-tempo-bench"
        self.live = next(iter(self.client.indices.get(index=config.index.name).values()))
        self.preparer = Preparer(config.index, picture_limits(config.connectors, config.index), {})
        self.products = [row for row in self.catalogue.rows() if isinstance(row, Product)]

    def rows(self, count: int) -> Iterator[Product | BadLine]:
        """So many different documents of the sample products."""
        for number, product in enumerate(itertools.islice(itertools.cycle(self.products), count), start=1):
            yield Product(number, f"{product.id}-{number}", product.fields, product.pictures)

    def fresh(self, *, pipeline_runs: bool = True) -> None:
        """An empty index."""
        settings = {"knn": True}
        if pipeline_runs:
            settings["default_pipeline"] = self.live["settings"]["index"]["default_pipeline"]
        self.client.indices.delete(index=self.name, ignore_unavailable=True)
        body = {"settings": {"index": settings}, "mappings": self.live["mappings"]}
        self.client.indices.create(index=self.name, body=body)

    def ingest(self, tempo: Tempo | None = None, count: int = DOCUMENTS, searches: SearchWatch | None = None) -> float:
        """Documents a second."""
        self.fresh()
        sender = Sender(self.client, self.name, self.preparer)
        run = Ingest(sender, self.deployment.config.index, "bench", tempo=tempo or Tempo(), searches=searches)
        start = time.perf_counter()
        report = run.run(self.rows(count), total=count)
        if report.indexed != count:
            raise RuntimeError(str(report))
        return count / (time.perf_counter() - start)

    def in_client(self, count: int = DOCUMENTS) -> float:
        """Documents a second of a careful client: texts 16 a call, 16 calls at once, `_bulk` beside them."""
        self.fresh(pipeline_runs=False)
        index = self.deployment.config.index
        start = time.perf_counter()
        with ThreadPoolExecutor(pipeline.CLIENTS) as pool, ThreadPoolExecutor(2) as writers:
            writing = []
            rows = (row for row in self.rows(count) if isinstance(row, Product))
            while group := list(itertools.islice(rows, 64)):
                made = [document for row in group for document in documents(row, index)]
                bodies = dict(pool.map(lambda document: (document.id, self.preparer(document)), made))
                pictures = [body.pop(index.images[0]) for body in bodies.values()]
                images = pool.map(self._picture, pictures)
                groups = _groups([pipeline._text(body) for body in bodies.values()], 16)
                texts = [vector for vectors in pool.map(self._texts, groups) for vector in vectors]
                for body, text, image in zip(bodies.values(), texts, images, strict=True):
                    body |= {"text_vector": text, "image_vector": image}
                writing.append(writers.submit(send, self.client, self.name, bodies))
            failed = [failure for future in writing for failure in future.result().values()]
        if failed:
            raise RuntimeError(str(failed[0]))
        return count / (time.perf_counter() - start)

    def _picture(self, picture: str) -> Any:
        return pipeline._invoke(self.runtime, "neuralshelf-clip", {"inputImage": picture})["embedding"]

    def _texts(self, texts: list[str]) -> Any:
        return pipeline._invoke(self.runtime, "neuralshelf-minilm", texts)

    def ask(self, question: str = "a") -> float:
        """Seconds of one search of the live index, as people search."""
        config = self.deployment.config
        start = time.perf_counter()
        search(self.client, config.index.name, config.search.template, text=question, size=10)
        return time.perf_counter() - start


def measure(client: OpenSearch, deployment: Deployment, runtime: Any, catalogue: Path) -> list[Ratio]:
    """Rate found ÷ best fixed one; rate through the pipeline ÷ in the client; p95 while ingesting ÷ quiet."""
    bench = Bench(client, deployment, runtime, Catalogue(catalogue, deployment.config.index))
    try:
        fixed = {setting: bench.ingest(Tempo(*setting, fixed=True)) for setting in GRID}
        best = max(fixed, key=lambda setting: fixed[setting])
        found = [
            compare(
                f"ingest, {DOCUMENTS} documents: finding its rate ÷ best of {len(GRID)} fixed ({best[0]} × {best[1]})",
                "documents/s",
                bench.ingest,
                lambda: bench.ingest(Tempo(*best, fixed=True)),
            ),
            compare(
                f"ingest, {DOCUMENTS} documents: embedded by OpenSearch ÷ in the client",
                "documents/s",
                bench.ingest,
                bench.in_client,
            ),
            compare(
                "p95 of searches: while ingesting ÷ quiet",
                "ms",
                lambda: _p95(bench, busy=True),
                lambda: _p95(bench),
                rounds=3,
            ),
        ]
    finally:
        client.indices.delete(index=bench.name, ignore_unavailable=True)
    return found


def _p95(bench: Bench, *, busy: bool = False, count: int = 60) -> float:
    """Of searches four a second, in ms."""
    stop = threading.Event()

    def load() -> None:
        with SearchWatch(bench.client, bench.deployment.config.index.name, lambda: bench.ask()) as watch:
            while not stop.is_set():
                bench.ingest(searches=watch)

    thread = threading.Thread(target=load)
    if busy:
        thread.start()
        time.sleep(10)
    taken = []
    for number in range(count):
        taken.append(bench.ask(QUESTIONS[number % len(QUESTIONS)]) * 1000)
        time.sleep(0.25)
    stop.set()
    if busy:
        thread.join()
    return statistics.quantiles(taken, n=20)[-1]


def _groups(texts: list[str], size: int) -> list[list[str]]:
    return [texts[start : start + size] for start in range(0, len(texts), size)]
