"""Logging in to a cluster: the signatures that Amazon OpenSearch Service asks for, and basic, over real sockets."""

import base64
import hashlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from opensearchpy import AuthorizationException, OpenSearch
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from neuralshelf.client import connect
from neuralshelf.errors import ConfigError
from neuralshelf.model_packages.server.limits import Limits
from neuralshelf.model_packages.server.refusals import SignatureRefused
from neuralshelf.model_packages.server.serving import Server, bound_socket
from neuralshelf.model_packages.server.sigv4 import Credential, SignedRequest, Verifier
from neuralshelf.settings import ClusterConfig, SecretRef

KEY, SECRET, REGION = "AKIDEXAMPLE", "wJalrXUtnFEMI", "eu-west-1"


class Doorkeeper:
    """Answers as a cluster would that lets in whoever signs for `es` in REGION, or brings the password."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.verifier = Verifier({KEY: Credential(SECRET)}, REGION)

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        basic = "Basic " + base64.b64encode(b"searcher:s3cret").decode()
        if request.headers.get("authorization") != basic:
            scope = request.scope
            headers = SignedRequest.fold(scope["headers"])
            signed = SignedRequest(request.method, scope["raw_path"], scope["query_string"], headers)
            try:
                claim = self.verifier.claim(signed, "es", datetime.now(UTC))
                Verifier.verify(claim, signed, hashlib.sha256(body).hexdigest())
            except SignatureRefused as fault:
                return JSONResponse({"message": str(fault)}, 403)
        self.seen.append(f"{request.method} {request.url.path}")
        return JSONResponse({"hits": {"hits": []}, "errors": False, "items": []})


@pytest.fixture
def door() -> Doorkeeper:
    return Doorkeeper()


@pytest.fixture
def address(door: Doorkeeper) -> Iterator[str]:
    app = Starlette(routes=[Route("/{path:path}", door.answer, methods=["GET", "POST", "PUT"])])
    opened, ready = bound_socket("127.0.0.1", 0), threading.Event()
    server = Server(app, opened, Limits(), lambda port: ready.set())
    thread = threading.Thread(target=server.run_until_stopped, daemon=True)
    thread.start()
    assert ready.wait(30)
    yield f"http://127.0.0.1:{opened.getsockname()[1]}"
    server.stop()
    thread.join(10)
    opened.close()


def signing(address: str, monkeypatch: pytest.MonkeyPatch, secret: str = SECRET, region: str = REGION) -> OpenSearch:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    return connect(ClusterConfig(provider="url", url=address, auth="sigv4", region=region))


def test_every_kind_of_request_is_signed_so_that_the_service_lets_it_in(
    door: Doorkeeper, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = signing(address, monkeypatch)
    client.search(index="products", body={"query": {"match": {"title": "täglich ☕"}}}, params={"size": 3})
    client.index(index="products", id="a b/ü:+", body={"title": "x"})
    client.bulk(body=[{"index": {"_id": "1"}}, {"title": "zwölf"}], index="products")
    client.transport.perform_request("GET", "/_search/pipeline/shop-search")
    assert len(door.seen) == 4


@pytest.mark.parametrize("wrong", [{"secret": "other"}, {"region": "us-east-1"}])
def test_a_wrong_secret_or_region_is_refused(
    address: str, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str]
) -> None:
    with pytest.raises(AuthorizationException):
        signing(address, monkeypatch, **wrong).info()


def test_basic_login_reads_its_password_by_reference(
    door: Doorkeeper, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = ClusterConfig(
        provider="url", url=address, auth="basic", username="searcher", password=SecretRef(env="SHOP_PASSWORD")
    )
    monkeypatch.delenv("SHOP_PASSWORD", raising=False)
    with pytest.raises(ConfigError, match="SHOP_PASSWORD is not set"):
        connect(cluster)
    monkeypatch.setenv("SHOP_PASSWORD", "s3cret")
    client = connect(cluster)
    client.info()
    assert door.seen == ["GET /"]
    assert "s3cret" not in repr(client)
