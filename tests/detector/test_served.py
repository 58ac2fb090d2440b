"""The real detector in a server process, and its network out of a package that was really fetched."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import requests

from neuralshelf.model_packages.detector import SsdDetector, weights
from neuralshelf.model_packages.detector.evaluate import outline, overlap
from tests.detector.conftest import ROOT, sample

TOYS = ROOT / "tests" / "contract" / "toy_process.py"


def server(words: Sequence[str], **environment: str) -> "subprocess.Popen[str]":
    """The model server with toy encoders."""
    return subprocess.Popen(
        [sys.executable, str(TOYS), "--unsigned", "--detector", "--exit-with-parent", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


def test_the_model_server_finds_things_when_asked_to(cache: Path) -> None:
    with server(["--cache", str(cache)]) as process:
        try:
            assert process.stdout is not None
            port = json.loads(process.stdout.readline())["port"]
            picture = base64.b64encode((ROOT / "samples" / "images" / "chair-00.jpg").read_bytes()).decode()
            url = f"http://127.0.0.1:{port}/endpoints/neuralshelf-detector/invocations"
            answer = requests.post(url, json={"inputImage": picture, "prompt": "hats . chair"}, timeout=30).json()
            assert overlap(answer["box"], outline(sample("chair-00"))) > 0.7
            assert (answer["phrase"], answer["fileType"]) == ("chair", "jpeg")
            nothing = requests.post(url, json={"inputImage": picture}, timeout=30)
            assert nothing.status_code == 424
            assert "NoObjectFound" in nothing.json()["OriginalMessage"]
        finally:
            process.terminate()
        assert process.wait(30) == 0


def test_without_the_file_the_model_server_says_how_to_get_it(tmp_path: Path) -> None:
    with server(["--cache", str(tmp_path)], PATH="") as process:
        assert process.stderr is not None
        told = process.stderr.read()
        assert process.wait(60) == 1
    assert told.startswith("error: fetching @mediapipe/objectron needs npm")
    assert told.count("\n") == 1


@pytest.mark.slow
@pytest.mark.usefixtures("cache")  # skips where there is no way to the package
def test_a_package_put_there_by_hand_is_as_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        fetched = weights._fetched(tmp_path, tmp_path, None)
    except weights.WeightsError as fault:
        pytest.skip(str(fault))
    folder = tmp_path / "detector"
    folder.mkdir()
    fetched.rename(folder / weights.TARBALL)
    monkeypatch.setenv("PATH", "")
    first = SsdDetector.load(folder)
    (folder / weights.FILE).write_bytes(b"broken")
    assert SsdDetector.load(folder).fingerprint == first.fingerprint
    assert sorted(file.name for file in folder.iterdir()) == sorted([weights.FILE, weights.TARBALL])
