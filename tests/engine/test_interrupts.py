"""A Ctrl-C at any step of a request leaves a client that can still ask, so that what was held can be released."""

import itertools
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from neuralshelf.client import connect
from neuralshelf.engine import Engine
from neuralshelf.settings import ClusterConfig


class Interrupt:
    """Raise KeyboardInterrupt at the n-th step that the pool of connections and its parts take in this thread."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, frame: FrameType, event: str, _: object) -> Any:
        if not frame.f_code.co_filename.endswith(("queue.py", "threading.py", "urllib3/connectionpool.py")):
            return None
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return self


@pytest.fixture(params=["none", "sigv4"])
def ask(request: pytest.FixtureRequest, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
    client = connect(ClusterConfig(provider="url", url=engine.url, auth=request.param, region="eu-west-1"))
    client.info()
    return lambda: client.info()


def ends(work: Callable[[], object]) -> bool:
    """Whether it comes to an end; in a thread, since one that hangs must not hang the test."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(20)
    return not thread.is_alive()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # connections that were cut off
def test_an_interrupt_at_any_step_leaves_a_client_that_can_ask(ask: Callable[[], object]) -> None:
    cut = 0

    def interrupted() -> None:
        nonlocal cut
        sys.settrace(interrupt)
        try:
            ask()
        except KeyboardInterrupt:
            cut += 1
        finally:
            sys.settrace(None)

    for number in itertools.count(1):
        interrupt = Interrupt(number)
        assert ends(interrupted), f"the request hangs when interrupted at step {number}"
        if interrupt.left > 0:
            break
        assert ends(ask), f"the next request hangs after an interrupt at step {number}"
    assert cut == number - 1 > 40
