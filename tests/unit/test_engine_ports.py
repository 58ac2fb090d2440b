"""Ports, jvm.options and the folders' reach."""

import os
import socket
from pathlib import Path

import pytest

from neuralshelf.engine.jvm_options import for_instance
from neuralshelf.engine.ports import choose_port, is_free
from neuralshelf.engine.user import UNPRIVILEGED_ID, RunAs
from neuralshelf.errors import EngineError

OPTIONS = """\
-Xms1g
-XX:HeapDumpPath=data
-XX:ErrorFile=logs/hs_err_pid%p.log
9-:-Xlog:gc*,gc+age=trace,safepoint:file=logs/gc.log:utctime,pid,tags:filecount=32,filesize=64m
20-:--add-modules=jdk.incubator.vector
21-:-javaagent:agent/opensearch-agent.jar
"""


def test_an_occupied_port_is_named_with_the_next_step() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert not is_free(port)
        with pytest.raises(EngineError, match=f"^port {port} on 127.0.0.1 is occupied; next: ") as caught:
            choose_port(port, None)
        assert "http_port" in caught.value.hint


def test_the_last_port_is_kept_while_it_is_free() -> None:
    remembered = choose_port(None, None)
    assert choose_port(None, remembered) == remembered
    with socket.create_server(("127.0.0.1", remembered)):
        other = choose_port(None, remembered)
        assert other != remembered
        assert is_free(other)


def test_a_wanted_port_wins_over_the_last_one() -> None:
    wanted, remembered = choose_port(None, None), choose_port(None, None)
    assert choose_port(wanted, remembered) == wanted


def test_all_paths_of_the_options_become_absolute() -> None:
    made = for_instance(OPTIONS, home=Path("/home"), folder=Path("/one"), vector=True).splitlines()
    assert made == [
        "-Xms1g",
        "-XX:HeapDumpPath=/one/data",
        "-XX:ErrorFile=/one/logs/hs_err_pid%p.log",
        "9-:-Xlog:gc*,gc+age=trace,safepoint:file=/one/logs/gc.log:utctime,pid,tags:filecount=2,filesize=8m",
        "20-:--add-modules=jdk.incubator.vector",
        "21-:-javaagent:/home/agent/opensearch-agent.jar",
    ]


def test_without_the_vector_module_only_that_line_goes() -> None:
    full = for_instance(OPTIONS, home=Path("/h"), folder=Path("/i"), vector=True).splitlines()
    cut = for_instance(OPTIONS, home=Path("/h"), folder=Path("/i"), vector=False).splitlines()
    assert [line for line in full if line not in cut] == ["20-:--add-modules=jdk.incubator.vector"]
    assert [line for line in cut if line not in full] == []


@pytest.mark.parametrize("name", ["with space", "with:colon"])
def test_a_folder_that_javas_options_can_not_hold_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    with pytest.raises(EngineError, match="white space or a colon") as caught:
        RunAs(None).require_reach(folder, "NEURALSHELF_STATE")
    assert caught.value.hint == "set NEURALSHELF_STATE to another folder"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_folder_that_the_engine_can_not_enter_is_named(tmp_path: Path) -> None:
    barred = tmp_path / "barred"
    (barred / "cache").mkdir(parents=True)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    barred.chmod(0o700)
    with pytest.raises(EngineError, match=rf"^{barred} can't be entered by user {UNPRIVILEGED_ID}") as caught:
        RunAs(UNPRIVILEGED_ID).require_reach(barred / "cache", "NEURALSHELF_CACHE")
    assert "NEURALSHELF_CACHE" in caught.value.hint
    barred.chmod(0o711)
    RunAs(UNPRIVILEGED_ID).require_reach(barred / "cache", "NEURALSHELF_CACHE")
