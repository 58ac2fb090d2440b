"""Every test that this machine can run, in two halves side by side: the tests with an engine on this machine in two
processes, each with an engine of its own; then, after one of them, the engine's once more in a container, and after the
other those of the model packages in an environment with torch.

    python tests/run.py [first | second]
"""

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PYTEST = (sys.executable, "-m", "pytest", "-m", "not extended")
BESIDE = (
    *("tests/unit", "tests/golden", "tests/contract", "tests/browser", "tests/packaging"),
    *("tests/engine/security", "tests/faults", "tests/engine/test_stack.py", "tests/engine/test_engine_life.py"),
    *("tests/engine/examples", "tests/aws", "tests/aws_batch", "tests/detector", "tests/model_packages"),
)
HALVES = {
    "first": (
        (*PYTEST, "tests", *(f"--ignore={part}" for part in BESIDE)),
        (sys.executable, str(HERE / "engine" / "container" / "run.py")),
    ),
    "second": (
        (*PYTEST, *BESIDE),
        (sys.executable, str(HERE / "model_packages" / "run.py")),
    ),
}


def main(words: list[str]) -> int:
    """0 when all of them passed."""
    ended = [subprocess.call(command) for command in HALVES[words[0]]] if words else side_by_side()
    return int(any(ended))


def side_by_side() -> list[int]:
    """Exit status of both halves; what the second one says is printed when the first one has ended."""
    with tempfile.TemporaryFile("w+") as told:
        second = subprocess.Popen([sys.executable, __file__, "second"], stdout=told, stderr=subprocess.STDOUT)
        try:
            ended = [main(["first"]), second.wait()]
        finally:
            second.terminate()
        told.seek(0)
        print(f"meanwhile the second half:\n{told.read()}", flush=True)
    return ended


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
