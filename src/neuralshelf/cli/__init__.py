"""The command line: parse, call, print, exit code. stdout is the result, stderr is progress."""

import os
import sys
import warnings
from collections.abc import Sequence

from neuralshelf.errors import EngineError, MissingDependencyError, NeuralshelfError

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns:
        0 done; 1 failed; 2 wrong usage or configuration, or changes with --detailed-exitcode; 3 finished with dead
        letters; 4 somebody else writes, or the plan no longer holds; 130 interrupted.
    """
    from neuralshelf.cli.parser import parser

    words = parser().parse_args(argv)
    warnings.filterwarnings("ignore", module=r"opensearchpy\.")  # the cluster's own deprecations are not for our users
    try:
        code = int(words.run(words))
        sys.stdout.flush()
        return code
    except NeuralshelfError as fault:
        return _say(fault)
    except KeyboardInterrupt:
        print("neuralshelf: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # whoever read our output has gone; keep the interpreter from complaining about it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ImportError as fault:
        if fault.name is None or fault.name.startswith("neuralshelf"):
            raise
        error = MissingDependencyError(f"{fault.name} is not installed", hint="pip install 'neuralshelf[local,aws]'")
        return _say(error)
    except Exception as fault:
        if not type(fault).__module__.startswith("opensearchpy"):  # a defect: its traceback is what helps
            raise
        return _say(EngineError(f"OpenSearch refused or did not answer: {fault}", hint="neuralshelf doctor"))


def _say(fault: NeuralshelfError) -> int:
    print(f"neuralshelf: {fault}", file=sys.stderr)
    return fault.exit_code
