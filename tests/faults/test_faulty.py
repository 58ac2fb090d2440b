"""The faulty server does what it is asked for, and counts it: what the other tests here rely on."""

import math
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from neuralshelf.model_packages.server.app import create_app
from neuralshelf.model_packages.server.endpoints import standard_endpoints
from neuralshelf.model_packages.server.limits import Limits
from neuralshelf.model_packages.server.serving import Server, bound_socket
from tests.engine.fixtures import ToyEncoder
from tests.faults.faults import BREAKING, FAULTS, GARBAGE
from tests.faults.faulty import WELL, FaultyServer

CLIP = "/endpoints/neuralshelf-clip/invocations"
TEXTS = "/endpoints/neuralshelf-minilm/invocations"


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[FaultyServer, str]]:
    models = FaultyServer(create_app(standard_endpoints(ToyEncoder(), ToyEncoder()), credentials=None), FAULTS)
    opened = bound_socket("127.0.0.1", 0)
    ready = threading.Event()
    server = Server(models, opened, Limits(), lambda port: ready.set())
    thread = threading.Thread(target=server.run_until_stopped, daemon=True)
    thread.start()
    assert ready.wait(20)
    yield models, f"http://127.0.0.1:{opened.getsockname()[1]}"
    server.stop()
    thread.join(40)
    opened.close()


@pytest.fixture
def models(served: tuple[FaultyServer, str]) -> Iterator[FaultyServer]:
    yield served[0]
    served[0].heal()


@dataclass(frozen=True)
class Asker:
    """Asks the server at `url`."""

    url: str

    def texts(self, *texts: str, timeout: float = 1.0, stream: bool = False) -> requests.Response:
        """Ask for vectors of texts."""
        return requests.post(self.url + TEXTS, json=list(texts), timeout=timeout, stream=stream)


@pytest.fixture
def asker(served: tuple[FaultyServer, str]) -> Asker:
    return Asker(served[1])


def test_what_was_asked_for_the_next_requests_comes_in_that_order(models: FaultyServer, asker: Asker) -> None:
    before = models.counts
    models.script("500", WELL, "429 throttling")
    assert [asker.texts("a").status_code for _ in range(4)] == [500, 200, 429, 200]
    assert models.counts - before == {"500": 1, "429 throttling": 1, WELL: 2}


def test_a_share_of_the_requests_of_one_endpoint_is_picked_by_its_seed(models: FaultyServer, asker: Asker) -> None:
    runs = []
    for _ in range(2):
        models.share(0.3, ["503"], seed=7, path="minilm")
        runs.append([asker.texts("a").status_code for _ in range(60)])
    assert runs[0] == runs[1]
    assert 8 <= runs[0].count(503) <= 28
    models.share(1.0, ["503"], path="minilm")
    assert requests.post(asker.url + CLIP, json={"inputText": "a"}, timeout=5).status_code == 200


def test_what_a_request_holds_comes_before_all(models: FaultyServer, asker: Asker) -> None:
    models.poison("arsenic", "424 input")
    models.script("500")
    assert asker.texts("a", "with arsenic").status_code == 424
    assert asker.texts("a").status_code == 500


def test_counting_holds_with_many_clients_at_once(models: FaultyServer, asker: Asker) -> None:
    before = models.counts
    models.share(0.5, ["500", "429 text"], seed=1)

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda _: asker.texts("a", timeout=20).status_code, range(200)))
    counted = models.counts - before
    assert counted.total() == len(seen) == 200
    assert (counted["500"], counted["429 text"]) == (seen.count(500), seen.count(429))


@pytest.mark.parametrize("name", BREAKING)
def test_a_broken_connection_breaks_and_leaves_nothing_open(models: FaultyServer, asker: Asker, name: str) -> None:
    models.script(name)
    with pytest.raises(requests.RequestException):
        asker.texts("a", timeout=0.4).json()
    end = time.monotonic() + 5
    while models.open and time.monotonic() < end:
        time.sleep(0.02)
    assert models.open == 0
    assert asker.texts("a").status_code == 200


def test_a_trickle_keeps_a_client_waiting_that_counts_only_the_seconds_between_bytes(
    models: FaultyServer, asker: Asker
) -> None:
    models.script("trickle")
    with asker.texts("a", stream=True, timeout=1.5) as answer:
        begun = time.monotonic()
        parts = answer.iter_content(1)
        assert (next(parts) + next(parts) + next(parts))[:2] == b"[["
        assert 1.5 < time.monotonic() - begun < 4


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_no_vector(models: FaultyServer, asker: Asker, name: str) -> None:
    models.script(name)
    answer = asker.texts("a", timeout=10)
    assert answer.status_code == 200
    try:
        found = answer.json()
    except ValueError:
        return
    if name == "50 MB":
        assert len(answer.content) > 50_000_000
        return
    assert not usable(found)


def usable(found: Any) -> bool:
    """Whether it is a list of one vector of 384 numbers that float32 can hold."""
    row = found[0] if isinstance(found, list) else None
    if not isinstance(row, list) or len(row) != 384 or not all(type(value) is float for value in row):
        return False
    return any(row) and all(math.isfinite(value) and abs(value) < 3e38 for value in row)


def test_an_unknown_fault_is_refused_at_once(models: FaultyServer) -> None:
    with pytest.raises(AssertionError, match="no such fault"):
        models.script("418")
