"""A plan that finds nothing to do, against what any tool on the same libraries has to pay: starting Python and them."""

import subprocess
import sys
from pathlib import Path

from ratio import Ratio, compare, seconds

LIBRARIES = "import opensearchpy, pydantic, jinja2"


def measure(config: Path, environment: str, rounds: int = 7) -> Ratio:
    """Wall seconds of `neuralshelf plan` on a deployment that is applied; CalledProcessError when it is not."""
    plan = ["-m", "neuralshelf", "plan", "--detailed-exitcode", "--config", str(config), "-e", environment]
    return compare(
        "`neuralshelf plan` with nothing to do ÷ importing its libraries",
        "s",
        lambda: seconds(lambda: _python(*plan)),
        lambda: seconds(lambda: _python("-c", LIBRARIES)),
        rounds,
    )


def _python(*words: str) -> None:
    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)
