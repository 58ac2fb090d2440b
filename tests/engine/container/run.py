"""Run the engine tests once more, with OpenSearch in a container by testcontainers.

    python tests/engine/container/run.py [argument of pytest …]        default: see below

The image is the one that OPENSEARCH_IMAGE names; else one made here of the embedded engine's files; else, without root
or debootstrap, the official one, which docker pulls. Where no docker or no image can be had this says so and ends with
status 0, or with 1 when NEURALSHELF_REQUIRE names `container`. Whatever ran, ran in a container: a skip for want of one
counts as a failure.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[2]
sys.path.insert(0, str(HERE))

from daemon import DaemonError, docker_daemon  # type: ignore[import-not-found]  # noqa: E402
from image import ImageError, can_make_image, make_image, pull_image  # type: ignore[import-not-found]  # noqa: E402

from neuralshelf.engine.container import DEFAULT_IMAGE, IMAGE_VARIABLE  # noqa: E402
from neuralshelf.settings import Folders  # noqa: E402


def main(words: list[str]) -> int:
    """Exit status: that of pytest, or see above."""
    try:
        with docker_daemon():
            begun = time.monotonic()
            image = _image()
            print(f"image {image} after {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
            return _test(image, words)
    except (DaemonError, ImageError) as fault:
        required = "container" in os.environ.get("NEURALSHELF_REQUIRE", "").split(",")
        print(f"container tests {'FAILED' if required else 'skipped'}: {fault}", file=sys.stderr)
        return 1 if required else 0


def _image() -> str:
    named = os.environ.get(IMAGE_VARIABLE)
    if named is None and can_make_image():
        return str(make_image(Folders.default(PROJECT).cache))
    return str(pull_image(named or DEFAULT_IMAGE))


def _test(image: str, words: list[str]) -> int:
    environment = os.environ | {
        IMAGE_VARIABLE: image,
        "NEURALSHELF_REQUIRE": "container",
        # Its helper would have to be pulled; a container that a killed run left is removed by the next.
        "TESTCONTAINERS_RYUK_DISABLED": "true",
    }
    # These say the same to every engine, at length; the security tests bring their own.
    at_length = (
        "examples",
        "provision",
        "ingestion",
        "security",
        "checker",
        "relevance",
        "connectors/test_byte_exact.py",
    )
    rest = ["tests/engine", *(f"--ignore=tests/engine/{part}" for part in at_length)]
    paths = [] if any((PROJECT / word.split("::")[0]).exists() for word in words) else rest
    command = [sys.executable, "-m", "pytest", "--engine=container", *paths, *words]
    return subprocess.run(command, cwd=PROJECT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
