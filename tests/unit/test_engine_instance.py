"""One holder a folder, no strays: with small real processes in the place of the JVM."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from neuralshelf.engine.instance import Instance
from neuralshelf.engine.locks import try_lock
from neuralshelf.engine.process import Child, telling_line
from neuralshelf.engine.user import RunAs
from neuralshelf.errors import EngineError

OURSELVES = RunAs(None)
# What a tool does: hold the folder, start a child that keeps the lock, remember it, live on.
TOOL = """
import sys, time
from pathlib import Path
from neuralshelf.engine.instance import Instance
from neuralshelf.engine.process import Child
from neuralshelf.engine.user import RunAs
folder = Path(sys.argv[1])
instance = Instance(folder, RunAs(None))
instance.hold()
child = Child(["/bin/sleep", "300"], env={}, cwd=folder, log=folder / "log", run_as=RunAs(None),
              keep=instance.engine_lock)
instance.remember(http_port=1234, engine=child.pid)
print(child.pid, flush=True)
time.sleep(300)
"""
# What is left of one where the kernel does not end children: the lock held by a process whose parent has gone.
STRAY = """
import fcntl, json, os, signal, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
file = (folder / "engine.lock").open("ab")
fcntl.flock(file, fcntl.LOCK_EX)
if len(sys.argv) > 2:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
(folder / "instance.json").write_text(json.dumps({"engine": os.getpid(), "owner": 1, "http_port": 1234}))
print("held", flush=True)
time.sleep(300)
"""


def start(script: str, *words: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", script, *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate(timeout=20)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.fixture
def tool(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    process = start(TOOL, str(tmp_path))
    yield process
    end(process)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends children on Linux only")
def test_killing_the_tool_ends_the_child(tool: "subprocess.Popen[str]", tmp_path: Path) -> None:
    pid = int(first_line(tool))
    assert is_running(pid)
    tool.kill()
    deadline = time.monotonic() + 20
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(pid)
    again = Instance(tmp_path, OURSELVES)
    again.hold()
    assert again.http_port == 1234
    again.release()


def test_a_second_tool_is_told_who_holds_the_folder(tool: "subprocess.Popen[str]", tmp_path: Path) -> None:
    first_line(tool)
    with pytest.raises(EngineError, match=f"is in use by process {tool.pid}; next: ") as caught:
        Instance(tmp_path, OURSELVES).hold()
    assert "NEURALSHELF_STATE" in caught.value.hint


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_stray_is_ended_and_the_folder_taken(tmp_path: Path, stubborn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuralshelf.engine.instance.STRAY_PATIENCE_SECONDS", 1.0)
    stray = start(STRAY, str(tmp_path), *(["stubborn"] if stubborn else []))
    assert first_line(stray) == "held"
    instance = Instance(tmp_path, OURSELVES)
    instance.hold()
    assert stray.wait(10) == -(signal.SIGKILL if stubborn else signal.SIGTERM)
    instance.release()
    end(stray)


def test_a_folder_let_go_of_can_be_taken_again(tmp_path: Path) -> None:
    for _ in range(2):
        instance = Instance(tmp_path, OURSELVES)
        instance.hold()
        instance.release()


def test_a_damaged_record_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "instance.json").write_text('{"http_port": ')
    instance = Instance(tmp_path, OURSELVES)
    instance.hold()
    assert instance.http_port is None
    instance.remember(http_port=4711, engine=1)
    instance.release()
    assert json.loads((tmp_path / "instance.json").read_text())["http_port"] == 4711


def child_of(words: list[str], folder: Path) -> Child:
    lock = try_lock(folder / "lock")
    assert lock is not None
    with lock:
        log = folder / "log"
        return Child(words, env={"PATH": os.defpath}, cwd=folder, log=log, run_as=OURSELVES, keep=lock.fileno())


def test_a_child_holds_the_lock_until_its_end_and_no_longer(tmp_path: Path) -> None:
    child = child_of(["/bin/sleep", "300"], tmp_path)
    assert try_lock(tmp_path / "lock") is None
    assert child.status != -signal.SIGTERM
    child.stop(10)
    assert child.status == -signal.SIGTERM
    free = try_lock(tmp_path / "lock")
    assert free is not None
    free.close()


def test_a_child_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    child = child_of(["/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"], tmp_path)
    deadline = time.monotonic() + 10
    while "ready" not in (tmp_path / "log").read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    child.stop(0.5)
    assert child.status == -signal.SIGKILL


def test_a_child_gets_the_environment_it_is_given_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-55aa")
    child = child_of(["/usr/bin/env"], tmp_path)
    deadline = time.monotonic() + 10
    while child.status is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert "canary" not in (tmp_path / "log").read_text()
    assert child.status == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_roots_child_is_nobody(tmp_path: Path) -> None:
    lock = try_lock(tmp_path / "lock")
    assert lock is not None
    with lock:
        log, nobody = tmp_path / "log", RunAs.default()
        child = Child(["/usr/bin/id", "-u"], env={}, cwd=Path("/"), log=log, run_as=nobody, keep=lock.fileno())
    deadline = time.monotonic() + 10
    while child.status is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (tmp_path / "log").read_text().strip() == "65534"


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("", ""),
        ("warning: x\nall is well\n", "all is well"),
        (
            "Error: Invalid maximum heap size: -Xmx2q\nError: A fatal exception has occurred. Program will exit.\n",
            "Error: Invalid maximum heap size: -Xmx2q",
        ),
        (
            "[2026][ERROR][o.o.b.B] Exception\nBindHttpException[Failed]\n\tat a.b(C.java:1)\n"
            "Caused by: java.net.BindException: Address already in use\n\tat x.y(Z.java:2)\n"
            "For complete error details, refer to the log at /x/logs\n",
            "Caused by: java.net.BindException: Address already in use",
        ),
        (
            "[INFO ] started\njava.lang.OutOfMemoryError: Java heap space\nDumping heap to data/java_pid1.hprof ...\n"
            "Caused by: something\n",
            "java.lang.OutOfMemoryError: Java heap space",
        ),
    ],
)
def test_the_telling_line_of_a_log_is_found(log: str, line: str) -> None:
    assert telling_line(log) == line
