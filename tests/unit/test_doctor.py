"""Doctor on clusters that are away or odd: stubs on sockets. What a real cluster does is tested in tests/engine."""

import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from opensearchpy import ConnectionTimeout, OpenSearch, TransportError
from pydantic import SecretStr

from neuralshelf.client import connect
from neuralshelf.connectors.runtime import Runtime
from neuralshelf.deployment import Config, Deployment
from neuralshelf.provision.doctor import Diagnosis, asking, diagnose, reach
from neuralshelf.provision.doctor.answers import meaning, vector
from neuralshelf.provision.doctor.asking import Asker, Away, read_only
from neuralshelf.provision.doctor.faults import FAULTS, table
from neuralshelf.provision.doctor.findings import finding
from neuralshelf.settings import ClusterConfig, Environment

DOCS = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
RUNTIME = Runtime("us-east-1").at("http://127.0.0.1:4", "AKIAUNIT", SecretStr("a-secret"))
CONFIG = {
    "project": "unit",
    "connectors": {"text": {"kind": "sagemaker-text", "endpoint": "texts", "dimension": 384}},
    "index": {"name": "unit", "fields": {"title": "text"}, "vectors": {"v": {"connector": "text", "text": ["title"]}}},
    "search": {"template": "unit-search", "keyword": ["title"], "weights": {"keyword": 0.5, "v": 0.5}},
}

Answers = Mapping[str, tuple[int, Any]]
"""Beginning of a path -> status and body; a body of bytes goes as it is."""

GREETING: Any = {"version": {"distribution": "opensearch", "number": "3.6.0"}}
PLUGINS = [{"name": name} for name in ("opensearch-ml", "opensearch-knn", "opensearch-neural-search")]
NODES: Any = {"nodes": {"a": {"name": "a", "roles": ["data"], "plugins": PLUGINS}}}
PREFIX = "unit-test-v1"


class _Handler(BaseHTTPRequestHandler):
    answers: Answers
    asked: list[str]

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.asked.append(f"{self.command} {self.path}")
        found = [kept for path, kept in self.answers.items() if path != "/" and self.path.startswith(path)]
        nothing = self.answers["/"] if self.path == "/" else (404, {})
        status, body = found[0] if found else nothing
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json; charset=UTF-8")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Said nowhere."""


@contextmanager
def cluster(answers: Answers, tls: ssl.SSLContext | None = None) -> Iterator[tuple[int, list[str]]]:
    """Something that answers like this; its port, and what it was asked."""
    asked: list[str] = []
    handler = type("Handler", (_Handler,), {"answers": answers, "asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.block_on_close = False
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server.server_port, asked
        server.shutdown()
        thread.join(5)


def examine(url: str, **options: Any) -> Diagnosis:
    """Doctor on whatever is at that address."""
    config = ClusterConfig(provider="url", url=url, **options)
    deployment = Deployment(Config.parse(CONFIG, "unit.yaml"), Environment(name="test", cluster=config))
    with closing(connect(config)) as client:
        return diagnose(config, client, deployment, RUNTIME)


def code_of(url: str, **options: Any) -> str:
    """The one finding's code."""
    (found,) = examine(url, **options).findings
    return found.code


def healthy(**changes: Any) -> dict[str, Any]:
    """Answers of a cluster that has all, and nothing of ours."""
    return {"/": (200, GREETING), "/_nodes": (200, NODES), "/_cluster/health": (200, {"indices": {}})} | changes


def test_nothing_listens() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        assert code_of(f"http://127.0.0.1:{taken.getsockname()[1]}") == "cluster-refused"


def test_a_name_that_nobody_knows() -> None:
    assert code_of("http://no-such-host.invalid:9200") == "cluster-name-unknown"


def test_a_cluster_that_never_answers_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "REQUEST_SECONDS", 0.5)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        begun = time.monotonic()
        found = examine(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert [f.code for f in found.findings] == ["cluster-timeout"]
    assert found.checks == ()
    assert time.monotonic() - begun < 3


def test_a_request_that_gets_stuck_on_the_way_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = threading.Event()
    monkeypatch.setattr(reach, "GIVE_UP_SECONDS", 0.3)
    monkeypatch.setattr(Asker, "get", lambda *_: stuck.wait(30))
    assert code_of("http://127.0.0.1:1") == "cluster-timeout"
    stuck.set()


def test_the_bounds_of_a_run_on_a_dead_cluster() -> None:
    assert asking.REQUEST_SECONDS <= asking.PREDICT_SECONDS <= 10
    assert reach.GIVE_UP_SECONDS <= 15


def test_a_cluster_that_stops_answering_midway_is_one_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Asker.get

    def get(self: Asker, path: str, **params: str) -> Any:
        if path.startswith("/_cluster/settings"):
            raise Away(ConnectionTimeout("N/A", "timed out", None))
        return real(self, path, **params)

    monkeypatch.setattr(Asker, "get", get)
    with cluster(healthy()) as (port, _):
        found = examine(f"http://127.0.0.1:{port}")
    assert [f.code for f in found.findings] == ["cluster-timeout"]
    assert found.checks == ("cluster answers", "version", "plugins", "health")
    assert "models" in found.unchecked


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@contextmanager
def tls_cluster(authority: trustme.CA, name: str) -> Iterator[int]:
    """With a certificate for `name`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    with cluster(healthy(), context) as (port, _):
        yield port


def test_a_certificate_of_an_unknown_authority(authority: trustme.CA) -> None:
    with tls_cluster(authority, "127.0.0.1") as port:
        (found,) = examine(f"https://127.0.0.1:{port}").findings
    assert found.code == "cluster-certificate-untrusted"
    assert "unable to get local issuer certificate" in found.cause
    assert "cluster.ca_certs" in found.remedy


def test_a_certificate_for_another_host(authority: trustme.CA, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)
    with tls_cluster(authority, "search.example.com") as port:
        (found,) = examine(f"https://127.0.0.1:{port}", ca_certs=str(file)).findings
    assert found.code == "cluster-certificate-untrusted"
    assert "127.0.0.1" in found.cause


def test_a_trusted_certificate_is_no_finding(authority: trustme.CA, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)
    with tls_cluster(authority, "127.0.0.1") as port:
        assert "cluster answers" in examine(f"https://127.0.0.1:{port}", ca_certs=str(file)).checks


def test_http_where_https_is_spoken(authority: trustme.CA) -> None:
    with tls_cluster(authority, "127.0.0.1") as port:
        (found,) = examine(f"http://127.0.0.1:{port}").findings
    assert found.code == "cluster-wrong-scheme"
    assert "write https://" in found.remedy


def test_https_where_http_is_spoken() -> None:
    with cluster(healthy()) as (port, _):
        (found,) = examine(f"https://127.0.0.1:{port}").findings
    assert found.code == "cluster-wrong-scheme"
    assert "write http://" in found.remedy


@pytest.mark.parametrize(
    "greeting",
    [b"<html>Welcome</html>", {"hello": "world"}, {"version": {"number": "8.1.0"}}, ["list"]],
    ids=["web-page", "other-json", "elasticsearch", "list"],
)
def test_something_else_answers(greeting: Any) -> None:
    with cluster({"/": (200, greeting)}) as (port, _):
        assert code_of(f"http://127.0.0.1:{port}") == "cluster-not-opensearch"


def test_a_connection_closed_without_an_answer_is_no_opensearch() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def hang_up() -> None:
            for _ in range(2):
                server.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        assert code_of(f"http://127.0.0.1:{server.getsockname()[1]}") == "cluster-not-opensearch"


def _error(kind: str, text: str) -> Any:
    return {"error": {"type": kind, "reason": text, "root_cause": []}, "status": 0}


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, b"Unauthorized", "login-refused"),
        (403, {"message": "The security token included in the request is expired"}, "login-refused"),
        (503, _error("cluster_manager_not_discovered_exception", "no manager"), "cluster-unavailable"),
        (429, _error("circuit_breaking_exception", "[parent] Data too large"), "memory-breaker-open"),
        (400, b"<html>The plain HTTP request was sent to HTTPS port</html>", "cluster-wrong-scheme"),
    ],
    ids=["401", "expired-signature", "no-manager", "breaker", "proxy-wants-tls"],
)
def test_refusals_at_the_door(status: int, body: Any, code: str) -> None:
    with cluster({"/": (status, body)}) as (port, _):
        assert code_of(f"http://127.0.0.1:{port}") == code


def test_what_a_login_may_not_do_is_listed_once() -> None:
    denied = _error("security_exception", "no permissions for [cluster:monitor/health] and User [name=x]")
    aws = {"Message": "User: arn:aws:iam::1:user/x is not authorized to perform: es:ESHttpPost on resource: d"}
    answers = healthy(**{"/_cluster/health": (403, denied), "/_plugins": (403, aws)})
    with cluster(answers) as (port, _):
        found = examine(f"http://127.0.0.1:{port}")
    (lacking,) = [f for f in found.findings if f.code == "role-lacks-permission"]
    assert "cluster:monitor/health, es:ESHttpPost" in lacking.cause
    assert {"health", "models"} <= set(found.unchecked)


def test_a_version_that_is_too_old() -> None:
    old = {"version": {"distribution": "opensearch", "number": "2.11.1"}}
    with cluster(healthy(**{"/": (200, old)})) as (port, _):
        (found,) = examine(f"http://127.0.0.1:{port}").findings
    assert found.code == "version-too-old"
    assert "2.11.1" in found.cause


def test_a_plugin_that_one_node_lacks() -> None:
    second = {"name": "b", "roles": ["data"], "plugins": PLUGINS[:2]}
    with cluster(healthy(**{"/_nodes": (200, {"nodes": {**NODES["nodes"], "b": second}})})) as (port, asked):
        (found,) = examine(f"http://127.0.0.1:{port}").findings
    assert (found.code, found.cause) == ("plugin-missing", "b: not installed: opensearch-neural-search (neural search)")
    assert not any("_ml" in path for path in asked)


def test_a_model_on_some_of_its_nodes_is_a_warning() -> None:
    model = {
        "name": f"{PREFIX}-text-search",
        "description": f"managed-by neuralshelf (unit-test/model/{PREFIX}-text-search fp:0123456789abcdef)",
        "model_state": "PARTIALLY_DEPLOYED",
        "current_worker_node_count": 2,
        "planning_worker_node_count": 3,
        "connector_id": "c",
    }
    hits = {"hits": {"hits": [{"_id": "m", "_source": model}]}}
    answered = {"inference_results": [{"output": [{"data": [0.1] * 384}]}]}
    answers = healthy(**{"/_plugins/_ml/models/_search": (200, hits), "/_plugins/_ml/_predict": (200, answered)})
    with cluster(answers) as (port, _):
        found = examine(f"http://127.0.0.1:{port}").findings
    assert ("model-partially-deployed", "warning") in [(f.code, f.severity) for f in found]


def test_faiss_on_the_embedded_engine() -> None:
    config = ClusterConfig(provider="embedded")
    environment = Environment.parse({"name": "test", "store": {"engine": "faiss"}}, "test.yaml")
    deployment = Deployment(Config.parse(CONFIG, "unit.yaml"), environment)
    with cluster(healthy()) as (port, _), closing(connect(config, f"http://127.0.0.1:{port}")) as client:
        found = diagnose(config, client, deployment, RUNTIME).findings
    assert "faiss-without-native-library" in [f.code for f in found]


def _refused(status: int, reason: str, kind: str = "status_exception") -> TransportError:
    return TransportError(status, kind, {"error": {"type": kind, "reason": reason, "root_cause": []}})


_REMOTE = "Error from remote service: "


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        (403, _REMOTE + '{"Message":"The security token included in the request is expired"}', "credentials-expired"),
        (400, _REMOTE + '{"message":"The provided model identifier is invalid."}', "endpoint-unknown"),
        (403, _REMOTE + "You don't have access to the model with the specified model ID.", "access-denied"),
        (400, _REMOTE + "#/embeddingConfig/outputEmbeddingLength: 300 is not valid", "dimension-mismatch"),
        (400, "nohost.invalid: Name or service not known", "endpoint-down"),
        (429, _REMOTE + '{"message":"slow down"}', "endpoint-throttled"),
        (429, "rejected execution of org.opensearch.SomeTask", "cluster-overloaded"),
        (500, "Acquire operation took longer than the configured maximum time", "endpoint-slow"),
        (503, _REMOTE + "Service Unavailable", "endpoint-failing"),
    ],
)
def test_what_a_refused_embedding_means(status: int, reason: str, code: str) -> None:
    found = meaning(_refused(status, reason))
    assert found is not None
    assert found.code == code


def test_a_login_that_may_not_ask_models_is_no_fault_of_theirs() -> None:
    denied = "no permissions for [cluster:admin/opensearch/ml/predict] and User [name=x]"
    assert meaning(_refused(403, denied, "security_exception")) is None


@pytest.mark.parametrize("data", [[], [0.0, 0.0], [1.0, float("nan")], ["a"], None])
def test_what_is_no_vector(data: Any) -> None:
    assert vector({"inference_results": [{"output": [{"data": data}]}]}) is None


@pytest.mark.parametrize(
    "write",
    [
        lambda c: c.indices.create(index="x"),
        lambda c: c.index(index="x", body={}),
        lambda c: c.cluster.put_settings(body={}),
        lambda c: c.transport.perform_request("POST", "/_plugins/_ml/models/x/_deploy"),
    ],
)
def test_the_client_of_doctor_can_not_write(write: Callable[[OpenSearch], Any]) -> None:
    config = ClusterConfig(provider="url", url="http://127.0.0.1:1")
    with closing(connect(config)) as client, pytest.raises(AssertionError, match="is no question"):
        write(read_only(client))


def test_codes_are_kebab_case_and_texts_are_one_line() -> None:
    assert len(FAULTS) >= 40
    for code, fault in FAULTS.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)
        assert fault.cause
        assert fault.remedy
        assert "\n" not in fault.cause + fault.remedy


def test_remedies_may_show_json() -> None:
    assert '{"is_enabled": true}' in finding("model-disabled", "model/x", names="x").remedy


def test_the_documented_faults_are_those_of_the_catalogue() -> None:
    text = DOCS.read_text("utf-8")
    documented = text[text.index("| code |") :]
    assert documented == table(), "write neuralshelf.provision.doctor.faults.table() into docs/faults.md"
