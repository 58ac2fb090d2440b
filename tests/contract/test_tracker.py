"""The search page's event tracker before the local ranker."""

import time
from typing import Any

import pytest

from neuralshelf.errors import ServerError
from neuralshelf.local.tracker import LocalTracker
from neuralshelf.model_packages.ranker.store import Interactions

from .conftest import ACCESS_KEY, REGION, SECRET_KEY


def tracker(url: str, secret: str = SECRET_KEY) -> LocalTracker:
    return LocalTracker(url, region=REGION, access_key=ACCESS_KEY, secret_key=secret)


def test_a_view_is_kept_as_it_is_now(running: Any, store: Interactions) -> None:
    tracker(running.url)("ann", "mug")
    (kept,) = store.of_user("ann", 10)
    assert (kept.item, kept.event, kept.value) == ("mug", "view", None)
    assert abs(kept.at - time.time()) < 5


def test_a_tracker_that_refuses_is_one_line_without_the_key(running: Any, store: Interactions) -> None:
    with pytest.raises(ServerError) as refused:
        tracker(running.url, "another-secret")("ann", "mug")
    assert "event tracker" in str(refused.value)
    assert "another-secret" not in str(refused.value)
    assert store.summary().interactions == 0


def test_a_tracker_that_is_away_is_told_in_time() -> None:
    begun = time.monotonic()
    with pytest.raises(ServerError, match="event tracker"):
        tracker("http://127.0.0.1:9")("ann", "mug")
    assert time.monotonic() - begun < 5


def test_a_profile_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "absent")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    with pytest.raises(ServerError, match="absent"):
        tracker("http://127.0.0.1:9")
