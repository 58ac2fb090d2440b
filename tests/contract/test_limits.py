"""Hostile and clumsy clients: each gets its answer within its time, and the next client never notices."""

import contextlib
import gzip
import json
import re
import select
import socket
import time
from dataclasses import replace
from typing import Any

import pytest
import requests

from neuralshelf.model_packages.server.limits import SAGEMAKER_MAX_BODY, Limits

CLIP = "/endpoints/neuralshelf-clip/invocations"
TITAN = "/model/amazon.titan-embed-image-v1/invoke"
TEXTS = "/endpoints/neuralshelf-minilm/invocations"
JSON = {"Content-Type": "application/json"}
GOOD = b'{"inputText":"a"}'


def post(server: Any, path: str, body: Any, headers: dict[str, str] | None = None) -> requests.Response:
    return requests.post(server.url + path, data=body, headers=JSON | (headers or {}), timeout=30)


def still_well(server: Any) -> bool:
    return post(server, CLIP, GOOD).status_code == 200


def text_body(size: int) -> bytes:
    return b'{"inputText":"' + b"a" * (size - 16) + b'"}'


def test_a_body_of_exactly_the_limit_is_taken(open_server: Any) -> None:
    texts = ["a" * 1_000_000] * 6 + ["b"]
    body = json.dumps(texts).encode().ljust(SAGEMAKER_MAX_BODY)
    assert post(open_server, TEXTS, body).status_code == 200
    assert post(open_server, TEXTS, body + b" ").status_code == 413


@pytest.mark.parametrize(
    ("path", "size", "code"),
    [(CLIP, SAGEMAKER_MAX_BODY + 1, "ValidationError"), (TITAN, 25_000_001, "ValidationException")],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_413(open_server: Any, path: str, size: int, code: str, chunked: bool) -> None:
    body = text_body(size)
    chunks = (body[place : place + 100_000] for place in range(0, size, 100_000))
    answer = post(open_server, path, chunks if chunked else body)
    assert (answer.status_code, answer.headers["x-amzn-ErrorType"]) == (413, code)
    assert still_well(open_server)


def test_an_endless_body_is_refused_while_it_is_still_being_sent(open_server: Any) -> None:
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % CLIP.encode()
    chunk = b"10000\r\n" + b"a" * 65536 + b"\r\n"
    with socket.create_connection((open_server.host, open_server.port), timeout=20) as connection:
        connection.sendall(head)
        received = b""
        started = time.monotonic()
        with contextlib.suppress(ConnectionError):  # the server may have hung up before we looked
            while not received and time.monotonic() - started < 20:
                connection.sendall(chunk)
                if select.select([connection], [], [], 0)[0]:
                    received = connection.recv(4096)
        assert time.monotonic() - started < 15
    assert received[:12] in (b"", b"HTTP/1.1 413")
    assert still_well(open_server)


def test_an_announced_body_over_the_limit_is_refused_before_it_is_sent(open_server: Any) -> None:
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n" % CLIP.encode()
    for more in (b"\r\n", b"Expect: 100-continue\r\n\r\n"):
        started = time.monotonic()
        assert open_server.raw(head + more).startswith(b"HTTP/1.1 413")
        assert time.monotonic() - started < 3


def test_bodies_of_all_requests_together_are_bounded(serve: Any) -> None:
    server = serve(signed=False, limits=replace(Limits(), max_buffered=100_000))
    assert post(server, CLIP, text_body(50_000)).status_code == 200
    refused = post(server, CLIP, text_body(200_000))
    assert (refused.status_code, refused.headers["x-amzn-ErrorType"]) == (429, "ThrottlingException")
    assert post(server, CLIP, text_body(90_000)).status_code == 200


def test_a_compressed_body_is_refused_unopened(open_server: Any) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    answer = post(open_server, CLIP, bomb, {"Content-Encoding": "gzip"})
    assert answer.status_code == 415


def test_another_content_type_is_refused_as_each_service_does(open_server: Any) -> None:
    xml = {"Content-Type": "application/xml"}
    sagemaker = post(open_server, CLIP, GOOD, xml)
    assert (sagemaker.status_code, sagemaker.json()["OriginalStatusCode"]) == (424, 415)
    bedrock = post(open_server, TITAN, GOOD, xml)
    assert bedrock.status_code == 400
    assert "Content Type is invalid" in bedrock.json()["message"]
    assert post(open_server, "/invocations", GOOD, xml).status_code == 415


BAD_JSON: dict[str, bytes] = {
    "empty": b"",
    "not JSON": b"{inputText: 1}",
    "cut": b'{"inputText":"a',
    "two values": GOOD + GOOD,
    "NaN": b'{"inputText":NaN}',
    "Infinity": b'{"inputText":"a","embeddingConfig":{"outputEmbeddingLength":-Infinity}}',
    "a huge number": b'{"inputText":"a","embeddingConfig":{"outputEmbeddingLength":' + b"9" * 5000 + b"}}",
    "a repeated key": b'{"inputText":"a","inputText":"b"}',
    "a key repeated in disguise": b'{"inputText":"a","input\\u0054ext":"b"}',
    "deep arrays": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "UTF-16": '{"inputText":"a"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "bytes that are not UTF-8": b'{"inputText":"\xff"}',
    "a lone surrogate": b'{"inputText":"\\ud83d"}',
    "a raw control character": b'{"inputText":"a\nb"}',
    "a deep value in a known key": b'{"inputText":' + b"[" * 900 + b"]" * 900 + b"}",
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_malformed_json_is_a_validation_exception(open_server: Any, name: str) -> None:
    answer = post(open_server, TITAN, BAD_JSON[name])
    assert (answer.status_code, answer.headers["x-amzn-ErrorType"]) == (400, "ValidationException")
    assert answer.json()["message"].startswith("Malformed input request: ")


def test_an_error_never_repeats_the_body(open_server: Any) -> None:
    canary = "canary-7f3a"
    for body in ({canary: 1}, {"inputText": "a", "embeddingConfig": {"outputEmbeddingLength": canary}}, canary):
        assert canary not in post(open_server, TITAN, json.dumps(body)).text
    assert canary not in post(open_server, TEXTS, json.dumps({canary: 1})).text


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", CLIP, 405), ("PUT", TITAN, 405), ("POST", "/nothing", 404)]
)
def test_an_unknown_operation_is_answered_as_json(open_server: Any, method: str, path: str, status: int) -> None:
    answer = requests.request(method, open_server.url + path, timeout=20)
    assert (answer.status_code, answer.headers["x-amzn-ErrorType"]) == (status, "UnknownOperationException")
    assert answer.json()


def test_pipelined_requests_are_answered_in_order(open_server: Any) -> None:
    one = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n" % TEXTS.encode()
    last = b"POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9\r\n\r\n" % TEXTS.encode()
    received = open_server.raw(one + b'"a"' + one + b"[1]" + last + b'["a","b"]')
    assert re.findall(rb"HTTP/1.1 ([0-9]+)", received) == [b"200", b"424", b"200"]


@pytest.mark.parametrize(
    "head",
    [
        b"GARBAGE\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: x\r\n" + b"X-A: a\r\n" * 20_000 + b"\r\n",
        b"GET /ping HTTP/1.1\r\n\r\n",
    ],
)
def test_a_broken_request_head_is_a_400_and_the_end_of_its_connection(open_server: Any, head: bytes) -> None:
    try:
        received = open_server.raw(head)
    except ConnectionError:
        received = b""  # the rest of an endless head was cut off
    assert received[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 501", b"")
    assert still_well(open_server)


@pytest.fixture(scope="module")
def hasty(_serving: Any) -> Any:
    """A server that waits for nobody."""
    limits = replace(Limits(), header_timeout=0.5, body_timeout=0.5, keep_alive=1)
    return _serving(signed=False, limits=limits)


def closed_after(connection: socket.socket, sent: list[bytes], pause: float) -> float:
    """Send the parts with pauses, until the server closes; seconds that took."""
    started = time.monotonic()
    connection.settimeout(10)
    try:
        for part in sent:
            connection.sendall(part)
            time.sleep(pause)
        while connection.recv(4096):
            pass
    except ConnectionError:
        pass
    return time.monotonic() - started


@pytest.mark.parametrize(
    "sent",
    [
        [],
        [b"P"],
        [bytes([letter]) for letter in b"POST /ping HTTP/1.1\r\nHost: x\r\nA: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],
    ],
    ids=["nothing", "one byte", "a byte at a time"],
)
def test_a_slow_request_head_is_cut_off(hasty: Any, sent: list[bytes]) -> None:
    with socket.create_connection((hasty.host, hasty.port)) as connection:
        assert closed_after(connection, sent, 0.05) < 5
    assert still_well(hasty)


def test_the_second_request_head_of_a_connection_is_cut_off_as_well(hasty: Any) -> None:
    with socket.create_connection((hasty.host, hasty.port)) as connection:
        connection.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 200 " in connection.recv(4096)
        assert closed_after(connection, [b"GET /pi"] + [b"n"] * 40, 0.05) < 5


def test_a_slow_body_is_a_408(hasty: Any) -> None:
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" % CLIP.encode()
    started = time.monotonic()
    with socket.create_connection((hasty.host, hasty.port), timeout=10) as connection:
        connection.sendall(head + b'{"')
        assert connection.recv(4096).startswith(b"HTTP/1.1 408")
    assert time.monotonic() - started < 4
    assert still_well(hasty)


def test_an_idle_connection_is_closed(hasty: Any) -> None:
    with socket.create_connection((hasty.host, hasty.port)) as connection:
        connection.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert closed_after(connection, [], 0) < 5


def test_connections_over_the_limit_get_503_and_the_next_one_after_them_is_served(serve: Any) -> None:
    server = serve(signed=False, limits=replace(Limits(), max_connections=20))
    idle = [socket.create_connection((server.host, server.port)) for _ in range(30)]
    time.sleep(0.2)
    assert requests.get(server.url + "/ping", timeout=10).status_code == 503
    for connection in idle:
        connection.close()
    time.sleep(0.2)
    assert still_well(server)
