"""The watch rotates by itself when what its references give has changed, and ends cleanly."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from neuralshelf.connectors.runtime import Runtime
from neuralshelf.errors import ConfigError
from neuralshelf.provision import watch as watch_module
from neuralshelf.provision.lock import holder, locked
from neuralshelf.provision.rotate import Rotation
from neuralshelf.provision.watch import stopped_by_signals, watch
from neuralshelf.settings import RuntimeConfig
from tests.engine.provision.conftest import MakeProject
from tests.engine.provision.deployment import SMALL, Project
from tests.engine.provision.keys import Key, KeyServer
from tests.engine.provision.load import load_on
from tests.engine.provision.rotation.rotating import WAIT_SECONDS, applied, owned, turned, until


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
        parts = ("access_key", "secret_key", "session_token")
        self.named = {name: {"file": str(folder / name)} for name in parts}
        self._config = RuntimeConfig.parse({"url": server.url, **self.named}, "environments/test.yaml")

    def put(self, key: Key) -> None:
        for name, value in (("access_key", key.access), ("secret_key", key.secret), ("session_token", key.token)):
            new = self._folder / f"{name}.new"
            new.write_text(value or "")
            new.replace(self._folder / name)

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
        until(lambda: sum("security token" in line for line in found.said) >= 2, "the wrong key was not tried again")
        (tmp_path / "secret_key").unlink()
        until(lambda: "can't be read" in found.said[-1], "the missing file was not told")
        last = server.keys.issue(temporary=True)
        files.put(last)
        until(lambda: len(found.done) == 2, "the right key was not taken")
        server.keys.revoke(new)
    assert load.failures == []
    assert all("stay as they are" in line for line in found.said)
    assert "PLANTED" not in "".join(found.said)
    assert holder(shop.client, shop.prefix) is None
    assert turned(shop, files.read()).connectors == ()


@pytest.mark.usefixtures("quick")
def test_the_watch_renews_session_tokens_before_they_expire(
    shop: Project, server: KeyServer, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "AHEAD", timedelta(seconds=18))
    lent: list[tuple[Key, datetime]] = []

    def read() -> Runtime:
        """As a profile: the same until its end is near."""
        if not lent or lent[-1][1] - datetime.now(UTC) < timedelta(seconds=18):
            ends = datetime.now(UTC) + timedelta(seconds=22)
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


def test_the_watching_command_rotates_until_it_is_told_to_end(
    shop: Project, server: KeyServer, key: Key, tmp_path: Path
) -> None:
    files, new = Files(tmp_path, server), server.keys.issue(temporary=True)
    files.put(new)
    shop.environment["runtime"] |= files.named
    shop.write()
    process = shop.start("rotate", "--watch", "--every", "1", "--json")
    try:
        until(lambda: server.last(new) > 0, "the keys in the files were not tried")
        until(lambda: len(owned(shop, "connectors")) == 2, "the old connectors were not removed")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=WAIT_SECONDS)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, err
    assert len(json.loads(out)["connectors"]) == 2
    assert "PLANTED" not in out + err
    assert holder(shop.client, shop.prefix) is None
