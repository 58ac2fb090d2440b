"""Every test that this machine can run, in two processes side by side, each with an engine of its own; at last the
engine's once more in a container."""

import subprocess
import sys
import tempfile
from pathlib import Path

PYTEST = (sys.executable, "-m", "pytest", "-m", "not extended")
BESIDE = (
    *("tests/unit", "tests/golden", "tests/contract", "tests/browser", "tests/packaging"),
    *("tests/engine/security", "tests/faults", "tests/engine/test_stack.py", "tests/engine/test_engine_life.py"),
)


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
