"""Every test that this machine can run, in two processes side by side, each with an engine of its own; at last the
engine's once more in a container, and those of the model packages in an environment with torch."""

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PYTEST = (sys.executable, "-m", "pytest", "-m", "not extended")
BESIDE = (
    *("tests/unit", "tests/golden", "tests/contract", "tests/browser", "tests/packaging"),
    *("tests/engine/security", "tests/faults", "tests/engine/test_stack.py", "tests/engine/test_engine_life.py"),
    *("tests/aws", "tests/aws_batch", "tests/detector", "tests/model_packages"),
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
    for environment in ("engine/container", "model_packages"):
        ended.append(subprocess.call([sys.executable, HERE / environment / "run.py"]))
    return int(any(ended))


if __name__ == "__main__":
    sys.exit(main())
