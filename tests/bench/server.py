"""Model server with dynamic batching against without: images a second at 16 concurrent clients."""

import base64
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from ratio import Ratio, compare

from neuralshelf.settings import Folders

CLIENTS = 16
PICTURES = 192


def measure(pictures: Sequence[Path], rounds: int = 5) -> Ratio:
    """Each way has its own server process; only one is loaded at a time."""
    bodies = [
        json.dumps({"inputImage": base64.b64encode(picture.read_bytes()).decode()}).encode()
        for picture in (list(pictures) * PICTURES)[:PICTURES]
    ]
    with _server(32) as batching, _server(1) as single:
        return compare(
            "model server, pictures, 16 clients: batching ÷ one by one",
            "images/s",
            lambda: _throughput(batching, bodies),
            lambda: _throughput(single, bodies),
            rounds,
        )


@contextmanager
def _server(max_batch: int) -> Iterator[int]:
    """A server of its own in container mode (unsigned), so that signing is not what is measured; yields its port."""
    cache = Folders.default(Path.cwd()).cache
    words = ["--unsigned", "--cache", str(cache), "--max-batch", str(max_batch), "--exit-with-parent"]
    process = subprocess.Popen(
        [sys.executable, "-m", "neuralshelf.model_packages.server", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        yield int(json.loads(process.stdout.readline())["port"])
    finally:
        process.terminate()
        process.wait()


def _throughput(port: int, bodies: Sequence[bytes]) -> float:
    shares = [bodies[number::CLIENTS] for number in range(CLIENTS)]
    start = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(lambda share: _send(port, share), shares))
    return len(bodies) / (time.perf_counter() - start)


def _send(port: int, bodies: Sequence[bytes]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for body in bodies:
        connection.request("POST", "/invocations", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {content[:200]!r}")
    connection.close()
