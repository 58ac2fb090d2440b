"""The lock on a real engine: other processes, dead ones, other machines, hand edits, and clusters that refuse."""

import contextlib
import getpass
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from neuralshelf.client import connect
from neuralshelf.engine import Engine
from neuralshelf.errors import LockedError, NeuralshelfError, ProvisionError
from neuralshelf.provision.holder import Holder
from neuralshelf.provision.lock import holder, locked, unlock
from neuralshelf.settings import ClusterConfig

PREFIX = "lock-test"
INDEX = f"{PREFIX}-lock"

Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture(autouse=True)
def _clean(client: OpenSearch) -> Iterator[None]:
    yield
    client.indices.delete(index=INDEX, ignore=404)


@pytest.fixture
def start(engine: Engine) -> Iterator[Start]:
    """Start a process that takes the lock for a verb."""
    begun: list[subprocess.Popen[str]] = []

    def started(verb: str) -> subprocess.Popen[str]:
        program = Path(__file__).with_name("lock_process.py")
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        begun.append(subprocess.Popen([sys.executable, str(program), engine.url, PREFIX, verb], **pipes))
        return begun[-1]

    yield started
    for process in begun:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    """Its next line."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def forge(client: OpenSearch, **values: object) -> Holder:
    """A lock held by somebody on another machine."""
    forged = Holder.here("migrate").model_copy(update={"id": "feedc0de", "machine": "0" * 16, **values})
    meta = {"lock": forged.model_dump(mode="json")}
    client.indices.create(index=INDEX, body={"mappings": {"_meta": meta}})
    return forged


@contextmanager
def settings(client: OpenSearch, **values: object) -> Iterator[None]:
    """Persistent cluster settings for a while."""
    named = {name.replace("__", "."): value for name, value in values.items()}
    client.cluster.put_settings(body={"persistent": named})
    try:
        yield
    finally:
        client.cluster.put_settings(body={"persistent": dict.fromkeys(named)})


def test_of_two_processes_at_once_one_proceeds_and_the_other_is_told_who_holds_the_lock(
    client: OpenSearch, start: Start
) -> None:
    processes = [start("apply"), start("apply")]
    heard = {process.pid: said(process) for process in processes}
    refused = [process for process in processes if heard[process.pid].startswith("refused")]
    assert len(refused) == 1, heard
    winner = next(process for process in processes if process not in refused)
    identity = heard[winner.pid].removeprefix("held ")
    told = heard[refused[0].pid]
    for part in (
        f"{getpass.getuser()}@{socket.gethostname()}",
        f"apply, pid {winner.pid}",
        " s, id " + identity,
        f"neuralshelf unlock {identity}",
    ):
        assert part in told
    assert refused[0].wait(10) == 4
    found = holder(client, PREFIX)
    assert found is not None
    assert (found.id, found.pid, found.is_dead()) == (identity, winner.pid, False)


def test_eight_threads_at_once_never_hold_it_together(engine: Engine) -> None:
    inside, most, taken = 0, 0, 0
    guard = threading.Lock()

    def work() -> None:
        nonlocal inside, most, taken
        mine = connect(ClusterConfig(provider="url", url=engine.url))
        for _ in range(6):
            try:
                with locked(mine, PREFIX, "apply") as lock:
                    with guard:
                        inside, taken = inside + 1, taken + 1
                        most = max(most, inside)
                    lock.check()
                    with guard:
                        inside -= 1
            except LockedError:
                continue
        mine.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert taken >= 6


def test_a_killed_holder_of_this_machine_is_taken_over(client: OpenSearch, start: Start) -> None:
    first = start("apply")
    identity = said(first).removeprefix("held ")
    first.send_signal(signal.SIGKILL)  # and not reaped: a zombie is dead too
    while (left := holder(client, PREFIX)) is None or not left.is_dead():
        assert left is not None, "the lock was released"
    second = start("migrate")
    assert said(second).startswith("held ")
    assert second.stderr is not None
    told = second.stderr.readline()
    assert "is dead" in told
    assert f"id {identity}" in told


def test_two_that_take_over_at_once_do_not_both_proceed(client: OpenSearch, start: Start) -> None:
    first = start("apply")
    said(first)
    first.kill()
    first.wait()
    processes = [start("apply") for _ in range(3)]
    heard = [said(process).split()[0] for process in processes]
    assert sorted(heard) == ["held", "refused", "refused"]


def test_a_later_process_with_the_pid_of_a_dead_holder_is_not_the_holder(client: OpenSearch) -> None:
    mine = Holder.here("apply")
    forge(client, machine=mine.machine, pid=os.getpid(), started=mine.started - 1)
    with locked(client, PREFIX, "apply") as lock:
        lock.check()


def test_a_holder_on_another_machine_is_refused_until_it_is_unlocked_by_its_id(client: OpenSearch) -> None:
    forge(client, user="ann", host="build-7", pid=4711, since=datetime.now(UTC) - timedelta(hours=5))
    with pytest.raises(LockedError) as refused, locked(client, PREFIX, "apply"):
        pass
    assert "ann@build-7 (migrate, pid 4711), for 5 h, id feedc0de" in refused.value.message
    assert "neuralshelf unlock feedc0de" in refused.value.hint
    with pytest.raises(LockedError, match="not the id"):
        unlock(client, PREFIX, "feedc0df")
    assert unlock(client, PREFIX, "feedc0de").host == "build-7"
    with locked(client, PREFIX, "apply") as lock:
        lock.check()
    with pytest.raises(ProvisionError, match="no lock"):
        unlock(client, PREFIX, "feedc0de")


def test_a_clock_ahead_of_ours_changes_what_is_shown_and_nothing_else(client: OpenSearch) -> None:
    forge(client, since=datetime.now(UTC) + timedelta(days=300))
    with pytest.raises(LockedError, match="by a clock that differs") as refused, locked(client, PREFIX, "apply"):
        pass
    assert "id feedc0de" in str(refused.value)


def test_a_lock_removed_by_hand_stops_its_holder_before_the_next_write(client: OpenSearch) -> None:
    with locked(client, PREFIX, "apply") as lock:
        lock.check()
        client.indices.delete(index=INDEX)
        with pytest.raises(LockedError, match="is gone"):
            lock.check()


def test_a_lock_taken_by_another_stops_its_first_holder_and_is_left_alone(client: OpenSearch) -> None:
    with locked(client, PREFIX, "apply") as lock:
        unlock(client, PREFIX, lock.holder.id)
        forge(client, user="ann", host="build-7")
        with pytest.raises(LockedError, match="taken away and is now held by ann@build-7"):
            lock.check()
    found = holder(client, PREFIX)
    assert found is not None
    assert found.id == "feedc0de"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_releases(client: OpenSearch, start: Start, number: signal.Signals) -> None:
    process = start("apply")
    assert said(process).startswith("held")
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert holder(client, PREFIX) is None


def test_a_sigterm_whose_exception_got_lost_is_obeyed_at_the_next_check(client: OpenSearch) -> None:
    def work() -> None:
        with locked(client, PREFIX, "apply") as lock:
            with contextlib.suppress(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(5)
            lock.check()

    with pytest.raises(KeyboardInterrupt):
        work()
    assert holder(client, PREFIX) is None


def test_an_interrupt_between_the_request_and_its_answer_releases(
    client: OpenSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = client.indices.create

    def interrupted(*arguments: Any, **named: Any) -> None:
        create(*arguments, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(client.indices, "create", interrupted)
    with pytest.raises(KeyboardInterrupt), locked(client, PREFIX, "apply"):
        pass
    assert holder(client, PREFIX) is None


def test_an_error_inside_releases_and_is_not_hidden(client: OpenSearch) -> None:
    with pytest.raises(ZeroDivisionError), locked(client, PREFIX, "apply"):
        raise ZeroDivisionError
    assert holder(client, PREFIX) is None


@pytest.mark.parametrize(
    "meta",
    [
        None,
        {"lock": None},
        {"lock": "ann"},
        {"lock": {"id": "feedc0de"}},
        {"lock": {"id": "feedc0de", "user": "a\x1b[31mb", "host": "h", "pid": 1, "since": "2026-01-01T00:00:00Z"}},
        {"lock": {"id": "feedc0de", "since": "yesterday"}},
        {"other": 1},
    ],
)
def test_a_lock_whose_meta_was_edited_says_so_and_can_be_unlocked(client: OpenSearch, meta: Any) -> None:
    client.indices.create(index=INDEX, body={"mappings": {} if meta is None else {"_meta": meta}})
    with pytest.raises(LockedError, match="unknown@unknown") as refused, locked(client, PREFIX, "apply"):
        pass
    assert "\x1b" not in str(refused.value)
    assert unlock(client, PREFIX, refused.value.hint.split()[-1]).user == "unknown"
    assert holder(client, PREFIX) is None


def test_an_index_with_fields_is_never_deleted_as_a_lock(client: OpenSearch) -> None:
    client.index(index=INDEX, body={"title": "a cup"})
    uuid = client.indices.get(index=INDEX)[INDEX]["settings"]["index"]["uuid"]
    for attempt in (lambda: unlock(client, PREFIX, uuid), lambda: locked(client, PREFIX, "apply").__enter__()):
        with pytest.raises(ProvisionError, match="not a lock"):
            attempt()
    assert client.indices.exists(index=INDEX)


def test_an_alias_of_that_name_is_refused(client: OpenSearch) -> None:
    client.indices.create(index="lock-test-other", body={"aliases": {INDEX: {}}})
    try:
        with pytest.raises(ProvisionError, match="alias"), locked(client, PREFIX, "apply"):
            pass
        assert client.indices.exists(index="lock-test-other")
    finally:
        client.indices.delete(index="lock-test-other")


@pytest.mark.parametrize(
    ("setting", "step"),
    [
        ({"cluster__blocks__read_only": True}, "lift cluster.blocks.read_only"),
        ({"cluster__blocks__create_index": True}, "lift cluster.blocks.create_index"),
        ({"cluster__max_shards_per_node": 1}, "cluster.max_shards_per_node"),
    ],
    ids=["read-only", "create blocked", "full"],
)
def test_a_cluster_that_refuses_an_index_is_one_line_with_the_next_step(
    client: OpenSearch, setting: dict[str, object], step: str
) -> None:
    told: list[str] = []
    client.indices.create(index="lock-test-filler")
    try:
        with (
            settings(client, **setting),
            pytest.raises(ProvisionError) as refused,
            locked(client, PREFIX, "apply", tell=told.append),
        ):
            pass
    finally:
        client.indices.delete(index="lock-test-filler")
    assert step in refused.value.hint
    assert "\n" not in str(refused.value)
    assert not isinstance(refused.value, LockedError)
    assert told == []


def test_a_lock_that_cannot_be_released_is_told_and_hides_no_error(client: OpenSearch) -> None:
    told: list[str] = []
    try:
        with suppress(ZeroDivisionError), locked(client, PREFIX, "apply", tell=told.append) as lock:
            client.cluster.put_settings(body={"persistent": {"cluster.blocks.read_only": True}})
            raise ZeroDivisionError
    finally:
        client.cluster.put_settings(body={"persistent": {"cluster.blocks.read_only": None}})
    assert len(told) == 1
    assert lock.holder.id in told[0]


def test_a_red_cluster_can_be_locked(client: OpenSearch) -> None:
    with settings(client, cluster__routing__allocation__enable="none"):
        with locked(client, PREFIX, "apply") as lock:
            assert client.cluster.health()["status"] == "red"
            lock.check()
        assert holder(client, PREFIX) is None


def test_a_cluster_that_is_not_there_is_one_line() -> None:
    client = connect(ClusterConfig(provider="url", url="http://127.0.0.1:9"))
    for attempt in (
        lambda: locked(client, PREFIX, "apply").__enter__(),
        lambda: holder(client, PREFIX),
        lambda: unlock(client, PREFIX, "feedc0de"),
    ):
        with pytest.raises(NeuralshelfError, match="does not answer"):
            attempt()
    client.close()


def test_the_lock_matches_no_wildcard(client: OpenSearch) -> None:
    with locked(client, PREFIX, "apply"):
        assert INDEX not in client.indices.get(index="lock-*")


def test_a_check_costs_little(client: OpenSearch) -> None:
    with locked(client, PREFIX, "apply") as lock:
        begun = time.monotonic()
        for _ in range(50):
            lock.check()
    assert (time.monotonic() - begun) / 50 < 0.1
