"""The network's file when it can't be had: each time one line with the next step, and nothing half done left."""

import io
import os
import tarfile
import time
from pathlib import Path

import pytest

from neuralshelf.model_packages.detector import weights
from neuralshelf.model_packages.detector.weights import FILE, MEMBER, TARBALL, WeightsError, load


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "detector"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that PATH begins with."""
    made = tmp_path / "bin"
    made.mkdir()
    monkeypatch.setenv("PATH", f"{made}{os.pathsep}{os.environ['PATH']}")
    return made


def npm(programs: Path, script: str) -> None:
    """A program `npm` that does what the script says; $4 is the folder that packages are put in."""
    file = programs / "npm"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def archive(file: Path, member: str, content: bytes) -> None:
    with tarfile.open(file, "w:gz") as made:
        info = tarfile.TarInfo(member)
        info.size = len(content)
        made.addfile(info, io.BytesIO(content))


def refusal(folder: Path) -> WeightsError:
    with pytest.raises(WeightsError) as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    assert not (folder / FILE).exists()
    assert not list(folder.glob(".*")), "something was left"
    return caught.value


def test_without_npm_it_says_where_the_file_goes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    fault = refusal(folder)
    assert fault.message == "fetching @mediapipe/objectron needs npm, which is not installed"
    assert fault.hint.startswith(f"install Node.js's npm, or put {TARBALL} into {folder}")


def test_npm_s_own_reason_is_told(folder: Path, programs: Path) -> None:
    npm(programs, "echo 'npm error code ENOTFOUND' >&2; echo 'npm error more' >&2; exit 1")
    fault = refusal(folder)
    assert fault.message == "npm can't fetch @mediapipe/objectron 0.4.1675468480: code ENOTFOUND"
    assert "connect to the network" in fault.hint


def test_npm_that_makes_nothing_is_told(folder: Path, programs: Path) -> None:
    npm(programs, "exit 0")
    assert "can't fetch" in refusal(folder).message


def test_npm_is_not_waited_for_for_ever(folder: Path, programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm(programs, f"echo $$ > {programs}/pid; exec sleep 60")
    monkeypatch.setattr(weights, "TIMEOUT_SECONDS", 1.0)
    start = time.monotonic()
    assert "has not fetched" in refusal(folder).message
    assert time.monotonic() - start < 30
    with pytest.raises(ProcessLookupError):
        os.kill(int((programs / "pid").read_text()), 0)


def test_a_package_with_another_sum_is_not_taken(folder: Path, programs: Path, tmp_path: Path) -> None:
    archive(tmp_path / "other.tgz", MEMBER, b"something else")
    npm(programs, f'cp {tmp_path / "other.tgz"} "$4/{TARBALL}"')
    fault = refusal(folder)
    assert "wrong SHA-256" in fault.message
    assert "expected fc3e37b326b0…" in fault.message


@pytest.mark.parametrize("member", [MEMBER, "../../evil", "/tmp/evil"])
def test_a_package_put_there_by_hand_is_checked_too(folder: Path, member: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    folder.mkdir(parents=True)
    archive(folder / TARBALL, member, b"x" * 500)
    fault = refusal(folder)
    assert "wrong SHA-256" in fault.message
    assert str(folder / TARBALL) in fault.hint
    assert (folder / TARBALL).exists()


def test_a_broken_file_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes(b"half of it")
    with pytest.raises(WeightsError, match="needs npm"):
        load(folder)


def test_a_folder_that_can_t_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WeightsError, match="can't be used: Not a directory; next: mend it"):
        load(tmp_path / "file" / "detector")


def test_progress_is_what_npm_has_written(folder: Path, programs: Path) -> None:
    npm(programs, f'head -c 5000 /dev/zero > "$4/part"; sleep 1; mv "$4/part" "$4/{TARBALL}"')
    told: list[tuple[str, int, int]] = []
    with pytest.raises(WeightsError, match="wrong SHA-256"):
        load(folder, lambda *said: told.append(said))
    assert {said[0] for said in told} == {"fetch @mediapipe/objectron"}
    assert {said[2] for said in told} == {weights.TARBALL_BYTES}
    assert any(5000 <= said[1] < 10_000 for said in told)
    assert told[-1][1] == weights.TARBALL_BYTES
