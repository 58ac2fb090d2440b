"""The embedded engine's life on a real JVM: data kept, no strays, one holder, errors of one line."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from neuralshelf.client import connect
from neuralshelf.engine import embedded
from neuralshelf.engine.embedded import EmbeddedEngine
from neuralshelf.engine.java import packaged_java
from neuralshelf.errors import EngineError
from neuralshelf.settings import ClusterConfig, Folders

SMALL = "512m"
TOOL = """
import json, sys, time
from pathlib import Path
from neuralshelf.engine import open_engine
from neuralshelf.settings import ClusterConfig, Folders
cache, state, heap = sys.argv[1:]
engine = open_engine(ClusterConfig(java_heap=heap), Folders(Path(cache), Path(state)))
engine.start(lambda step, done, total: None)
print(json.dumps({"url": engine.url, "pid": engine.status().pid}), flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def folders(request: pytest.FixtureRequest) -> Iterator[Folders]:
    with request.getfixturevalue("temporary")() as made:
        yield made


def silent(step: str, done: int, total: int | None) -> None:
    pass


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture(scope="module")
def killed_tool(folders: Folders) -> dict[str, Any]:
    """A tool that started an engine, wrote a document and was killed; what it had said, and whether the JVM ended."""
    words = [sys.executable, "-c", TOOL, str(folders.cache), str(folders.state), SMALL]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as tool:
        try:
            assert tool.stdout is not None
            said: dict[str, Any] = json.loads(tool.stdout.readline())
            client = connect(ClusterConfig(), said["url"])
            client.index(index="kept", id="1", body={"text": "ภาษาไทย"}, params={"refresh": "true"})
            client.close()
            assert is_running(said["pid"])
        finally:
            tool.kill()
    deadline = time.monotonic() + 30
    while is_running(said["pid"]) and time.monotonic() < deadline:
        time.sleep(0.1)
    return said | {"ended": not is_running(said["pid"])}


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends children on Linux only")
def test_a_killed_tool_leaves_no_jvm(killed_tool: dict[str, Any]) -> None:
    assert killed_tool["ended"]


@pytest.fixture(scope="module")
def again(killed_tool: dict[str, Any], folders: Folders) -> Iterator[EmbeddedEngine]:
    """The same folder started once more, on the Java runtime from PyPI."""
    engine = EmbeddedEngine(ClusterConfig(java_heap=SMALL), folders)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "find_java", packaged_java)
        engine.start(silent)
    yield engine
    engine.stop()


def test_data_and_port_are_kept_between_runs(again: EmbeddedEngine, killed_tool: dict[str, Any]) -> None:
    client = connect(ClusterConfig(), again.url)
    assert client.get(index="kept", id="1")["_source"] == {"text": "ภาษาไทย"}
    client.close()
    assert again.url == killed_tool["url"]


def test_the_java_of_pypi_splits_thai_words_by_the_icu_jars(again: EmbeddedEngine) -> None:
    client = connect(ClusterConfig(), again.url)
    answer = client.indices.analyze(body={"analyzer": "thai", "text": "ภาษาไทย"})
    client.close()
    assert [token["token"] for token in answer["tokens"]] == ["ภาษา", "ไทย"]


def test_it_listens_on_this_machine_only(again: EmbeddedEngine) -> None:
    client = connect(ClusterConfig(), again.url)
    node = next(iter(client.nodes.info(metric="http,transport")["nodes"].values()))
    client.close()
    bound = node["http"]["bound_address"] + node["transport"]["bound_address"]
    assert {address.rsplit(":", 1)[0] for address in bound} == {"127.0.0.1"}


def test_a_second_start_on_the_same_folder_names_the_holder(again: EmbeddedEngine, folders: Folders) -> None:
    with pytest.raises(EngineError, match=rf"is in use by process {os.getpid()}; next: "):
        EmbeddedEngine(ClusterConfig(), folders).start(silent)
    again.check()


def test_a_port_that_is_occupied_is_named_and_nothing_is_held(again: EmbeddedEngine, request: Any) -> None:
    port = int(again.url.rsplit(":", 1)[1])
    with request.getfixturevalue("temporary")() as other:
        for _ in range(2):
            with pytest.raises(EngineError, match=rf"^port {port} on 127\.0\.0\.1 is occupied; next: "):
                EmbeddedEngine(ClusterConfig(http_port=port), other).start(silent)


def check_for(seconds: float, engine: EmbeddedEngine) -> None:
    """A killed JVM's threads end one after the other, so its end is not to be seen at once."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        engine.check()
        time.sleep(0.05)


def test_a_jvm_that_ends_by_itself_is_noticed(again: EmbeddedEngine) -> None:  # the last one of this engine
    pid = again.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(EngineError, match=r"^OpenSearch ended with status -9: ") as caught:
        check_for(20, again)
    assert "console.log" in caught.value.hint
    assert again.status().health == "unreachable"


@pytest.mark.parametrize(("heap", "words"), [("2m", "heap"), ("900000g", "memory|heap|reserve")])
def test_a_heap_that_can_not_be_is_told_in_javas_words(request: Any, heap: str, words: str) -> None:
    with request.getfixturevalue("temporary")() as folders:
        engine = EmbeddedEngine(ClusterConfig(java_heap=heap), folders)
        with pytest.raises(EngineError, match=rf"^OpenSearch ended with status \d+: .*({words})") as caught:
            engine.start(silent)
        assert "\n" not in str(caught.value)
        assert engine.status().health == "unreachable"
