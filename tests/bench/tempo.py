"""The rate that `ingest` finds: against fixed settings, against embedding in the client, and what searches notice.

All with the sample products, texts and pictures, by the models of the stack that is up, into a copy of its index.
"""

import itertools
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import cached_property
from subprocess import PIPE
from typing import Any

import pipeline
from ratio import Ratio, compare
from stack import CATALOGUE, ROOT, Up

from neuralshelf.batches import batches
from neuralshelf.bulk import send
from neuralshelf.ingestion.admission import picture_limits
from neuralshelf.ingestion.catalogue import BadLine, Catalogue, Product
from neuralshelf.ingestion.documents import documents
from neuralshelf.ingestion.ingest import Ingest
from neuralshelf.ingestion.preparing import Preparer
from neuralshelf.ingestion.searches import SearchWatch
from neuralshelf.ingestion.sender import Sender
from neuralshelf.ingestion.tempo import Tempo
from neuralshelf.local.loading import text_batch
from neuralshelf.model_packages.encoder import Encoder, Sample
from neuralshelf.model_packages.lite import LiteEncoder
from neuralshelf.model_packages.minilm import MiniLmEncoder
from neuralshelf.model_packages.server.pictures import PictureLimits, decode, from_base64
from neuralshelf.search import search
from neuralshelf.settings import Folders

DOCUMENTS = 1320
SEARCHES = 160
ROUNDS = 3  # half a minute to a minute each
GRID = ((1, 32), (2, 16), (2, 32), (2, 64), (4, 16), (4, 32), (8, 16), (8, 64))
"""Writers and documents a bulk of the fixed settings."""

QUESTIONS = ("red teapot", "wine glass", "something to sit on", "blue lamp", "football", "wooden chair")


@dataclass
class Bench:
    """An index of its own, filled again and again."""

    up: Up

    def __post_init__(self) -> None:
        self.client, self.runtime, self.deployment = self.up.client, self.up.runtime, self.up.deployment
        config = self.deployment.config
        self.name = f"{config.index.name}-tempo-bench"
        self.live = next(iter(self.client.indices.get(index=config.index.name).values()))
        self.batch = text_batch(self.deployment)
        self.preparer = Preparer(config.index, picture_limits(config.connectors, config.index), {})
        self.products = [row for row in Catalogue(CATALOGUE, config.index).rows() if isinstance(row, Product)]

    def rows(self, count: int | None = None, stop: threading.Event | None = None) -> Iterator[Product | BadLine]:
        """So many different documents of the sample products, or as many as are read until `stop`."""
        for number, product in enumerate(itertools.islice(itertools.cycle(self.products), count), start=1):
            if stop is not None and stop.is_set():
                return
            yield Product(number, f"{product.id}-{number}", product.fields, product.pictures)

    def fresh(self, *, pipeline_runs: bool = True) -> None:
        """An empty index."""
        settings = {"knn": True}
        if pipeline_runs:
            settings["default_pipeline"] = self.live["settings"]["index"]["default_pipeline"]
        self.client.indices.delete(index=self.name, ignore_unavailable=True)
        body = {"settings": {"index": settings}, "mappings": self.live["mappings"]}
        self.client.indices.create(index=self.name, body=body)

    def ingest(self, tempo: Tempo | None = None, stop: threading.Event | None = None) -> float:
        """Documents a second: of DOCUMENTS, or until `stop` while searches are watched."""
        self.fresh()
        sender = Sender(self.client, self.name, self.preparer)
        watch = SearchWatch(self.client, self.deployment.config.index.name, self.ask)
        with watch if stop else nullcontext() as searches:
            run = Ingest(
                sender, self.deployment.config.index, "bench", tempo=tempo or Tempo(batch=self.batch), searches=searches
            )
            start = time.perf_counter()
            report = run.run(self.rows(None if stop else DOCUMENTS, stop), total=DOCUMENTS)
        if report.dead_letters:
            raise RuntimeError(str(report))
        return report.indexed / (time.perf_counter() - start)

    def in_client(self) -> float:
        """Documents a second of a careful client: texts in the same batches, 16 calls at once, `_bulk` beside them."""
        self.fresh(pipeline_runs=False)
        index = self.deployment.config.index
        start = time.perf_counter()
        with ThreadPoolExecutor(pipeline.CLIENTS) as pool, ThreadPoolExecutor(2) as writers:
            writing = []
            rows = (row for row in self.rows(DOCUMENTS) if isinstance(row, Product))
            for group in batches(rows, 64):
                made = [document for row in group for document in documents(row, index)]
                bodies = dict(pool.map(lambda document: (document.id, self.preparer(document)), made))
                pictures = [body.pop(index.images[0]) for body in bodies.values()]
                images = pool.map(self._picture, pictures)
                groups = batches((pipeline._text(body) for body in bodies.values()), self.batch)
                texts = [vector for vectors in pool.map(self._texts, groups) for vector in vectors]
                for body, text, image in zip(bodies.values(), texts, images, strict=True):
                    body |= {"text_vector": text, "image_vector": image}
                writing.append(writers.submit(send, self.client, self.name, bodies))
            failed = [failure for future in writing for failure in future.result().values()]
        if failed:
            raise RuntimeError(str(failed[0]))
        return DOCUMENTS / (time.perf_counter() - start)

    def models_alone(self) -> float:
        """Documents a second of the models in this process, a thread a core: no engine, no server, pictures decoded."""
        start = time.perf_counter()
        groups = batches(itertools.islice(itertools.cycle(self.samples), DOCUMENTS), self.batch)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(self._embed, groups):
                pass
        return DOCUMENTS / (time.perf_counter() - start)

    @cached_property
    def samples(self) -> list[tuple[Sample, Sample]]:
        """Text and picture of each sample product, as the models get them."""
        index = self.deployment.config.index
        bodies = [self.preparer(document) for row in self.products for document in documents(row, index)]
        images = [decode(from_base64(body[index.images[0]]), PictureLimits()) for body in bodies]
        texts = map(pipeline._text, bodies)
        return [(Sample(text=text), Sample(image=image)) for text, image in zip(texts, images, strict=True)]

    @cached_property
    def models(self) -> tuple[Encoder, Encoder]:
        """Of texts and of pictures, each on one core a call."""
        return MiniLmEncoder.load(), LiteEncoder.load(Folders.default(ROOT).cache)

    def _embed(self, group: list[tuple[Sample, Sample]]) -> None:
        for model, samples in zip(self.models, zip(*group, strict=True), strict=True):
            model.encode(samples, model.default_dimension)

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


def measure(up: Up) -> list[Ratio]:
    """Rate found ÷ best fixed one, ÷ embedded in the client, ÷ of the models alone; p95 while ingesting ÷ quiet."""
    bench = Bench(up)
    try:
        fixed = {setting: bench.ingest(Tempo(*setting, fixed=True)) for setting in GRID}
        best = max(fixed, key=lambda setting: fixed[setting])
        found = [
            compare(
                f"ingest, {DOCUMENTS} documents: finding its rate ÷ best of {len(GRID)} fixed ({best[0]} × {best[1]})",
                "documents/s",
                bench.ingest,
                lambda: bench.ingest(Tempo(*best, fixed=True)),
                ROUNDS,
            ),
            compare(
                f"ingest, {DOCUMENTS} documents: embedded by OpenSearch ÷ in the client",
                "documents/s",
                bench.ingest,
                bench.in_client,
                ROUNDS,
            ),
            compare(
                f"ingest, {DOCUMENTS} documents: through OpenSearch ÷ the models alone",
                "documents/s",
                bench.ingest,
                bench.models_alone,
                ROUNDS,
            ),
            compare(
                "p95 of searches: while ingesting ÷ quiet",
                "ms",
                lambda: _p95(bench, busy=True),
                lambda: _p95(bench),
                ROUNDS,
            ),
        ]
    finally:
        up.client.indices.delete(index=bench.name, ignore_unavailable=True)
    return found


def _p95(bench: Bench, *, busy: bool = False) -> float:
    """Of SEARCHES searches, four a second, in ms; the ingest beside them is another process, as it would be."""
    taken = []
    with ExitStack() as stack:
        load = None
        if busy:
            load = stack.enter_context(subprocess.Popen([sys.executable, __file__], stdin=PIPE, stdout=PIPE, text=True))
            time.sleep(10)
        for number in range(SEARCHES):
            taken.append(bench.ask(QUESTIONS[number % len(QUESTIONS)]) * 1000)
            time.sleep(0.25)
        rate = load.communicate("")[0].strip() if load else "nothing"
    found = statistics.quantiles(taken, n=20)[-1]
    print(f"beside {rate}: p95 {found:.0f} ms, median {statistics.median(taken):.0f} ms", file=sys.stderr)
    return found


def main() -> int:
    """Ingest until stdin closes, and say how many documents a second that were."""
    bench = Bench(Up.find())
    stop = threading.Event()

    def end() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=end, daemon=True).start()
    print(f"{bench.ingest(stop=stop):.1f} documents/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
