"""`python -m neuralshelf.model_packages.server --package`: a folder or an archive served, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from neuralshelf.model_packages.packaging.archive import build
from neuralshelf.model_packages.packaging.weights import Weight
from tests.unit import model_package, tars


class Process:
    """`python -m neuralshelf.model_packages.server --package …`, its temporary files in a folder of their own."""

    def __init__(self, scratch: Path, *words: str) -> None:
        command = [sys.executable, "-m", "neuralshelf.model_packages.server", *words]
        self.popen = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"TMPDIR": str(scratch)},
        )

    def url(self) -> str:
        assert self.popen.stdout is not None
        return f"http://127.0.0.1:{json.loads(self.popen.stdout.readline())['port']}"

    def ended(self) -> tuple[int, str, str]:
        out, err = self.popen.communicate(timeout=60)
        return self.popen.returncode, out, err


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []
    (tmp_path / "scratch").mkdir()

    def begin(*words: object) -> Process:
        started.append(Process(tmp_path / "scratch", *map(str, words)))
        return started[-1]

    yield begin
    for process in started:
        process.popen.kill()
        process.popen.communicate()


def test_a_folder_and_its_archive_answer_alike_and_leave_nothing(tmp_path: Path, start: Callable[..., Process]) -> None:
    made = model_package.write(tmp_path)
    weights = model_package.write_weights(tmp_path)
    file = weights / "model.safetensors"
    archive = tmp_path / "model.tar.gz"
    build(made, {file.name: Weight(file, model_package.digest(file.read_bytes()))}, archive)
    processes = start("--package", made, "--weights", weights), start("--package", archive)
    for process in processes:
        url = process.url()
        answer = requests.post(f"{url}/invocations", json={"inputText": "abcd"}, timeout=30)
        assert (answer.status_code, answer.json()) == (200, {"embedding": [4.0, 8.0]})
        assert requests.get(f"{url}/ping", timeout=10).status_code == 200
    assert len(list((tmp_path / "scratch").iterdir())) == 1
    for process in processes:
        process.popen.send_signal(signal.SIGTERM)
        assert process.ended() == (0, "", "")
    assert list((tmp_path / "scratch").iterdir()) == []


def test_what_can_not_be_served_is_one_line(tmp_path: Path, start: Callable[..., Process]) -> None:
    bad = tars.archive(tmp_path, tars.member("../x.py", b""))
    made = model_package.write(tmp_path)
    cases = {
        ("--package", bad): "'../x.py' is no safe name",
        ("--package", bad, "--weights", tmp_path): "an archive holds its weights",
        ("--package", tmp_path): "inference.py: no such file",
        ("--package", made): "can't be loaded: FileNotFoundError",
    }
    processes = {said: start(*words) for words, said in cases.items()}
    for said, process in processes.items():
        code, out, err = process.ended()
        assert (code, out, err.count("\n"), "Traceback" in err) == (1, "", 1, False)
        assert said in err
    assert list((tmp_path / "scratch").iterdir()) == []


def test_options_that_do_not_go_together_are_a_usage_error(tmp_path: Path, start: Callable[..., Process]) -> None:
    cases = [
        ("--package", tmp_path, "--host", "0.0.0.0"),
        ("--package", tmp_path, "--unsigned"),
        ("--unsigned", "--cache", tmp_path, "--weights", tmp_path),
        ("--unsigned",),
        (),
    ]
    for process in [start(*words) for words in cases]:
        assert process.ended()[0] == 2


def test_told_to_end_while_it_loads_it_leaves_no_files(tmp_path: Path, start: Callable[..., Process]) -> None:
    made = model_package.write(tmp_path)
    slow = "import sys, time\nprint('loading', file=sys.stderr, flush=True)\ntime.sleep(60)\n"
    (made / "code" / "inference.py").write_text(slow)
    archive = tmp_path / "model.tar.gz"
    build(made, {}, archive)
    process = start("--package", archive)
    assert process.popen.stderr is not None
    assert process.popen.stderr.readline() == "loading\n"
    process.popen.send_signal(signal.SIGTERM)
    assert process.ended() == (130, "", "")
    assert list((tmp_path / "scratch").iterdir()) == []
