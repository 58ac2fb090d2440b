"""The ranker, a process of its own, dies or freezes while people search."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from neuralshelf.connectors.ranking import TUNING
from neuralshelf.engine import Engine
from neuralshelf.model_packages.ranker.store import Interaction, Interactions

SERVER = Path(__file__).resolve().parents[2] / "contract" / "toy_process.py"
SEARCHES, AT_ONCE, BEFORE = 50, 5, 15
SECONDS = TUNING.read_timeout + 5
"""The ranker's own limit, and what a search may take on a busy machine."""


@dataclass(frozen=True)
class Answer:
    """Ids with scores of a page of hits; when it was asked for and when it came."""

    hits: list[tuple[str, float]]
    begun: float
    ended: float

    @property
    def order(self) -> list[str]:
        return [identity for identity, _ in self.hits]


class RankerProcess:
    """The model server's command line with a ranker, at one port for life."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self._store = folder / "interactions.db"
        self._host = "127.0.0.1" if engine.host_address == "127.0.0.1" else "0.0.0.0"
        self._folder = folder
        self.port = 0
        self.start()
        self.url = f"http://{engine.host_address}:{self.port}"

    def start(self) -> None:
        where = ("--host", self._host, "--port", str(self.port), "--cache", str(self._folder), "--unsigned")
        words = [sys.executable, str(SERVER), *where, "--ranker", str(self._store)]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = json.loads(self._process.stdout.readline())["port"]

    def send(self, number: signal.Signals) -> None:
        os.kill(self._process.pid, number)

    def killed(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def learn(self, user: str, item: str) -> None:
        store = Interactions(self._store)
        store.add([Interaction(user, item, "purchase", time.time() - n) for n in range(5)])
        store.close()


@pytest.fixture(scope="module")
def ranker(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RankerProcess]:
    found = RankerProcess(tmp_path_factory.mktemp("ranker"), engine)
    found.learn("ann", "gold")
    yield found
    found.killed()


@pytest.fixture(scope="module")
def shop(open_shop: Any, catalogue: Any, shop_values: Mapping[str, Any], ranker: RankerProcess) -> Any:
    values = {
        **shop_values,
        "project": "mortal",
        "index": {**shop_values["index"], "name": "mortal"},
        "search": {**shop_values["search"], "template": "mortal-search"},
        "ranking": {"item": "colour", "oversample": 3},
    }
    made = open_shop(values, ranker_at=ranker.url)
    assert not made.index_all({product.id: product.document for product in catalogue})
    return made


def asked(shop: Any, **params: Any) -> Answer:
    """Anything but a 200 raises."""
    begun = time.monotonic()
    hits = shop.ask(text="teapot mug chair number", size=6, **params)
    return Answer([(hit["_id"], hit["_score"]) for hit in hits], begun, time.monotonic())


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_a_ranker_that_ends_amid_searches_costs_nobody_an_answer(
    shop: Any, ranker: RankerProcess, ending: signal.Signals
) -> None:
    base, hers = asked(shop), asked(shop, user="ann", user_weight=1)
    assert hers.order != base.order
    sent: list[float] = []

    def search(number: int) -> Answer:
        if number == BEFORE:
            sent.append(time.monotonic())
            ranker.send(ending)
            sent.append(time.monotonic())
        return asked(shop, user="ann", user_weight=1)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(search, range(SEARCHES)))
    before = [answer for answer in found if answer.ended < sent[0]]
    after = [answer for answer in found if answer.begun > sent[1]]
    assert len(before) >= BEFORE - AT_ONCE
    assert len(after) >= SEARCHES - BEFORE - AT_ONCE
    assert all(answer.order == hers.order for answer in before)
    assert all(answer.hits == base.hits for answer in after)
    assert all(answer.order == hers.order or answer.hits == base.hits for answer in found)
    assert max(answer.ended - answer.begun for answer in found) < SECONDS
    if ending is signal.SIGSTOP:
        assert min(answer.ended - answer.begun for answer in after) >= TUNING.read_timeout
        ranker.send(signal.SIGCONT)
    else:
        ranker.killed()
        ranker.start()
    assert asked(shop, user="ann", user_weight=1).order == hers.order
