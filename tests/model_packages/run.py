"""Run the tests of the model packages in an environment with torch.

    python tests/model_packages/run.py [argument of pytest …]

The environment is made once, of requirements.txt beside this file (some 6 GB), and kept in the cache folder under the
hash of that file. NEURALSHELF_MODELS_PYTHON may name an interpreter that has it all, to use instead.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

from neuralshelf.settings import Folders

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
REQUIREMENTS = HERE / "requirements.txt"
VARIABLE = "NEURALSHELF_MODELS_PYTHON"
_COMPLETE = "complete"


def main(words: list[str]) -> int:
    """Exit status: that of pytest, or 1 when there is no environment."""
    try:
        python = os.environ.get(VARIABLE) or environment(Folders.default(PROJECT).cache, REQUIREMENTS)
    except (OSError, subprocess.CalledProcessError) as fault:
        print(f"model package tests FAILED: no environment: {fault}", file=sys.stderr)
        return 1
    here = str(HERE.relative_to(PROJECT))
    paths = [] if any((PROJECT / word.split("::")[0]).exists() for word in words) else [here]
    # the tests' common conftest.py needs what the other parts need
    command = [str(python), "-m", "pytest", f"--confcutdir={here}", *paths, *words]
    return subprocess.run(command, cwd=PROJECT, env=os.environ | {"PYTHONPATH": "src"}, check=False).returncode


def environment(cache: Path, requirements: Path) -> Path:
    """The interpreter of the environment, which is made if it is not there; of several that ask at a time one makes it.

    Raises:
        OSError, subprocess.CalledProcessError: it can't be made; what is half made is made anew the next time.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    name = hashlib.sha256(requirements.read_bytes() + version.encode()).hexdigest()[:16]
    folder = cache / "model-tests" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / _COMPLETE).exists():
            begun = time.monotonic()
            shutil.rmtree(folder, ignore_errors=True)
            venv.create(folder, with_pip=True)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
            # what is never imported need not be compiled: most of 6 GB
            subprocess.run([*pip, "--no-compile", "--requirement", str(requirements)], check=True)
            (folder / _COMPLETE).touch()
            print(f"{folder} made in {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    return folder / "bin" / "python"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
