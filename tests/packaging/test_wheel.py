"""The wheel holds what the tree holds, and the default install is small, starts and says what is missing."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {
    ROOT / "src" / "neuralshelf": "neuralshelf",
    ROOT / "connectors": "neuralshelf/connectors",
    ROOT / "pipelines": "neuralshelf/pipelines",
    ROOT / "templates": "neuralshelf/templates",
    ROOT / "model_packages": "neuralshelf/model_packages",
    ROOT / "web": "neuralshelf/web",
}
NOT_SHIPPED = {"__pycache__"}
MOST_DISTRIBUTIONS = 25


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # a copy, so that build folders don't end up in the tree
    tree = folder / "tree"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(tree)], check=True)
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(tree)], check=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the default install; the path of its bin folder."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder)
    subprocess.run([*pip(folder / "bin"), "install", "--quiet", "--no-compile", str(wheel)], check=True)
    return folder / "bin"


def pip(installed: Path) -> Sequence[str]:
    """Our pip, at work on another environment: that needs none of its own."""
    return sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(installed / "python")


def _tracked(folder: Path) -> set[str]:
    listed = subprocess.run(["git", "ls-files", "."], cwd=folder, check=True, capture_output=True, text=True).stdout
    return {
        name
        for name in listed.splitlines()
        if not (folder / name).is_symlink() and not NOT_SHIPPED & {*Path(name).parts}
    }


def test_every_committed_file_of_the_packages_is_in_the_wheel_and_nothing_else(wheel: Path) -> None:
    expected = {f"{package}/{name}" for folder, package in FOLDERS.items() for name in _tracked(folder)}
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert shipped == expected


def test_the_licence_and_the_notice_are_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        licences = {Path(name).name for name in archive.namelist() if "/licenses/" in name}
    assert {"LICENSE", "NOTICE"} <= licences


def test_the_default_install_is_small(installed: Path) -> None:
    command = [*pip(installed), "list", "--format", "json"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    names = {package["name"] for package in json.loads(listed)}
    assert "neuralshelf" in names
    assert len(names) <= MOST_DISTRIBUTIONS, sorted(names)


def test_the_command_of_the_default_install_starts(installed: Path) -> None:
    answer = subprocess.run([installed / "neuralshelf", "--version"], check=True, capture_output=True, text=True)
    assert answer.stdout.startswith("neuralshelf 0.")


def test_without_extras_a_local_verb_names_the_extra_in_one_line(installed: Path, tmp_path: Path) -> None:
    for name in ("neuralshelf.yaml", "environments/local.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    environment = os.environ | {"NEURALSHELF_STATE": str(tmp_path / "state")}
    answer = subprocess.run(
        [installed / "neuralshelf", "up"], cwd=tmp_path, capture_output=True, text=True, env=environment
    )
    assert answer.returncode == 1
    assert "pip install 'neuralshelf[local" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_heavy_packages_are_not_imported_to_show_help(installed: Path) -> None:
    heavy = "opensearchpy", "boto3", "PIL", "pydantic", "numpy", "jinja2"
    code = f"import sys; import neuralshelf.cli; print([m for m in {heavy} if m in sys.modules])"
    answer = subprocess.run([installed / "python", "-c", code], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == "[]"
