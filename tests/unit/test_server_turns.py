"""Models in the background leave searches a core."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from neuralshelf.model_packages.server import turns
from neuralshelf.model_packages.server.turns import Turns


def most_at_once(made: Turns, workers: int = 4) -> int:
    lock = threading.Lock()
    under_way, most = 0, 0

    def work(_number: int) -> None:
        nonlocal under_way, most
        with made.turn():
            with lock:
                under_way += 1
                most = max(most, under_way)
            time.sleep(0.03)
            with lock:
                under_way -= 1

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(2 * workers)))
    return most


def test_without_searches_all_work_at_once() -> None:
    assert most_at_once(Turns(cores=2)) == 4


@pytest.mark.parametrize(("cores", "most"), [(1, 1), (2, 1), (3, 2), (16, 4)])
def test_while_searches_come_in_one_core_is_left_to_them(cores: int, most: int) -> None:
    made = Turns(cores)
    made.searched()
    assert most_at_once(made) == most


def test_that_ends_some_time_after_the_last_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "SECONDS", 0.0)
    made = Turns(cores=2)
    made.searched()
    assert most_at_once(made) == 4
