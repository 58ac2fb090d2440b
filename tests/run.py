"""Every test that this machine can run: those that share an engine, beside them those that share nothing, and at last
the engine's once more in a container."""

import subprocess
import sys
import tempfile
from pathlib import Path

PYTEST = (sys.executable, "-m", "pytest", "-m", "not extended")
BESIDE = ("tests/unit", "tests/golden", "tests/contract", "tests/browser", "tests/packaging", "tests/engine/security")


def main() -> int:
    """0 when all of them passed."""
    with tempfile.TemporaryFile("w+") as told:
        beside = subprocess.Popen([*PYTEST, *BESIDE], stdout=told, stderr=subprocess.STDOUT)
        try:
            ended = [subprocess.call([*PYTEST, "tests", *(f"--ignore={part}" for part in BESIDE)]), beside.wait()]
        finally:
            beside.terminate()
        told.seek(0)
        print(f"meanwhile {' '.join(BESIDE)}:\n{told.read()}", flush=True)
    ended.append(subprocess.call([sys.executable, Path(__file__).parent / "engine" / "container" / "run.py"]))
    return int(any(ended))


if __name__ == "__main__":
    sys.exit(main())
