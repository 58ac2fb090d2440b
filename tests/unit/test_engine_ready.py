"""Readiness against a cluster of canned answers: what a real one says when something is wrong with it."""

import json
import logging
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from neuralshelf.client import connect
from neuralshelf.engine.ports import choose_port
from neuralshelf.engine.ready import await_ready
from neuralshelf.engine.remote import RemoteEngine
from neuralshelf.engine.status import observe
from neuralshelf.errors import EngineError
from neuralshelf.settings import ClusterConfig, SecretRef

PLUGINS = ("opensearch-job-scheduler", "opensearch-knn", "opensearch-ml", "opensearch-neural-search")
NO_THAI = {
    "error": {
        "type": "illegal_argument_exception",
        "reason": "Failed to build analyzers: [thai]",
        "caused_by": {"reason": "This JRE does not have support for Thai segmentation"},
    },
    "status": 400,
}


@dataclass
class Cluster:
    """Answers by `METHOD path-pattern`, (status, body); a list is dealt out one a request, the last one for ever."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    answers: dict[str, Any] = field(
        default_factory=lambda: {
            "GET /": (200, {"version": {"distribution": "opensearch", "number": "3.6.0"}}),
            "GET /_cat/plugins": (200, [{"component": name} for name in PLUGINS]),
            "GET /_cluster/health": (200, {"status": "green", "number_of_nodes": 1, "indices": {}}),
            "PUT /neuralshelf-ready-[0-9a-f]+": (200, {"acknowledged": True}),
            "DELETE /neuralshelf-ready-[0-9a-f]+": (200, {"acknowledged": True}),
            "GET /_plugins/_(knn|ml)/stats": (200, {}),
            "PUT /_search/pipeline/neuralshelf-ready-[0-9a-f]+": (200, {"acknowledged": True}),
            "DELETE /_search/pipeline/neuralshelf-ready-[0-9a-f]+": (200, {"acknowledged": True}),
        }
    )

    def answer(self, asked: str) -> tuple[int, Any]:
        self.asked.append(asked)
        for pattern, canned in self.answers.items():
            if re.fullmatch(pattern, asked):
                if isinstance(canned, list):
                    canned = canned.pop(0) if len(canned) > 1 else canned[0]
                status, body = canned
                return status, body
        return 400, {"error": f"no handler found for uri [{asked.split()[1]}] and method [{asked.split()[0]}]"}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    state = Cluster()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, body = state.answer(f"{self.command} {self.path.split('?')[0]}")
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_DELETE = _answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield state
        server.shutdown()
        thread.join()


def ready(cluster: Cluster, **options: Any) -> None:
    config = ClusterConfig(provider="url", url=cluster.url)
    await_ready(connect(config), cluster.url, lambda step, done, total: None, **options)


def test_a_usable_cluster_is_ready_and_left_as_it_was(cluster: Cluster) -> None:
    ready(cluster)
    made = [asked.split()[1] for asked in cluster.asked if asked.startswith("PUT")]
    gone = [asked.split()[1] for asked in cluster.asked if asked.startswith("DELETE")]
    assert len(made) == 2
    assert made == gone


def test_a_green_cluster_that_can_not_create_an_index_is_not_ready(cluster: Cluster) -> None:
    cluster.answers["PUT /neuralshelf-ready-[0-9a-f]+"] = (400, NO_THAI)
    with pytest.raises(EngineError, match=r"can't create an index: Failed to build analyzers: \[thai\]: This JRE"):
        ready(cluster)


@pytest.mark.parametrize("plugin", ["opensearch-knn", "opensearch-ml", "opensearch-neural-search"])
def test_a_missing_plugin_is_named(cluster: Cluster, plugin: str) -> None:
    rows = [{"component": name} for name in PLUGINS if name != plugin]
    cluster.answers["GET /_cat/plugins"] = (200, rows)
    with pytest.raises(EngineError, match=rf"lacks the plugin {plugin} \(") as caught:
        ready(cluster)
    assert caught.value.hint == "install it on every node"


@pytest.mark.parametrize("what", ["knn", "ml"])
def test_a_plugin_that_does_not_answer_is_told_where_plugins_are_not_listed(cluster: Cluster, what: str) -> None:
    cluster.answers["GET /_cat/plugins"] = (404, {})
    other = "ml" if what == "knn" else "knn"
    del cluster.answers["GET /_plugins/_(knn|ml)/stats"]
    cluster.answers[f"GET /_plugins/_{other}/stats"] = (200, {})
    with pytest.raises(EngineError, match="does not answer for"):
        ready(cluster)


def test_red_system_indices_are_waited_for(cluster: Cluster) -> None:
    red = {"status": "red", "indices": {".plugins-ml-model": {"status": "red"}}}
    green = {"status": "green", "indices": {".plugins-ml-model": {"status": "green"}}}
    cluster.answers["GET /_cluster/health"] = [(200, red), (200, red), (200, green)]
    ready(cluster)
    assert cluster.asked.count("GET /_cluster/health") == 3


def test_a_red_index_of_somebody_elses_is_none_of_our_business(cluster: Cluster) -> None:
    cluster.answers["GET /_cluster/health"] = (200, {"status": "red", "indices": {"theirs": {"status": "red"}}})
    ready(cluster)


def test_busy_answers_are_waited_for_and_time_is_bounded(cluster: Cluster) -> None:
    busy = (503, {"error": {"type": "x", "reason": "No shard available"}})
    cluster.answers["PUT /neuralshelf-ready-[0-9a-f]+"] = [busy, (200, {"acknowledged": True})]
    ready(cluster)
    cluster.answers["PUT /neuralshelf-ready-[0-9a-f]+"] = busy
    with pytest.raises(EngineError, match=r"is not usable after \d s: No shard available"):
        ready(cluster, timeout=1)


def test_an_old_cluster_is_refused(cluster: Cluster) -> None:
    cluster.answers["GET /"] = (200, {"version": {"distribution": "opensearch", "number": "2.17.1"}})
    with pytest.raises(EngineError, match=r"is version 2\.17\.1") as caught:
        ready(cluster)
    assert "2.19" in caught.value.hint


def test_elasticsearch_is_not_opensearch(cluster: Cluster) -> None:
    cluster.answers["GET /"] = (200, {"version": {"number": "8.1.0"}})
    with pytest.raises(EngineError, match="is not OpenSearch"):
        ready(cluster)


def test_a_refused_login_is_said_without_the_password(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.answers["GET /"] = (401, {"error": "Unauthorized"})
    monkeypatch.setenv("TEST_PASSWORD", "canary-9d1f")
    config = ClusterConfig(
        provider="url", url=cluster.url, auth="basic", username="u", password=SecretRef(env="TEST_PASSWORD")
    )
    with pytest.raises(EngineError, match="refuses the login") as caught:
        RemoteEngine(config).start(lambda step, done, total: None)
    assert "canary" not in str(caught.value)


def test_a_user_who_may_not_ask_passes_as_long_as_something_answers(cluster: Cluster) -> None:
    for pattern in list(cluster.answers):
        if pattern != "GET /":
            cluster.answers[pattern] = (403, {"error": {"type": "security_exception", "reason": "no permissions"}})
    ready(cluster)


def test_nothing_listening_is_told_within_the_time_and_without_noise(caplog: pytest.LogCaptureFixture) -> None:
    url = f"http://127.0.0.1:{choose_port(None, None)}"
    with caplog.at_level(logging.DEBUG), pytest.raises(EngineError, match="Connection refused"):
        ready(Cluster(url), timeout=0.6)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_waiting_ends_when_the_process_has_ended() -> None:
    def dead() -> None:
        raise EngineError("OpenSearch ended with status 1: out of memory")

    url = f"http://127.0.0.1:{choose_port(None, None)}"
    with pytest.raises(EngineError, match="out of memory"):
        ready(Cluster(url), alive=dead)


def test_status_tells_what_the_cluster_tells(cluster: Cluster) -> None:
    status = observe(ClusterConfig(provider="url", url=cluster.url), "url", cluster.url)
    assert (status.version, status.health, status.nodes, status.plugins) == ("3.6.0", "green", 1, PLUGINS)


def test_status_of_nothing_is_unreachable() -> None:
    url = f"http://127.0.0.1:{choose_port(None, None)}"
    status = observe(ClusterConfig(provider="url", url=url), "url", url)
    assert (status.health, status.version, status.nodes) == ("unreachable", None, 0)


def test_a_cluster_on_this_machine_reaches_it_by_loopback() -> None:
    assert RemoteEngine(ClusterConfig(provider="url", url="http://localhost:9200")).host_address == "127.0.0.1"


@pytest.mark.parametrize("url", ["http://192.0.2.1:9200", "https://192.0.2.1"])
def test_a_cluster_elsewhere_reaches_us_by_our_own_address(url: str) -> None:
    address = RemoteEngine(ClusterConfig(provider="url", url=url)).host_address
    assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+", address)
