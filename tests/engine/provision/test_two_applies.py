"""Two writers at once: one goes on, the other is told who is writing; a dead one stands in nobody's way."""

import getpass
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.engine.provision.conftest import MakeProject
from tests.engine.provision.deployment import SMALL, Project, slay
from tests.engine.provision.wire import Cut, Request

WAIT_SECONDS = 60


@pytest.fixture
def small(make_project: MakeProject) -> Project:
    return make_project(SMALL)


@contextmanager
def held_at_a_write(project: Project) -> Iterator[threading.Event]:
    """The next write but that of the lock waits inside the wire until the context ends; the event says it is there."""
    there, go = threading.Event(), threading.Event()

    def hold(request: Request) -> None:
        if request.writes and "-lock" not in request.path and not there.is_set():
            there.set()
            if not go.wait(WAIT_SECONDS):
                raise Cut

    project.wire.before = hold
    try:
        yield there
    finally:
        go.set()
        project.wire.before = None


def test_the_second_apply_names_the_first_and_writes_nothing(small: Project) -> None:
    with held_at_a_write(small) as holding:
        first = small.start("apply")
        try:
            assert holding.wait(WAIT_SECONDS)
            seen = len(small.wire.requests)
            second = small.run("apply", code=4)
            assert [r for r in small.wire.requests[seen:] if r.writes and "-lock" not in r.path] == []
        except BaseException:
            first.kill()
            first.communicate()
            raise
    _, err = first.communicate(timeout=WAIT_SECONDS)
    assert first.returncode == 0, err
    told = second.err.splitlines()[-1]
    assert f"{getpass.getuser()}@{os.uname().nodename}" in told
    assert f"pid {first.pid}" in told
    assert re.search(r"for \d+ s\b", told), told
    assert "neuralshelf unlock" in told
    small.run("plan", "--detailed-exitcode")
    small.run("apply")


def test_reading_goes_on_beside_a_writer(small: Project) -> None:
    with held_at_a_write(small) as holding:
        first = small.start("apply")
        try:
            assert holding.wait(WAIT_SECONDS)
            small.run("plan")
            small.run("drift")
        except BaseException:
            first.kill()
            first.communicate()
            raise
    first.communicate(timeout=WAIT_SECONDS)
    assert first.returncode == 0


def test_after_a_killed_holder_the_next_apply_goes_on(small: Project) -> None:
    with held_at_a_write(small) as holding:
        first = small.start("apply")
        try:
            assert holding.wait(WAIT_SECONDS)
        finally:
            slay(first.pid)
            first.communicate()
    done = small.run("apply")
    assert str(first.pid) in done.err
    small.run("plan", "--detailed-exitcode")


def test_a_holder_is_unlocked_by_name_only(small: Project) -> None:
    with held_at_a_write(small) as holding:
        first = small.start("apply")
        try:
            assert holding.wait(WAIT_SECONDS)
            told = small.run("apply", code=4).err
            found = re.search(r"neuralshelf unlock (\S+)", told)
            assert found, told
            identity = found[1].rstrip(".,;)")
            small.run("unlock", "nobody", code=(1, 2, 4))
            small.run("unlock", identity)
        except BaseException:
            first.kill()
            first.communicate()
            raise
    _, err = first.communicate(timeout=WAIT_SECONDS)
    assert first.returncode == 4, err  # its lock has gone: it must not write on
    assert "Traceback" not in err
    small.run("apply")
    small.run("plan", "--detailed-exitcode")


def test_applies_started_together_make_nothing_twice(small: Project) -> None:
    both = [small.start("apply") for _ in range(2)]
    ended = [process.communicate(timeout=WAIT_SECONDS) for process in both]
    codes = [process.returncode for process in both]
    assert 0 in codes, ended
    assert set(codes) <= {0, 4}, ended
    small.wire.clear()
    small.run("plan", "--detailed-exitcode")
