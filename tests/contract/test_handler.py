"""A model package behind the container contract, in a real server on loopback; the packages need numpy only."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from neuralshelf.model_packages.packaging.manifest import PackageError
from neuralshelf.model_packages.server.handler import Call, Handler, HandlerRefused, create_package_app
from neuralshelf.model_packages.server.limits import SAGEMAKER_MAX_BODY, Limits
from neuralshelf.model_packages.server.refusals import InputRefused, ModelFailed
from neuralshelf.model_packages.server.serving import Server, bound_socket
from tests.unit import model_package

ONE = replace(Limits(), max_batch=1, shutdown=5)
MISCHIEF = """
import json, sys, time, threading
from neuralshelf.model_packages.server.refusals import InputRefused, MediaTypeRefused

class ToolkitError(Exception):
    def __init__(self, status_code, message, phrase):
        self.status_code, self.message, self.phrase = status_code, message, phrase
        super().__init__(status_code, message, phrase)

seen = []
release = threading.Event()

def model_fn(model_dir):
    return model_dir

def input_fn(body, content_type):
    if content_type == "image/png":
        return {"do": "echo", "type": type(body).__name__}
    if content_type != "application/json":
        raise MediaTypeRefused("Content type must be application/json")
    return json.loads(body) | {"type": type(body).__name__}

def predict_fn(data, model):
    seen.append(data)
    do = data["do"]
    if do == "refuse":
        raise InputRefused("text is missing")
    if do == "toolkit":
        raise ToolkitError(data.get("status", 413), "too \\ud800 large", data.get("phrase", "BodyTooLarge"))
    if do == "crash":
        raise RuntimeError(data["text"])
    if do == "exit":
        sys.exit(3)
    if do == "timeout":
        raise TimeoutError
    if do == "stop":
        raise StopIteration
    if do == "sleep":
        time.sleep(data["seconds"])
    if do == "wait":
        release.wait(30)
    return data

def output_fn(prediction, accept):
    do = prediction["do"]
    if do == "tuple":
        return b"\\x00\\x01", "application/x-npy"
    if do == "str":
        return "text"
    if do == "dict":
        return {"accept": accept}
    if do == "object":
        return object()
    return json.dumps(prediction | {"accept": accept}).encode()
"""


class Running:
    """A package that is served; `module` is its inference.py."""

    def __init__(self, handler: Handler, limits: Limits) -> None:
        self.module = handler._functions
        ready = threading.Event()
        self._opened = bound_socket("127.0.0.1", 0)
        self._server = Server(create_package_app(handler, limits), self._opened, limits, lambda _port: ready.set())
        self._thread = threading.Thread(target=self._server.run_until_stopped, daemon=True)
        self._thread.start()
        assert ready.wait(20)
        self.url = f"http://127.0.0.1:{self._opened.getsockname()[1]}"

    def post(self, body: object, **headers: str) -> requests.Response:
        given = {"Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return requests.post(f"{self.url}/invocations", content, headers=given, timeout=30)

    def stop(self) -> None:
        self._server.stop()
        self._thread.join(30)
        self._opened.close()


def package(folder: Path, text: str = MISCHIEF) -> Path:
    made = model_package.write(folder)
    (made / "code" / "inference.py").write_text(text)
    return made


Serve = Callable[..., Running]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    started: list[Running] = []

    def start(text: str = MISCHIEF, limits: Limits = ONE) -> Running:
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Running(Handler.load(package(folder, text) / "code", folder), limits))
        return started[-1]

    yield start
    for running in started:
        if hasattr(running.module, "release"):
            running.module.release.set()
        running.stop()


@pytest.fixture
def mischief(serve: Serve) -> Running:
    return serve()


def test_an_answer_goes_through_the_four_functions(tmp_path: Path, serve: Serve) -> None:
    made = model_package.write(tmp_path)
    running = Running(Handler.load(made / "code", model_package.write_weights(tmp_path)), ONE)
    try:
        assert requests.get(f"{running.url}/ping", timeout=10).status_code == 200
        answer = running.post({"inputText": "abc"})
        assert (answer.status_code, answer.json()) == (200, {"embedding": [3.0, 6.0]})
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-amzn-RequestId"]
    finally:
        running.stop()


def test_json_arrives_as_text_and_all_else_as_a_bytearray(mischief: Running) -> None:
    assert mischief.post({"do": "echo"}).json()["type"] == "str"
    assert mischief.post(b"\x89PNG", Content_Type="image/png").json()["type"] == "bytearray"


@pytest.mark.parametrize("asked", ["*/*", ""])
def test_json_is_accepted_when_nothing_is_said(mischief: Running, asked: str) -> None:
    assert mischief.post({"do": "echo"}, Accept=asked or "*/*").json()["accept"] == "application/json"
    assert mischief.post({"do": "echo"}, Accept="text/csv").json()["accept"] == "text/csv"


@pytest.mark.parametrize(
    ("do", "body", "content_type"),
    [
        ("tuple", b"\0\1", "application/x-npy"),
        ("str", b"text", "text/csv"),
        ("dict", b'{\n  "accept": "text/csv"\n}', "text/csv"),
    ],
)
def test_the_output_may_be_text_bytes_with_a_type_or_json(
    mischief: Running, do: str, body: bytes, content_type: str
) -> None:
    answer = mischief.post({"do": do}, Accept="text/csv")
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, body, content_type)


@pytest.mark.parametrize(
    ("sent", "status", "code", "message"),
    [
        ({"do": "refuse"}, 400, "InputRefused", "text is missing"),
        ({"do": "toolkit"}, 413, "BodyTooLarge", "too ? large"),
        ({"do": "toolkit", "phrase": "Not a\r\ncode"}, 413, "ToolkitError", "too ? large"),
        ({"do": "toolkit", "status": 200}, 500, "ModelFailed", "The model failed on this input: ToolkitError"),
        ({"do": "crash", "text": "s3cret"}, 500, "ModelFailed", "The model failed on this input: RuntimeError"),
        ({"do": "exit"}, 500, "ModelFailed", "The model failed on this input: SystemExit"),
        ({"do": "timeout"}, 500, "ModelFailed", "The model failed on this input: TimeoutError"),
        ({"do": "stop"}, 500, "ModelFailed", "The model failed on this input: StopIteration"),
        ({"do": "object"}, 500, "ModelFailed", "The model failed on this input: TypeError"),
        (b"{not json", 500, "ModelFailed", "The model failed on this input: JSONDecodeError"),
        (b"\xff", 500, "ModelFailed", "The model failed on this input: UnicodeDecodeError"),
        (b"", 500, "ModelFailed", "The model failed on this input: JSONDecodeError"),
    ],
)
def test_what_a_package_raises_is_answered_without_its_traceback_and_the_next_request_is_served(
    mischief: Running, caplog: pytest.LogCaptureFixture, sent: object, status: int, code: str, message: str
) -> None:
    answer = mischief.post(sent)
    assert (answer.status_code, answer.json()) == (status, {"code": code, "message": message})
    assert "s3cret" not in answer.text + caplog.text
    assert ("handler.py" in caplog.text) == (status == 500)  # where it failed is for the log
    assert mischief.post({"do": "echo"}).status_code == 200


def test_another_content_type_is_the_packages_to_refuse(mischief: Running) -> None:
    answer = mischief.post(b"<a/>", Content_Type="application/xml")
    assert (answer.status_code, answer.json()["code"]) == (415, "MediaTypeRefused")
    bare = requests.Request("POST", f"{mischief.url}/invocations", data=b"{}").prepare()
    assert "content-type" not in bare.headers
    with requests.Session() as session:
        assert session.send(bare, timeout=10).status_code == 415


def test_a_compressed_body_is_refused_unopened(mischief: Running) -> None:
    answer = mischief.post({"do": "echo"}, Content_Encoding="gzip")
    assert (answer.status_code, answer.json()["code"]) == (415, "EncodingRefused")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_huge_body_is_refused(mischief: Running, chunked: bool) -> None:
    body = b" " * (SAGEMAKER_MAX_BODY + 1)
    pieces = (body[start : start + 100_000] for start in range(0, len(body), 100_000))
    answer = requests.post(f"{mischief.url}/invocations", pieces if chunked else body, timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (413, "BodyTooLarge")
    assert mischief.post(b'{"do":"echo"}'.ljust(SAGEMAKER_MAX_BODY)).status_code == 200


def test_bodies_are_bounded_in_memory_all_together(serve: Serve) -> None:
    running = serve(limits=replace(ONE, max_buffered=100_000))
    answer = running.post(b" " * 200_000)
    assert (answer.status_code, answer.json()["code"]) == (429, "Throttled")
    assert running.post({"do": "echo"}).status_code == 200


def test_a_full_queue_is_refused_at_once_and_what_waits_is_answered(serve: Serve) -> None:
    running = serve(limits=replace(ONE, max_queue=2))
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(running.post, {"do": "wait"})]
        end = time.monotonic() + 20
        while not running.module.seen and time.monotonic() < end:
            time.sleep(0.01)
        waiting += [pool.submit(running.post, {"do": "echo"}) for _ in range(2)]
        while requests.get(running.url, timeout=5).json()["counters"]["waiting"] < 2 and time.monotonic() < end:
            time.sleep(0.01)
        started = time.monotonic()
        answer = running.post({"do": "echo"})
        assert (answer.status_code, answer.json()["code"]) == (429, "Throttled")
        assert requests.get(f"{running.url}/ping", timeout=5).status_code == 200
        assert time.monotonic() - started < 5
        running.module.release.set()
        assert [future.result().status_code for future in waiting] == [200] * 3


def test_past_the_deadline_it_is_504_and_what_still_waited_is_not_worked_on(serve: Serve) -> None:
    running = serve(limits=replace(ONE, deadline=0.5, max_queue=1))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(running.post, {"do": "wait"})
        end = time.monotonic() + 20
        while not running.module.seen and time.monotonic() < end:
            time.sleep(0.01)
        second = running.post({"do": "echo", "second": 1})
        assert (second.status_code, second.json()["code"]) == (504, "DeadlinePassed")
        assert first.result().status_code == 504
        third = running.post({"do": "echo"})  # takes the place of the one that nobody waits for
        assert third.status_code == 504
    running.module.release.set()
    while running.post({"do": "last"}).status_code != 200:
        assert time.monotonic() < end
    assert not any("second" in data for data in running.module.seen)


def test_a_client_that_leaves_is_not_worked_for(serve: Serve) -> None:
    running = serve()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(running.post, {"do": "wait"})
        end = time.monotonic() + 20
        while not running.module.seen and time.monotonic() < end:
            time.sleep(0.01)
        body = b'{"do":"left"}'
        head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        with socket.create_connection(("127.0.0.1", int(running.url.rpartition(":")[2]))) as connection:
            connection.sendall(head % len(body) + body)
            while requests.get(running.url, timeout=5).json()["counters"]["waiting"] < 1:
                assert time.monotonic() < end
        while requests.get(running.url, timeout=5).json()["counters"]["waiting"]:
            assert time.monotonic() < end
        running.module.release.set()
        assert first.result().status_code == 200
    assert running.post({"do": "echo"}).status_code == 200
    assert not any(data["do"] == "left" for data in running.module.seen)


def loaded(folder: Path, text: str = MISCHIEF) -> Handler:
    return Handler.load(package(folder, text) / "code", folder)


def test_a_batch_is_answered_one_by_one_with_the_headers_of_the_first(tmp_path: Path) -> None:
    handler = loaded(tmp_path)
    calls = [Call(b'{"do":"echo","n":1}', accept="text/csv"), Call(b'{"do":"echo","n":2}', "image/png", "a/b")]
    answers = [json.loads(answer.body) for answer in handler.transform(calls)]
    assert [answer["n"] for answer in answers] == [1, 2]
    assert {(answer["type"], answer["accept"]) for answer in answers} == {("str", "text/csv")}


def test_one_refusal_refuses_its_batch(tmp_path: Path) -> None:
    handler = loaded(tmp_path)
    with pytest.raises(HandlerRefused) as caught:
        handler.transform([Call(b'{"do":"echo"}'), Call(b'{"do":"refuse"}')])
    assert (caught.value.status, caught.value.code) == (503, "BatchRefused")
    with pytest.raises(InputRefused):
        handler.transform([Call(b'{"do":"refuse"}')])


def test_requests_gather_into_batches(serve: Serve) -> None:
    running = serve(limits=replace(ONE, max_batch=4, max_wait=5.0))
    with ThreadPoolExecutor(4) as pool:
        started = time.monotonic()
        answers = list(pool.map(lambda number: running.post({"do": "echo", "n": number}), range(4)))
        assert time.monotonic() - started < 4  # full before its time
        assert [answer.json()["n"] for answer in answers] == [0, 1, 2, 3]
        mixed = list(pool.map(running.post, [{"do": "echo"}] * 3 + [{"do": "refuse"}]))
    assert [answer.status_code for answer in mixed] == [503] * 4
    assert {answer.json()["code"] for answer in mixed} == {"BatchRefused"}


def test_two_packages_with_modules_of_the_same_name_live_in_one_process(tmp_path: Path) -> None:
    handlers = []
    for factor in (2, 3):
        folder = tmp_path / str(factor)
        folder.mkdir()
        made = model_package.write(folder)
        (made / "code" / "helper.py").write_text(f"def scale(length):\n    return {factor}.0 * length\n")
        handlers.append(Handler.load(made / "code", model_package.write_weights(folder)))
    for _ in range(2):
        answers = [json.loads(handler.transform([Call(b'{"inputText":"a"}')])[0].body) for handler in handlers]
        assert [answer["embedding"] for answer in answers] == [[2.0, 4.0], [3.0, 6.0]]


def test_transform_fn_stands_for_three_functions(tmp_path: Path) -> None:
    text = (
        "def model_fn(d):\n    return 7\ndef transform_fn(model, body, kind, accept):\n    return str(model) + body\n"
    )
    assert loaded(tmp_path, text).transform([Call(b"x")])[0].body == b"7x"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a function model_fn of 1 argument"),
        (MISCHIEF.replace("def predict_fn(data, model)", "def predict_fn(data)"), "predict_fn of 2 arguments"),
        (MISCHIEF.replace("def output_fn", "def other"), "output_fn of 2 arguments"),
    ],
)
def test_a_function_that_is_missing_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(PackageError, match=said):
        loaded(tmp_path, text)
    with pytest.raises(PackageError, match=r"none/code/inference\.py: no such file"):
        Handler.load(tmp_path / "none" / "code", tmp_path)


def test_a_failure_of_the_model_is_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(ModelFailed, match="RuntimeError"):
        loaded(tmp_path).transform([Call(b'{"do":"crash","text":"x"}')])
