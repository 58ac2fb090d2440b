"""When the models are away, a search is answered by its words alone: how to tell, and not to wait for them every time.

OpenSearch has no such fallback: a hybrid query whose model fails, fails as a whole (docs/degraded.md has the pattern
for clients of one's own).
"""

import threading
import time
from collections.abc import Callable

from opensearchpy import TransportError

from neuralshelf.bulk import Failure
from neuralshelf.client import causes

SLOW = "the embedding models don't answer in time"
THROTTLED = "the embedding models are asked too much"
WRONG = "the embedding models answer with what are no vectors of this index"
AWAY = "the embedding models don't answer"

PAUSE_SECONDS = 10.0
DEAR_SECONDS = 1.0

_REASONS = {"ModelThrottled": THROTTLED, "ModelFailed": AWAY} | dict.fromkeys(
    ("WrongDimension", "NotFinite", "ZeroVector", "NoVector"), WRONG
)
_OF_MODELS = ("Error from remote service", "Remote service returned", "Error communicating with remote model")
_NOT_THERE = ("find model", "Model is disabled", "at model level", "Model not ready")


def models_away(fault: TransportError) -> str | None:
    """Why a search by words alone is worth trying; None where the question or the cluster itself is at fault.

    Measured for each fault of a model in OpenSearch 3.6.0: `tests/faults/test_degraded.py`.
    """
    found = causes(fault)
    whole = ": ".join(found)
    status = fault.status_code if isinstance(fault.status_code, int) else 500
    if status != 400 and any(words in whole for words in _NOT_THERE):
        return AWAY
    if "timed out" in whole and found[-1].startswith(_OF_MODELS):
        return SLOW
    reason = _REASONS.get(Failure(status, _type(fault), whole).cause_class)
    # What a client sent may be repeated in a refusal, whatever words it holds: only what begins as a model's is one.
    refused = 400 <= status < 500 and reason in (AWAY, THROTTLED) and not found[-1].startswith(_OF_MODELS)
    return None if refused else reason


def _type(fault: TransportError) -> str:
    error = fault.info.get("error") if isinstance(fault.info, dict) else None
    return str(error.get("type")) if isinstance(error, dict) else str(fault.error)


class Outage:
    """What is remembered of models that failed slowly, so that the wait falls on one search and not on every one.

    After `pause` seconds one search asks them again, while others do without. A failure that comes at once costs
    nothing, so nothing is remembered of it. Methods may be called from any thread.
    """

    def __init__(self, pause: float = PAUSE_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause = pause
        self._clock = clock
        self._lock = threading.Lock()
        self._reason: str | None = None
        self._until = 0.0

    def known(self) -> str | None:
        """Why the models need not be asked now; None when this search is to ask them."""
        with self._lock:
            now = self._clock()
            if self._reason is not None and now >= self._until:
                self._until = now + self._pause  # this search tries, and others don't until it knows
                return None
            return self._reason

    def failed(self, reason: str, seconds: float) -> None:
        """The models failed, after so many seconds."""
        with self._lock:
            if seconds >= DEAR_SECONDS:
                self._reason, self._until = reason, self._clock() + self._pause

    def answered(self) -> None:
        """They are back."""
        with self._lock:
            self._reason = None
