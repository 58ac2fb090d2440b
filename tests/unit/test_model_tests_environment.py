"""The environment of the model packages' tests: made once, also by several at a time, and anew after a failure."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.model_packages import run

ROOT = Path(__file__).resolve().parents[2]
ASK = """
import sys; from pathlib import Path; from tests.model_packages.run import environment
print(environment(Path(sys.argv[1]), Path(sys.argv[2])))
"""


def test_two_that_ask_at_a_time_get_one_environment(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    command = [sys.executable, "-c", ASK, str(tmp_path / "cache"), str(tmp_path / "requirements.txt")]
    asked = [subprocess.Popen(command, cwd=ROOT, stdout=-1, stderr=-1, text=True) for _ in range(2)]
    told = [process.communicate(timeout=500) for process in asked]
    assert [process.returncode for process in asked] == [0, 0], told
    assert told[0][0] == told[1][0]
    assert sorted(" made in " in errors for _, errors in told) == [False, True]
    python = told[0][0].strip()
    found = subprocess.run([python, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True)
    assert str(tmp_path / "cache") in found.stdout


def test_what_failed_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# nothing\n")

    def fail(*_: object, **__: object) -> None:
        raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(venv, "create", lambda folder, **_: (folder / "bin").mkdir(parents=True))
    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(subprocess.CalledProcessError):
        run.environment(tmp_path, requirements)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: None)
    python = run.environment(tmp_path, requirements)
    assert python.parent.is_dir()
    monkeypatch.setattr(subprocess, "run", fail)
    assert run.environment(tmp_path, requirements) == python
    requirements.write_text("# something else\n")
    with pytest.raises(subprocess.CalledProcessError):
        run.environment(tmp_path, requirements)
