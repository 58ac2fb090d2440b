"""Every test that this machine can run: in two processes side by side, each with an engine of its own; then the
engine's once more in a container, beside those of the model packages in an environment with torch."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
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
    container, models = (
        (sys.executable, str(HERE / part / "run.py")) for part in ("engine/container", "model_packages")
    )
    rest = (*PYTEST, "tests", *(f"--ignore={part}" for part in BESIDE))
    passed = [side_by_side(rest, (*PYTEST, *BESIDE)), side_by_side(container, models)]
    return int(not all(passed))


def side_by_side(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether both commands passed; what the second one says is printed when the first one has ended."""
    with tempfile.TemporaryFile("w+") as told:
        beside = subprocess.Popen(second, stdout=told, stderr=subprocess.STDOUT)
        try:
            ended = [subprocess.call(first), beside.wait()]
        finally:
            beside.terminate()
        told.seek(0)
        print(f"meanwhile {' '.join(second)}:\n{told.read()}", flush=True)
    return not any(ended)


if __name__ == "__main__":
    sys.exit(main())
