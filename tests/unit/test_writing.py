"""One writing request to a cluster that is just waking up."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opensearchpy import OpenSearch, TransportError

from neuralshelf.provision.objects.base import Writing

WAKING = "No shard available for [get [.plugins-ml-config][master_key]: routing [null]]"


@contextmanager
def cluster(*answers: tuple[int, str]) -> Iterator[tuple[OpenSearch, list[str]]]:
    """Gives these answers in turn, the last one for ever; and the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, words = answers[min(len(asked), len(answers) - 1)]
            asked.append(self.path)
            self.rfile.read(int(self.headers["content-length"]))
            body = json.dumps({"connector_id": "c"} if status == 200 else {"error": {"reason": words}}).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        with OpenSearch(f"http://127.0.0.1:{server.server_port}", max_retries=0) as client:
            yield client, asked
        server.shutdown()
        thread.join()


def writing(client: OpenSearch) -> Writing:
    return Writing(client, "shop-local", {}, lambda: None)


def test_an_index_that_is_not_up_yet_is_waited_for() -> None:
    with cluster((503, WAKING), (503, WAKING), (200, "")) as (client, asked):
        assert writing(client).send("POST", "/x", {}) == {"connector_id": "c"}
    assert asked == ["/x"] * 3


@pytest.mark.parametrize("answer", [(503, "circuit breaker"), (500, WAKING), (400, WAKING)])
def test_any_other_refusal_is_told_at_once(answer: tuple[int, str]) -> None:
    with cluster(answer) as (client, asked), pytest.raises(TransportError):
        writing(client).send("POST", "/x", {})
    assert asked == ["/x"]
