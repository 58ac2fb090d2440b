"""Who counts as dead, and what is shown of a holder."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from neuralshelf.provision import holder
from neuralshelf.provision.holder import Holder


def of(process: "subprocess.Popen[bytes]") -> Holder:
    """What that process would write into a lock."""
    started = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19])
    return Holder.here("apply").model_copy(update={"pid": process.pid, "started": started})


@pytest.fixture
def sleeper() -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def test_a_running_process_is_alive_a_killed_one_dead_reaped_or_not(sleeper: "subprocess.Popen[bytes]") -> None:
    found = of(sleeper)
    assert not found.is_dead()
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert found.is_dead()
    sleeper.communicate()
    assert found.is_dead()


def test_this_process_is_alive_but_not_a_later_one_with_its_pid() -> None:
    mine = Holder.here("apply")
    assert not mine.is_dead()
    assert mine.model_copy(update={"started": mine.started + 1}).is_dead()


def test_no_process_of_another_or_an_unknown_machine_is_judged() -> None:
    gone = Holder.here("apply").model_copy(update={"pid": 2**31 - 1})
    assert gone.is_dead()
    assert not gone.model_copy(update={"machine": "0" * 16}).is_dead()
    assert not gone.model_copy(update={"machine": ""}).is_dead()


def test_a_process_of_another_user_that_cannot_be_looked_at_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", denied)
    monkeypatch.setattr(holder, "_started", lambda pid: None)
    assert not Holder.here("apply").model_copy(update={"machine": holder._machine(), "pid": 1}).is_dead()


def test_where_a_process_has_no_start_time_its_machine_stays_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holder, "_started", lambda pid: None)
    assert Holder.here("apply").machine == ""


@pytest.mark.parametrize(
    ("age", "shown"),
    [(4, "for 4 s"), (90, "for 2 min"), (7200, "for 2 h"), (3 * 86400, "for 3 d"), (-60, "clock that differs")],
)
def test_the_age_is_shown_in_one_unit(age: int, shown: str) -> None:
    found = Holder.here("apply")
    assert shown in str(found.model_copy(update={"since": datetime.now(UTC) - timedelta(seconds=age)}))


def test_a_holder_survives_the_way_through_json() -> None:
    found = Holder.here("apply")
    assert Holder.model_validate_json(found.model_dump_json()) == found
