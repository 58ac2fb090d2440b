"""A process that takes a lock, says what came of it, and holds it: `python lock_process.py URL PREFIX VERB`.

Prints `held ID`, or `refused MESSAGE` and exits 4; while holding it checks the lock ten times a second. Where it hangs
after 50 s it says on stderr, and exits.
"""

import faulthandler
import sys
import time

from neuralshelf.client import connect
from neuralshelf.errors import LockedError
from neuralshelf.provision.lock import locked
from neuralshelf.settings import ClusterConfig


def main(url: str, prefix: str, verb: str) -> int:
    """The exit code."""
    faulthandler.dump_traceback_later(50, exit=True)
    client = connect(ClusterConfig(provider="url", url=url))
    try:
        with locked(client, prefix, verb, tell=lambda line: print(line, file=sys.stderr, flush=True)) as lock:
            print(f"held {lock.holder.id}", flush=True)
            for _ in range(400):
                lock.check()
                time.sleep(0.1)
    except LockedError as fault:
        print(f"refused {fault}", flush=True)
        return fault.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
