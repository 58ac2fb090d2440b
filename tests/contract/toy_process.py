"""The server's own command line with the toy model behind it: `python toy_process.py --port 0 --cache DIR ...`.

TOY_SECONDS in the environment makes the model that slow; the regions TOY-FAILS and TOY-SLEEPS make its loading fail
or take long.
"""

import os
import runpy
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from neuralshelf.model_packages.server.__main__ import main
from neuralshelf.model_packages.server.endpoints import Endpoint, standard_endpoints

ToyEncoder = runpy.run_path(str(Path(__file__).with_name("conftest.py")))["ToyEncoder"]


def toys(_cache: Path) -> Mapping[str, Endpoint]:
    if "TOY-FAILS" in sys.argv:
        raise ValueError("no such\nmodel")
    if "TOY-SLEEPS" in sys.argv:
        print("loading", file=sys.stderr, flush=True)
        time.sleep(60)
    text = ToyEncoder(name="toy-text", dimensions=(384,), default_dimension=384)
    return standard_endpoints(ToyEncoder(seconds=float(os.environ.get("TOY_SECONDS", "0"))), text)


if __name__ == "__main__":
    sys.exit(main(load=toys))
