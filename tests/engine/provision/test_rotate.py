"""Rotation under load, with a model server that takes keys away at once; and the watch that rotates by itself."""

import json
import logging
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from neuralshelf.connectors.runtime import Runtime
from neuralshelf.engine import Engine
from neuralshelf.errors import ConfigError, LockedError, ProvisionError
from neuralshelf.provision import watch as watch_module
from neuralshelf.provision.lock import holder, locked
from neuralshelf.provision.provisioner import Provisioner
from neuralshelf.provision.rotate import Rotation, plan_rotation, rotate
from neuralshelf.provision.watch import stopped_by_signals, watch
from neuralshelf.settings import RuntimeConfig
from tests.engine.provision.conftest import MakeProject
from tests.engine.provision.deployment import FULL, SMALL, Project
from tests.engine.provision.keys import Key, KeyServer, key_server
from tests.engine.provision.load import load_on
from tests.engine.provision.snapshot import changes, ml_objects, snapshot

WAIT_SECONDS = 40


@pytest.fixture
def server(engine: Engine) -> Iterator[KeyServer]:
    with key_server(engine.host_address) as made:
        yield made


@pytest.fixture
def key(server: KeyServer) -> Key:
    return server.keys.issue()


@pytest.fixture
def shop(make_project: MakeProject, server: KeyServer, key: Key) -> Project:
    """The smallest deployment, applied with `key`."""
    return applied(make_project(SMALL, server.served(key)), server.runtime(key))


def applied(project: Project, runtime: Runtime) -> Project:
    made = Provisioner(project.client, project.deployment(), runtime)
    made.apply(made.plan())
    return project


def turned(project: Project, runtime: Runtime, **named: Any) -> Rotation:
    return rotate(project.client, project.deployment(), runtime, **named)


def shown(fault: BaseException) -> str:
    """All that a person could get to see of an error."""
    return "".join(traceback.format_exception(fault)) + repr(fault) + str(fault)


def since(before: Mapping[str, Any], project: Project) -> dict[str, str]:
    """What has changed, but for the number of models that a group ever had."""
    found = changes(before, snapshot(project.client))
    return {where: how for where, how in found.items() if not where.startswith("model_groups/")}


def until(found: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not found():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.mark.slow
def test_twenty_rotations_under_load_fail_no_request(shop: Project, server: KeyServer, key: Key) -> None:
    with load_on(shop.wire.target, shop.name) as load:
        for number in range(20):
            new = server.keys.issue(temporary=number % 2 == 1)
            done = turned(shop, server.runtime(new))
            assert (len(done.connectors), len(done.models)) == (2, 2)
            server.keys.revoke(key)  # at once: nothing may use it any more
            key = new
    assert load.failures == []
    assert server.refused() == []
    assert load.searches / load.seconds >= 10
    assert load.writes >= 40
    assert len(ml_objects(shop.client, "connectors")) == 2
    assert turned(shop, server.runtime(key)).connectors == ()


def test_both_kinds_of_connectors_are_rotated_and_nothing_else_is_touched(
    make_project: MakeProject, server: KeyServer, key: Key
) -> None:
    project = applied(make_project(FULL, server.served(key)), server.runtime(key))
    before = snapshot(project.client)
    done = turned(project, server.runtime(server.keys.issue()))
    assert len(done.connectors) == len(done.models) == 4
    assert done.as_dict()["connectors"] == list(done.connectors)
    assert done.revoke_after == 10 + 60  # the pool's wait, and the retry_timeout of ingest
    differing = since(before, project)
    kinds = {(where.split("/")[0], how) for where, how in differing.items()}
    assert kinds == {("connectors", "added"), ("connectors", "removed"), ("models", "changed")}


@pytest.mark.parametrize("wrong", ["secret", "access key", "token", "endpoint"])
def test_wrong_credentials_change_nothing_and_the_cause_is_named(
    shop: Project, server: KeyServer, key: Key, wrong: str
) -> None:
    good = server.runtime(server.keys.issue(temporary=True))
    bad, words = {
        "secret": (replace(good, secret_key=SecretStr("PLANTED-wrong")), "signature"),
        "access key": (replace(good, access_key=SecretStr("AKIAPLANTED")), "security token"),
        "token": (replace(good, session_token=SecretStr("PLANTED-wrong")), "security token"),
        "endpoint": (replace(good, url="http://127.0.0.1:9"), "communicating with remote model"),
    }[wrong]
    before = snapshot(shop.client)
    with load_on(shop.wire.target, shop.name) as load, pytest.raises(ProvisionError, match=words) as caught:
        turned(shop, bad)
    assert load.failures == []
    assert caught.value.hint
    assert "PLANTED" not in shown(caught.value)
    assert since(before, shop) == {}


def test_an_endpoint_that_moved_is_followed_without_a_failed_request(
    engine: Engine, shop: Project, server: KeyServer, key: Key
) -> None:
    with key_server(engine.host_address, server.keys) as moved, load_on(shop.wire.target, shop.name) as load:
        done = turned(shop, moved.runtime(key))
        assert len(done.connectors) == 2
        ended = time.monotonic()
        time.sleep(1)
        assert server.last(key) < ended
        assert moved.last(key) > ended
    assert load.failures == []


def test_changed_client_settings_reach_the_connector_without_a_failed_request(
    shop: Project, server: KeyServer, key: Key
) -> None:
    shop.edit("connectors.text.search", {"read_timeout": 7})
    with load_on(shop.wire.target, shop.name) as load:
        done = turned(shop, server.runtime(key))
    assert load.failures == []
    assert [address.rsplit("-", 1)[1] for address in done.connectors] == ["search"]
    timeouts = [body["client_config"]["read_timeout"] for body in ml_objects(shop.client, "connectors").values()]
    assert sorted(timeouts) == [7, 60]


def test_connectors_that_are_up_to_date_are_left_unless_forced(shop: Project, server: KeyServer, key: Key) -> None:
    before = set(ml_objects(shop.client, "connectors"))
    assert turned(shop, server.runtime(key)).connectors == ()
    assert set(ml_objects(shop.client, "connectors")) == before
    assert len(turned(shop, server.runtime(key), force=True).connectors) == 2
    assert not set(ml_objects(shop.client, "connectors")) & before


def test_lent_credentials_are_written_by_rotate_and_never_planned_by_apply(
    shop: Project, server: KeyServer, key: Key
) -> None:
    ends = datetime.now(UTC) + timedelta(hours=1)
    assert len(turned(shop, server.runtime(server.keys.issue(temporary=True), ends)).connectors) == 2
    others = server.runtime(server.keys.issue(temporary=True), ends)  # as the next process would get
    assert Provisioner(shop.client, shop.deployment(), others).plan().writes == ()
    done = turned(shop, others)
    assert len(done.connectors) == 2
    assert done.as_dict()["expires"] == ends.isoformat()


def test_a_rotation_of_what_is_not_applied_is_refused(make_project: MakeProject, server: KeyServer, key: Key) -> None:
    project = make_project(SMALL, server.served(key))
    with pytest.raises(ProvisionError, match="nothing to rotate") as caught:
        turned(project, server.runtime(key))
    assert caught.value.hint == "neuralshelf apply"


def test_a_rotation_waits_for_nobody_who_holds_the_lock(shop: Project, server: KeyServer) -> None:
    before = snapshot(shop.client)
    with locked(shop.client, shop.prefix, "migrate"), pytest.raises(LockedError, match="migrate"):
        turned(shop, server.runtime(server.keys.issue()))
    assert changes(before, snapshot(shop.client)) == {}


def test_a_model_that_could_not_stay_is_not_rotated(shop: Project, server: KeyServer) -> None:
    model = next(iter(ml_objects(shop.client, "models")))
    limit = {"rate_limiter": {"limit": "1000", "unit": "SECONDS"}}
    shop.client.transport.perform_request("PUT", f"/_plugins/_ml/models/{model}", body=limit)
    with pytest.raises(ProvisionError, match="was edited and can't be kept") as caught:
        turned(shop, server.runtime(server.keys.issue()))
    assert "apply" in caught.value.hint


def test_another_version_of_the_index_is_left_alone_and_said_so(shop: Project, server: KeyServer, key: Key) -> None:
    shop.edit("index.version", 2)
    new = server.runtime(server.keys.issue())
    applied(shop, new)
    connectors = ml_objects(shop.client, "connectors")
    told: list[str] = []
    done = turned(shop, server.runtime(server.keys.issue()), say=told.append)
    assert [address.split("-v")[1][0] for address in done.connectors] == ["2", "2"]
    left = connectors.keys() & ml_objects(shop.client, "connectors").keys()
    assert sorted(connectors[identity]["name"].split("-v")[1][0] for identity in left) == ["1", "1"]
    assert any("version 1 of the index keeps the credentials" in line for line in told)
    shop.edit("index.version", 1)
    assert len(turned(shop, server.runtime(server.keys.issue())).connectors) == 2


def test_planted_secrets_show_nowhere(
    shop: Project, server: KeyServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    new = server.runtime(server.keys.issue(temporary=True))
    planned = plan_rotation(shop.client, shop.deployment(), new)
    told: list[str] = []
    done = turned(shop, new, say=told.append, tell=lambda change: told.append(f"{change} {change.as_dict()}"))
    seen = [json.dumps(planned.as_dict()), repr(planned), *told, repr(done), json.dumps(done.as_dict()), repr(new)]
    seen += [caplog.text, *capfd.readouterr(), json.dumps(snapshot(shop.client))]
    assert planned.writes
    assert told
    assert "PLANTED" not in "".join(seen)


class Watching:
    """A watch in a thread, and what it said."""

    def __init__(self, project: Project, read: Callable[[], Runtime], every: float = 1.0) -> None:
        self.said: list[str] = []
        self.done: list[Rotation] = []
        self.stop = threading.Event()
        named: dict[str, Any] = {"every": every, "stop": self.stop, "say": self.said.append, "tell": self.done.append}
        arguments = (project.client, project.deployment(), read)
        self.thread = threading.Thread(target=watch, args=arguments, kwargs=named)


@contextmanager
def watching(project: Project, read: Callable[[], Runtime], every: float = 1.0) -> Iterator[Watching]:
    found = Watching(project, read, every)
    found.thread.start()
    try:
        yield found
    finally:
        found.stop.set()
        found.thread.join(WAIT_SECONDS)
        assert not found.thread.is_alive()


class Files:
    """Credentials in files, and the configuration that names them."""

    def __init__(self, folder: Path, server: KeyServer) -> None:
        self._folder = folder
        named = {name: {"file": str(folder / name)} for name in ("access_key", "secret_key", "session_token")}
        self._config = RuntimeConfig.parse({"url": server.url, **named}, "environments/test.yaml")

    def put(self, key: Key) -> None:
        for name, value in (("access_key", key.access), ("secret_key", key.secret), ("session_token", key.token)):
            (self._folder / name).write_text(value or "")

    def read(self) -> Runtime:
        return Runtime.from_config(self._config)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures are tried again soon."""
    monkeypatch.setattr(watch_module, "URGENT_SECONDS", 0.5)


@pytest.mark.usefixtures("quick")
def test_the_watch_follows_files_and_survives_wrong_and_missing_ones(
    make_project: MakeProject, server: KeyServer, tmp_path: Path
) -> None:
    files, key = Files(tmp_path, server), server.keys.issue(temporary=True)
    files.put(key)
    shop = applied(make_project(SMALL, server.served(key)), files.read())
    with load_on(shop.wire.target, shop.name) as load, watching(shop, files.read) as found:
        new = server.keys.issue(temporary=True)
        files.put(new)
        until(lambda: len(found.done) == 1, "the changed files were not seen")
        server.keys.revoke(key)
        files.put(Key("AKIAPLANTED", "PLANTED-wrong", "PLANTED-wrong"))
        until(lambda: len(found.said) >= 2, "the wrong key was not tried again")
        (tmp_path / "secret_key").unlink()
        until(lambda: "can't be read" in found.said[-1], "the missing file was not told")
        last = server.keys.issue(temporary=True)
        files.put(last)
        until(lambda: len(found.done) == 2, "the right key was not taken")
        server.keys.revoke(new)
    assert load.failures == []
    assert "security token" in found.said[0]
    assert "stay as they are" in found.said[0]
    assert "PLANTED" not in "".join(found.said)
    assert holder(shop.client, shop.prefix) is None
    assert turned(shop, files.read()).connectors == ()


@pytest.mark.usefixtures("quick")
def test_the_watch_renews_session_tokens_before_they_expire(
    shop: Project, server: KeyServer, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "AHEAD", timedelta(seconds=25))
    lent: list[tuple[Key, datetime]] = []

    def read() -> Runtime:
        """As a profile: the same until its end is near."""
        if not lent or lent[-1][1] - datetime.now(UTC) < timedelta(seconds=25):
            ends = datetime.now(UTC) + timedelta(seconds=30)
            lent.append((server.keys.issue(temporary=True, expires=ends), ends))
        return server.runtime(*lent[-1])

    with load_on(shop.wire.target, shop.name) as load, watching(shop, read, every=3600) as found:
        until(lambda: len(found.done) == 1, "what was lent was not brought in")
        server.keys.revoke(key)
        until(lambda: len(found.done) == 3, "it was not renewed")
        until(lambda: datetime.now(UTC) > lent[0][1] + timedelta(seconds=1), "clock")
    assert load.failures == []
    assert server.refused() == []


@pytest.mark.usefixtures("quick")
def test_the_watch_says_that_credentials_end_and_that_somebody_else_writes(
    shop: Project, server: KeyServer, key: Key
) -> None:
    runtime = server.runtime(server.keys.issue(temporary=True), datetime.now(UTC) + timedelta(minutes=5))
    with locked(shop.client, shop.prefix, "migrate"), watching(shop, lambda: runtime) as found:
        until(lambda: any("held by" in line for line in found.said), "the lock was not told")
        assert found.done == []
        shop.client.indices.delete(index=f"{shop.prefix}-lock")
        until(lambda: len(found.done) == 1, "not tried again when the lock was free")
        until(lambda: any("no newer ones" in line for line in found.said), "the end was not told")


def test_a_watch_must_not_read_all_the_time(shop: Project, server: KeyServer, key: Key) -> None:
    with pytest.raises(ConfigError, match="too often"):
        watch(shop.client, shop.deployment(), lambda: server.runtime(key), every=0, stop=threading.Event())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_watch_after_the_rotation_that_has_begun(
    shop: Project, server: KeyServer, number: signal.Signals
) -> None:
    runtime = server.runtime(server.keys.issue())
    done: list[Rotation] = []

    def read() -> Runtime:
        os.kill(os.getpid(), number)
        return runtime

    before = signal.getsignal(number)
    with stopped_by_signals() as stop:
        watch(shop.client, shop.deployment(), read, stop=stop, tell=done.append)
    assert len(done) == 1
    assert holder(shop.client, shop.prefix) is None
    assert signal.getsignal(number) is before
