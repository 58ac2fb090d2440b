"""An index with one vector field as the shipped template makes it: filled, merged, searched, and what that costs."""

import http.client
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import orjson
from results import brief
from searching import Ask
from vectors import Bytes, Cloud, Floats
from watch import Watch, memory

from neuralshelf.client import connect
from neuralshelf.connectors.spec import SageMakerText
from neuralshelf.pipelines.index import index_resource
from neuralshelf.pipelines.spec import IndexSpec, SearchSpec, VectorSpec
from neuralshelf.settings import ClusterConfig, VectorStore

STORAGES = ("float", "sq", "byte")
WRITERS = 2
BULK_BYTES = 4_000_000
FIELD = "vector"


@dataclass(frozen=True)
class Fill:
    """Times in seconds; `rate`: (seconds since the start, documents acknowledged) some fifty times."""

    load: float
    client_cpu: float
    sent_bytes: int
    rate: list[tuple[float, int]]


class Opensearch:
    """An engine without login on this machine, at `url`."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc
        self.client = connect(ClusterConfig(provider="url", url=url))
        node = next(iter(self.client.nodes.info()["nodes"].values()))
        self.pid = int(node["process"]["id"])
        heap = node["jvm"]["mem"]["heap_max_in_bytes"] / 2**30
        self.version = f"OpenSearch {node['version']}, Java {node['jvm']['version']}, heap {heap:.3g} GiB"

    def create(
        self, name: str, storage: str, dimension: int, settings: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        """A fresh index; `storage`: float as shipped, sq (Lucene's scalar quantisation to 7 bits), byte, or stored.

        `stored` are floats that are kept and can't be searched: what is left of the cost without a graph.
        """
        spec = IndexSpec(
            name="bench", fields={"title": "text"}, vectors={FIELD: VectorSpec(connector="text", text=("title",))}
        )
        body = index_resource(
            spec,
            SearchSpec(template="bench-search", keyword=("title",), weights={"keyword": 0.5, FIELD: 0.5}),
            {"text": SageMakerText(kind="sagemaker-text", endpoint="bench", dimension=dimension)},
            store=VectorStore(),
            ingest_pipeline="_none",
            search_pipeline="_none",
        ).body
        field = body["mappings"]["properties"][FIELD]
        if storage == "sq":
            field["method"]["parameters"] = {"encoder": {"name": "sq", "parameters": {"bits": 7}}}
        elif storage == "byte":
            field["data_type"] = "byte"
        elif storage == "stored":
            settings = {"index.knn": False, **settings}
            del field["method"]
        self.client.indices.delete(index=name, ignore_unavailable=True)
        settings = {**body["settings"], "index.refresh_interval": "-1", **settings}
        self.client.indices.create(index=name, body={"settings": settings, "mappings": body["mappings"]})

    def fill(
        self,
        name: str,
        cloud: Cloud,
        size: int,
        quantise: Bytes | None = None,
        progress: Callable[[int], object] = lambda sent: None,
        *,
        writers: int = WRITERS,
        bulk_bytes: int = BULK_BYTES,
    ) -> Fill:
        """Send `size` vectors by `_bulk` from `writers` connections; meanwhile the next ones are made."""
        bulks: queue.Queue[tuple[int, bytes] | None] = queue.Queue(2 * writers)
        faults: list[Exception] = []
        done, sent, rate = 0, 0, [(0.0, 0)]
        lock = threading.Lock()
        start, cpu = time.perf_counter(), time.process_time()

        def write() -> None:
            nonlocal done, sent
            with closing(self._connection()) as connection:
                while (bulk := bulks.get()) is not None:
                    if faults:
                        continue  # drain, so that the other side does not wait for ever
                    try:
                        answer = _ask(connection, f"/{name}/_bulk?filter_path=errors,items.*.error", bulk[1])
                        if answer["errors"]:
                            raise RuntimeError(str(answer)[:500])
                    except (OSError, RuntimeError, http.client.HTTPException) as fault:
                        faults.append(fault)
                        continue
                    with lock:
                        done, sent = done + bulk[0], sent + len(bulk[1])
                        if done - rate[-1][1] >= size // 50:
                            rate.append((round(time.perf_counter() - start, 3), done))
                    progress(bulk[0])

        threads = [threading.Thread(target=write) for _ in range(writers)]
        for thread in threads:
            thread.start()
        try:
            for bulk in bulk_bodies(cloud, size, quantise, bulk_bytes):
                if faults:
                    break
                bulks.put(bulk)
        finally:
            for _ in threads:
                bulks.put(None)
            for thread in threads:
                thread.join()
        if faults:
            raise faults[0]
        return Fill(time.perf_counter() - start, time.process_time() - cpu, sent, rate)

    def settle(self, name: str) -> None:
        """Return when no merge is under way and all is on disk."""
        while self._stats(name, "merge")["merges"]["current"]:
            time.sleep(0.5)
        self.client.indices.flush(index=name, request_timeout=600)

    def force_merge(self, name: str) -> None:
        """To one segment, however long that takes."""
        task = self.client.indices.forcemerge(index=name, max_num_segments=1, wait_for_completion=False)["task"]
        while not self.client.tasks.get(task_id=task)["completed"]:
            time.sleep(0.5)
        self.settle(name)

    def size(self, name: str) -> dict[str, Any]:
        """Primaries: bytes on disk, in all and by kind of file, and segments.

        Of what the index consists of now: the store's own figure is up to 10 s old and counts files that are to go.
        """
        self.client.indices.refresh(index=name)  # lets go of merged segments
        answer = self.client.indices.stats(index=name, metric="segments", params={"include_segment_file_sizes": "true"})
        found = answer["_all"]["primaries"]["segments"]
        files = {kind: size["size_in_bytes"] for kind, size in found["file_sizes"].items()}
        return {"disk": sum(files.values()), "segments": found["count"], "files": files}

    def merges(self, name: str) -> dict[str, float]:
        """Background and forced merges so far: how many, seconds of their threads, documents written again."""
        found = self._stats(name, "merge")["merges"]
        return {"count": found["total"], "seconds": found["total_time_in_millis"] / 1000, "docs": found["total_docs"]}

    def cpu(self) -> float:
        """Seconds of processor time that the engine has used so far."""
        process = next(iter(self.client.nodes.stats(metric="process")["nodes"].values()))["process"]
        return float(process["cpu"]["total_in_millis"]) / 1000

    def look(self) -> dict[str, int]:
        """Memory of the JVM by kind, and its heap: in use now (with garbage) and in old generation after collection."""
        heap = next(iter(self.client.nodes.stats(metric="jvm")["nodes"].values()))["jvm"]["mem"]
        old = heap["pools"]["old"]
        after = old.get("last_gc_stats", old)["used_in_bytes"]
        return {**memory([self.pid]), "heap": heap["heap_used_in_bytes"], "heap_old": after}

    def watch(self) -> Watch:
        """Peaks of `look`."""
        return Watch(self.look)

    def drop(self, name: str) -> None:
        """Delete the index, if it is there."""
        self.client.indices.delete(index=name, ignore_unavailable=True)

    def holds(self, name: str, size: int) -> bool:
        """Whether the index is there with that many documents."""
        return bool(self.client.indices.exists(index=name)) and self.client.count(index=name)["count"] == size

    def read(self, name: str) -> None:
        """Read its files, so that searches find them in memory: a machine may give memory that lay idle to others."""
        uuid = self.client.indices.get_settings(index=name)[name]["settings"]["index"]["uuid"]
        node = next(iter(self.client.nodes.stats(metric="fs")["nodes"].values()))
        for file in Path(node["fs"]["data"][0]["path"], "indices", uuid).rglob("*.*"):
            with file.open("rb", buffering=0) as stream:
                while stream.read(1 << 23):
                    pass

    def asking(
        self, name: str, queries: Floats, quantise: Bytes | None, ef: int | None, rescore: bool = False
    ) -> Callable[[], AbstractContextManager[Ask]]:
        """The ten nearest.

        Args:
            ef: `method_parameters.ef_search`; None leaves it to the engine.
            rescore: find twice as many by quantised vectors and order them by the floats.
        """
        more: dict[str, Any] = {"method_parameters": {"ef_search": ef}} if ef else {}
        if rescore:
            more["rescore"] = {"oversample_factor": 2.0}
        rows = queries if quantise is None else quantise(queries)
        asked = [{FIELD: {"vector": row, "k": 10, **more}} for row in rows]
        bodies = [
            orjson.dumps({"size": 10, "_source": False, "query": {"knn": knn}}, option=orjson.OPT_SERIALIZE_NUMPY)
            for knn in asked
        ]

        @contextmanager
        def connect() -> Iterator[Ask]:
            with closing(self._connection()) as connection:
                yield lambda number: _ids(
                    _ask(connection, f"/{name}/_search?filter_path=hits.hits._id", bodies[number])
                )

        return connect

    def _stats(self, name: str, metric: str) -> Any:
        return self.client.indices.stats(index=name, metric=metric)["_all"]["primaries"]

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._address, timeout=600)


def index_name(storage: str, dimension: int, size: int) -> str:
    """`bench-float-384-10k`"""
    return f"bench-{storage}-{dimension}-{brief(size)}".lower()


def bulk_bodies(
    cloud: Cloud, size: int, quantise: Bytes | None = None, most: int = BULK_BYTES
) -> Iterator[tuple[int, bytes]]:
    """(documents, body) of `_bulk` requests of some `most` bytes."""
    lines: list[bytes] = []
    length = 0
    for start, block in cloud.blocks(size):
        rows = block if quantise is None else quantise(block)
        for number, row in enumerate(rows, start):
            vector = orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY)
            lines.append(b'{"index":{"_id":"%d"}}\n{"%s":%s}\n' % (number, FIELD.encode(), vector))
            length += len(lines[-1])
            if length >= most:
                yield len(lines), b"".join(lines)
                lines, length = [], 0
    if lines:
        yield len(lines), b"".join(lines)


def _ask(connection: http.client.HTTPConnection, path: str, body: bytes) -> Any:
    connection.request("POST", path, body, {"content-type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {content[:300]!r}")
    return json.loads(content)


def _ids(answer: Any) -> Sequence[int]:
    return [int(hit["_id"]) for hit in answer["hits"]["hits"]]
