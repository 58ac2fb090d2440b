"""Batching across requests, seen from outside: counters, answers, refusals, and a server that stays awake."""

import base64
import io
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import requests
from PIL import Image

from neuralshelf.model_packages.server.limits import Limits
from tests.waiting import until

CLIP = "/endpoints/neuralshelf-clip/invocations"
TITAN = "/model/amazon.titan-embed-image-v1/invoke"
TEXTS = "/endpoints/neuralshelf-minilm/invocations"


def ask(server: Any, text: str, dimension: int = 512, path: str = CLIP) -> requests.Response:
    body = {"inputText": text, "embeddingConfig": {"outputEmbeddingLength": dimension}}
    return requests.post(server.url + path, json=body, timeout=30)


def ask_all(server: Any, texts: list[str], clients: int = 16) -> list[requests.Response]:
    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(lambda text: ask(server, text), texts))


def test_sixteen_clients_share_batches_and_get_the_answers_they_would_get_alone(serve: Any, toy: Any) -> None:
    server = serve(signed=False, multimodal=toy(seconds=0.02))
    texts = [f"text {number}" for number in range(160)]
    answers = ask_all(server, texts)
    counters = server.status()["counters"]
    assert counters["texts"] == 160
    assert counters["texts_a_batch"] > 4
    assert max(server.multimodal.batches) <= 16
    for text, answer in list(zip(texts, answers, strict=True))[::20]:
        assert answer.json() == ask(server, text).json()


def test_with_max_batch_one_every_sample_goes_alone(serve: Any, toy: Any) -> None:
    server = serve(signed=False, multimodal=toy(seconds=0.005), limits=replace(Limits(), max_batch=1))
    ask_all(server, ["a"] * 40)
    assert set(server.multimodal.batches) == {1}
    assert server.status()["counters"]["texts_a_batch"] == 1.0


def test_an_idle_model_does_not_wait_for_company(serve: Any) -> None:
    server = serve(signed=False, limits=replace(Limits(), max_wait=5.0))
    started = time.monotonic()
    for _ in range(5):
        assert ask(server, "alone").status_code == 200
    assert time.monotonic() - started < 2


def test_samples_of_two_dimensions_are_never_in_one_batch(serve: Any, toy: Any) -> None:
    server = serve(signed=False, multimodal=toy(seconds=0.01))
    with ThreadPoolExecutor(16) as pool:
        sizes = [(384, 512, 1024)[number % 3] for number in range(60)]
        answers = list(pool.map(lambda size: ask(server, "a", size), sizes))
    assert [len(answer.json()["embedding"]) for answer in answers] == sizes


def test_the_clip_and_titan_endpoints_share_one_model_and_its_batches(serve: Any, toy: Any) -> None:
    server = serve(signed=False, multimodal=toy(seconds=0.05))
    with ThreadPoolExecutor(12) as pool:
        paths = [(CLIP, TITAN)[number % 2] for number in range(24)]
        answers = list(pool.map(lambda path: ask(server, "a", 1024, path), paths))
    assert {answer.status_code for answer in answers} == {200}
    assert len(server.multimodal.batches) < 24


def test_one_bad_sample_does_not_fail_the_others_of_its_batch(serve: Any, toy: Any) -> None:
    server = serve(signed=False, multimodal=toy(seconds=0.05))
    texts = ["RAISE" if number % 8 == 3 else f"good {number}" for number in range(32)]
    answers = ask_all(server, texts)
    for text, answer in zip(texts, answers, strict=True):
        assert answer.status_code == (424 if text == "RAISE" else 200), answer.text
    assert server.status()["counters"]["errors"] == {"ModelError": 4}


def test_a_full_queue_is_a_throttling_exception_at_once_and_what_was_accepted_is_answered(serve: Any, toy: Any) -> None:
    gate = threading.Event()
    server = serve(multimodal=toy(gate=gate), limits=replace(Limits(), max_batch=1, max_queue=4))
    client = server.boto("bedrock-runtime")

    def invoke(_number: int) -> int:
        client.invoke_model(modelId="amazon.titan-embed-image-v1", body=b'{"inputText":"a"}')
        return 200

    with ThreadPoolExecutor(8) as pool:
        accepted = [pool.submit(invoke, 0)]
        until(lambda: server.multimodal.calls == 1)
        accepted += [pool.submit(invoke, number) for number in range(1, 5)]
        until(lambda: server.status()["counters"]["waiting"] == 4)
        started = time.monotonic()
        with pytest.raises(client.exceptions.ThrottlingException) as caught:
            invoke(6)
        assert time.monotonic() - started < 2
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
        sagemaker = server.boto("sagemaker-runtime")
        with pytest.raises(sagemaker.exceptions.ClientError, match="ThrottlingException"):
            sagemaker.invoke_endpoint(EndpointName="neuralshelf-clip", Body=b'{"inputText":"a"}')
        assert requests.get(server.url + "/ping", timeout=2).status_code == 200
        gate.set()
        assert [future.result(20) for future in accepted] == [200] * 5


def test_what_is_not_answered_in_time_is_a_timeout_and_leaves_the_queue(serve: Any, toy: Any) -> None:
    gate = threading.Event()
    server = serve(multimodal=toy(gate=gate), limits=replace(Limits(), deadline=0.3, max_batch=1))
    bedrock, sagemaker = server.boto("bedrock-runtime"), server.boto("sagemaker-runtime")
    with pytest.raises(bedrock.exceptions.ModelTimeoutException):
        bedrock.invoke_model(modelId="amazon.titan-embed-image-v1", body=b'{"inputText":"a"}')
    with pytest.raises(sagemaker.exceptions.ModelError) as caught:
        sagemaker.invoke_endpoint(EndpointName="neuralshelf-clip", Body=b'{"inputText":"b"}')
    assert caught.value.response["OriginalStatusCode"] == 504
    assert server.status()["counters"]["dropped"] == 1
    gate.set()
    until(lambda: server.multimodal.batches)
    assert server.multimodal.batches == [1]


def test_a_client_that_goes_away_takes_its_sample_out_of_the_queue(serve: Any, toy: Any) -> None:
    gate = threading.Event()
    server = serve(signed=False, multimodal=toy(gate=gate), limits=replace(Limits(), max_batch=1))
    body = b'{"inputText":"a"}'
    request = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    leaving = [socket.create_connection((server.host, server.port)) for _ in range(3)]
    for connection in leaving:
        connection.sendall(request)
    until(lambda: server.status()["counters"]["waiting"] == 2)
    for connection in leaving:
        connection.close()
    until(lambda: server.status()["counters"]["dropped"] == 2)
    gate.set()
    assert ask(server, "later").status_code == 200
    assert sum(server.multimodal.batches) == 2


def test_ping_answers_while_the_model_works(serve: Any, toy: Any) -> None:
    server = serve(signed=False, multimodal=toy(seconds=0.2))
    with ThreadPoolExecutor(32) as pool:
        load = [pool.submit(ask, server, f"text {number}") for number in range(64)]
        slowest = 0.0
        for _ in range(20):
            started = time.monotonic()
            assert requests.get(server.url + "/ping", timeout=5).status_code == 200
            slowest = max(slowest, time.monotonic() - started)
            time.sleep(0.01)
        assert {future.result().status_code for future in load} == {200}
    assert slowest < 1.0


def test_a_list_of_texts_is_batched_with_other_lists(serve: Any) -> None:
    server = serve(signed=False)
    server.text.seconds = 0.02
    lists = [[f"{number} {place}" for place in range(5)] for number in range(12)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda texts: requests.post(server.url + TEXTS, json=texts, timeout=30), lists))
    assert all(len(answer.json()) == 5 for answer in answers)
    assert max(server.text.batches) > 5
    assert sum(server.text.batches) == 60


def test_an_answer_does_not_wait_for_the_acknowledgement_of_its_head(open_server: Any) -> None:
    """Without TCP_NODELAY every answer on a kept connection takes 40 ms."""
    with requests.Session() as session:
        seconds = [
            session.post(open_server.url + TEXTS, json=["a"], timeout=10).elapsed.total_seconds() for _ in range(20)
        ]
    assert min(seconds) < 0.03


def picture() -> str:
    out = io.BytesIO()
    Image.effect_noise((120, 120), 80).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def test_a_text_does_not_wait_for_all_pictures_before_it_and_pictures_are_not_starved(serve: Any, toy: Any) -> None:
    server = serve(signed=False, multimodal=toy(seconds=0.2), limits=replace(Limits(), max_batch=4))
    body = {"inputImage": picture()}
    with ThreadPoolExecutor(48) as pool:
        pictures = [pool.submit(requests.post, server.url + CLIP, json=body, timeout=30) for _ in range(40)]
        until(lambda: server.status()["counters"]["waiting"] > 20)
        assert ask(server, "a search").status_code == 200
        assert sum(not future.done() for future in pictures) > 8, "it waited for the pictures"
        texts = [pool.submit(ask, server, f"text {number}") for number in range(8)]
        assert {future.result().status_code for future in pictures + texts} == {200}


def test_a_search_by_picture_does_not_wait_for_the_pictures_of_an_ingest(serve: Any, toy: Any) -> None:
    server = serve(signed=False, multimodal=toy(seconds=0.2), limits=replace(Limits(), max_batch=4))
    body = {"inputImage": picture()}
    search = {"X-Amzn-SageMaker-Custom-Attributes": "search"}
    with ThreadPoolExecutor(48) as pool:
        pictures = [pool.submit(requests.post, server.url + CLIP, json=body, timeout=30) for _ in range(40)]
        until(lambda: server.status()["counters"]["waiting"] > 20)
        assert requests.post(server.url + CLIP, json=body, headers=search, timeout=30).status_code == 200
        assert sum(not future.done() for future in pictures) > 8, "it waited for the pictures"
        assert {future.result().status_code for future in pictures} == {200}
