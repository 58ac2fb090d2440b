"""Models that are down, slow or mad: a search is answered by its words, within a bound, and says so."""

import base64
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch, RequestError, TransportError

from neuralshelf.client import connect
from neuralshelf.degraded import AWAY, DEAR_SECONDS, SLOW, THROTTLED, WRONG, Outage
from neuralshelf.deployment import Config
from neuralshelf.settings import ClusterConfig
from neuralshelf.storefront import Question, Refusal, Storefront
from tests.faults.conftest import READ_TIMEOUT, Shop, picture
from tests.faults.faults import BREAKING, FAILING, GARBAGE, REFUSING, THROTTLING

INPUT = ("400 input", "424 input")
"""What a model says of a text or a picture that it will not take."""
NAMES = sorted({*THROTTLING, *FAILING, *REFUSING, *BREAKING, *GARBAGE} - {"50 MB", *INPUT})
WAITING = {"slow", "hang", "408"}
NO_VECTORS = {"wrong dimension", "empty vector", "nested", "zeros", "NaN", "Infinity", "1e39", "null", "strings"}

DEADLINE = 2.0
BOUND = 2 * DEADLINE + 5
"""Seconds: a deadline for the models, one for the words, and what a busy machine adds."""
PAUSE = 0.5
TEXT = "a red cup"
GUIDE = Path(__file__).resolve().parents[2] / "docs" / "degraded.md"


@pytest.fixture(scope="module")
def stocked(applied: Shop) -> Shop:
    """The deployment with three documents, which the tests only search."""
    applied.empty()
    titles = {"cup": "a red cup of tin", "jug": "a blue jug", "pan": "an iron pan"}
    lines: list[dict[str, Any]] = []
    for identity, title in titles.items():
        lines += [{"index": {"_id": identity}}, {"title": title}]
    assert not applied.client.bulk(body=lines, index=applied.index, params={"refresh": "true"})["errors"]
    return applied


@pytest.fixture
def shop(stocked: Shop) -> Iterator[Shop]:
    """The same, and well."""
    stocked.models.heal()
    yield stocked
    stocked.models.heal()


@pytest.fixture(scope="module")
def engine_client(stocked: Shop) -> Iterator[OpenSearch]:
    """A client that goes straight to the engine, from many threads."""
    found = connect(ClusterConfig(provider="url", url=stocked.project.environment["cluster"]["url"]), pool=40)
    yield found
    found.close()


@pytest.fixture
def front(shop: Shop, engine_client: OpenSearch) -> Storefront:
    """What the page asks, impatient and quick to forgive."""
    config = Config.parse(shop.project.config, "neuralshelf.yaml")
    search = config.search.model_copy(update={"deadline": DEADLINE})
    return Storefront(engine_client, config.index, search, None, Outage(PAUSE))


def timed(ask: Callable[[], Any]) -> tuple[Any, float]:
    """What it returns, and the seconds that it took."""
    started = time.monotonic()
    return ask(), time.monotonic() - started


def why(name: str) -> str | None:
    """The reason that a fault is told by; None where more than one fits."""
    if name in THROTTLING or name == "429 not ready":
        return THROTTLED
    if name in WAITING:
        return SLOW
    if name in NO_VECTORS or name == "no vectors":
        return WRONG
    return AWAY if name in FAILING or name in REFUSING else None


@pytest.mark.parametrize("name", NAMES)
def test_every_fault_gives_the_answer_by_words_within_the_bound(shop: Shop, front: Storefront, name: str) -> None:
    shop.models.share(1.0, [name])
    answer, seconds = timed(lambda: front.answer(Question(text=TEXT)))
    assert next(hit["id"] for hit in answer["hits"]) == "cup"
    assert answer["keyword_only"]
    assert answer["degraded"] == (why(name) or answer["degraded"])
    assert answer["degraded"] in (AWAY, SLOW, THROTTLED, WRONG)
    assert "neural" not in answer["body"]
    assert seconds < BOUND
    shop.models.heal()
    if seconds >= DEAR_SECONDS:  # what failed at once is not remembered
        time.sleep(PAUSE)
    back = front.answer(Question(text=TEXT))
    assert back["degraded"] is None
    assert not back["keyword_only"]


@pytest.mark.parametrize("name", INPUT)
def test_a_question_that_the_model_refuses_is_the_asker_s_fault(shop: Shop, front: Storefront, name: str) -> None:
    shop.models.share(1.0, [name])
    with pytest.raises(Refusal, match="the model refused it") as caught:
        front.answer(Question(text=TEXT))
    assert (caught.value.status, caught.value.content["code"]) == (400, "refused")


def test_a_picture_alone_is_refused_and_with_words_the_words_are_asked(shop: Shop, front: Storefront) -> None:
    shop.models.share(1.0, ["503"])
    with pytest.raises(Refusal, match="no picture can be searched for") as caught:
        front.answer(Question(image=picture(7)))
    assert (caught.value.status, caught.value.content["code"]) == (503, "models_away")
    both = front.answer(Question(text=TEXT, image=picture(7), vector_weight=1.0))
    assert both["degraded"] == AWAY
    assert "query_image" not in both["body"]
    assert next(hit["id"] for hit in both["hits"]) == "cup"


def test_a_list_asks_no_model_and_is_never_degraded(shop: Shop, front: Storefront) -> None:
    shop.models.share(1.0, ["503"])
    listed = front.answer(Question())
    assert listed["degraded"] is None
    assert {hit["id"] for hit in listed["hits"]} == {"cup", "jug", "pan"}


def test_a_slow_outage_costs_one_search_the_wait_and_one_tries_again(shop: Shop, front: Storefront) -> None:
    shop.models.share(1.0, ["hang"])
    remembering = Storefront(front.client, front.index, front.search, None, Outage(60))
    _, first = timed(lambda: remembering.answer(Question(text=TEXT)))
    assert first >= READ_TIMEOUT >= DEAR_SECONDS
    calls = shop.models.calls
    for _ in range(5):
        assert remembering.answer(Question(text=TEXT))["degraded"] == SLOW
    assert shop.models.calls == calls

    front.answer(Question(text=TEXT))
    time.sleep(PAUSE)  # now it asks again, once for all who come meanwhile
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: timed(lambda: front.answer(Question(text=TEXT))), range(8)))
    assert all(answer["degraded"] == SLOW for answer, _ in answers)
    assert sum(seconds >= READ_TIMEOUT for _, seconds in answers) <= 3  # the pause is shorter than the wait


def test_a_quick_failure_is_not_remembered(shop: Shop, front: Storefront) -> None:
    shop.models.share(1.0, ["503"])
    patient = Storefront(front.client, front.index, front.search, None, Outage(60))
    assert patient.answer(Question(text=TEXT))["degraded"] == AWAY
    shop.models.heal()
    assert patient.answer(Question(text=TEXT))["degraded"] is None


def test_searches_that_hang_keep_no_thread_from_a_search_by_words(shop: Shop, engine_client: OpenSearch) -> None:
    shop.models.share(1.0, ["hang"])
    path, names = f"/{shop.index}/_search/template", (f"{shop.index}-search", f"{shop.index}-keyword-search")

    def ask(template: str) -> Any:
        body = {"id": template, "params": {"text": TEXT}}
        return engine_client.transport.perform_request("POST", path, body=body)

    def hung() -> str:
        with pytest.raises(TransportError) as caught:
            ask(names[0])
        return str(caught.value.info)

    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(hung) for _ in range(20)]
        until = time.monotonic() + 30
        while shop.models.open < 20 and time.monotonic() < until:
            time.sleep(0.01)
        answers = []
        while not all(search.done() for search in waiting):
            answers.append(timed(lambda: ask(names[1]))[1])
        said = [search.result() for search in waiting]
    assert all("Read timed out" in text for text in said)
    assert len(answers) >= 2
    print(f"{len(answers)} searches by words beside 20 that hang: slowest {max(answers):.3f} s")
    assert sorted(answers)[len(answers) // 2] < READ_TIMEOUT
    pools = engine_client.nodes.stats(metric="thread_pool")["nodes"]
    for node in pools.values():
        assert not {name: pool for name, pool in node["thread_pool"].items() if pool.get("rejected")}
        assert node["thread_pool"]["search"]["queue"] == 0
    while shop.models.open and time.monotonic() < until:
        time.sleep(0.01)
    assert shop.models.open == 0


def in_guide(shop: Shop, code: str) -> str:
    """The guide's code for this deployment."""
    url = shop.project.environment["cluster"]["url"]
    code = code.replace("/products/", f"/{shop.index}/").replace("http://127.0.0.1:9200", url)
    return code.replace("product-search", f"{shop.index}-search").replace("product-keyword", f"{shop.index}-keyword")


def test_the_guide_s_python_tells_the_same_faults(shop: Shop) -> None:
    source = re.search(r"```python\n(.+?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    assert source is not None
    space: dict[str, Any] = {}
    exec(in_guide(shop, source[1]), space)
    try:
        for name in NAMES:
            shop.models.heal()
            shop.models.share(1.0, [name])
            hits, reason = space["search"]({"text": TEXT, "weights": {"keyword": 1}}, DEADLINE)
            assert reason, name
            assert hits["hits"][0]["_id"] == "cup"
        for name in INPUT:
            shop.models.heal()
            shop.models.share(1.0, [name])
            with pytest.raises(TransportError, match=r"400|424"):
                space["search"]({"text": TEXT}, DEADLINE)
        shop.models.heal()
        assert space["search"]({"text": TEXT}, 30)[1] is None
        with pytest.raises(RequestError):
            space["search"]({"text": TEXT, "weights": {"keyword": 1, "text_vector": 1}}, 30)
        shop.models.share(1.0, ["503"])
        with pytest.raises(LookupError, match="no picture"):
            space["search"]({"image": picture(3)}, DEADLINE)
    finally:
        space["client"].close()


@pytest.mark.parametrize("name", ["503", "hang"])
def test_the_guide_s_curl_asks_the_words_when_the_first_request_fails(shop: Shop, name: str) -> None:
    block = re.search(r"## In curl\n\n((?:    .+\n)+)", GUIDE.read_text("utf-8"))
    assert block is not None
    script = re.sub("^    ", "", in_guide(shop, block[1]).replace("wine glass", TEXT), flags=re.MULTILINE)
    shop.models.share(1.0, [name])
    url = shop.project.environment["cluster"]["url"]
    ran = subprocess.run(
        ["bash", "-c", script], env={"URL": url, "PATH": "/usr/bin:/bin"}, capture_output=True, check=True
    )
    assert json.loads(ran.stdout)["hits"]["hits"][0]["_id"] == "cup"


def test_the_command_says_on_stderr_that_hits_are_by_words_alone(shop: Shop) -> None:
    shop.models.share(1.0, ["503"])
    process = shop.project.start("search", TEXT, "--json")
    out, err = process.communicate(timeout=120)
    found = json.loads(out)
    assert (process.returncode, found["degraded"], found["hits"][0]["id"]) == (0, AWAY, "cup")
    assert err.count("by words alone") == 1
    photo = shop.project.folder / "photo.png"
    photo.write_bytes(base64.b64decode(picture(9)))
    refused = shop.project.run("search", "--image", str(photo), code=1)
    assert refused.err.count("\n") == 1
    assert "no picture can be searched for: the embedding models don't answer; next: " in refused.err
    shop.models.heal()
    out, err = shop.project.start("search", TEXT, "--json").communicate(timeout=120)
    assert json.loads(out)["degraded"] is None
    assert "by words" not in err


def test_threads_that_come_at_once_ask_the_models_again_one_at_a_time() -> None:
    now = [0.0]
    outage = Outage(10, clock=lambda: now[0])
    assert outage.known() is None
    outage.failed(SLOW, DEAR_SECONDS)
    assert outage.known() == SLOW
    now[0] = 10.0
    asked: list[str | None] = []
    threads = [threading.Thread(target=lambda: asked.append(outage.known())) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked.count(None) == 1
    outage.answered()
    assert outage.known() is None
