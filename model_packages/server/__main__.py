"""`python -m neuralshelf.model_packages.server`: the local model server.

Prints one JSON line, `{"port": N, "pid": N}`, on stdout when it answers; everything else goes to stderr.
"""

import argparse
import json
import logging
import os
import signal
import stat
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from PIL import Image
from starlette.types import ASGIApp

from neuralshelf.model_packages.packaging.manifest import PackageError
from neuralshelf.model_packages.server.app import create_app
from neuralshelf.model_packages.server.detection import NamedDetector
from neuralshelf.model_packages.server.endpoints import CLIP_ENDPOINT, Endpoint, standard_endpoints
from neuralshelf.model_packages.server.handler import Handler, create_package_app, opened
from neuralshelf.model_packages.server.limits import Limits
from neuralshelf.model_packages.server.serving import Server, bound_socket
from neuralshelf.model_packages.server.sigv4 import Credential

_log = logging.getLogger(__name__)

_KEYS_HINT = 'write {"ACCESS_KEY": "secret"} to it'

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_PACKAGE_LIMITS = replace(Limits(), max_batch=1, max_wait=0.1)
"""TorchServe's own batchSize and maxBatchDelay in the container (`ts_environment.py` of its toolkit)."""

_SWITCH_SECONDS = 0.0005
"""So long a thread that needs the interpreter waits for another one; Python's own is ten times that, a search has many
such moments."""

Loader = Callable[[Path], Mapping[str, Endpoint]]


def main(arguments: Sequence[str] | None = None, load: Loader | None = None) -> int:
    """Serve until told to end.

    Args:
        load: what gives the endpoints from the cache folder; by default the models of this project.

    Returns:
        Exit status: 0 ended on request, 1 could not start, 130 interrupted before it answered.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.package and options.host not in _LOOPBACK:
        parser.error("--package answers whoever asks: only on loopback")
    if options.package and options.detector:
        parser.error("--detector is not for --package")
    if options.package and options.visual:
        parser.error("--visual is of lite, not for --package")
    if not options.package and (options.weights or not options.cache):
        parser.error("--weights belongs to --package" if options.weights else "--cache DIR is needed")
    try:
        limits = _limits(options)
    except ValueError as error:
        parser.error(str(error))
    _log_to_stderr(options.log_json, options.verbose)
    # What Pillow warns of is refused or harmless here; up to twice its pixel limit the warning is the refusal.
    warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    sys.setswitchinterval(_SWITCH_SECONDS)
    if options.exit_with_parent:
        threading.Thread(target=_end_with_stdin, name="parent", daemon=True).start()
    try:
        with bound_socket(options.host, options.port) as opened, _application(options, limits, load) as app:
            Server(app, opened, limits, _announce).run_until_stopped()
    except StartError as error:
        return _fail(str(error))
    except OSError as error:
        address = f"{options.host}:{options.port}"
        step = "free it or give another --port (0 takes a free one)"
        return _fail(f"can't listen on {address}: {error.strerror or error}; next: {step}")
    except KeyboardInterrupt:
        return 130
    return 0


@contextmanager
def _application(options: argparse.Namespace, limits: Limits, load: Loader | None) -> Iterator[ASGIApp]:
    """Raises: StartError."""
    if options.package:
        with _package(options) as handler:
            yield create_package_app(handler, limits)
        return
    credentials = None if options.unsigned else read_credentials(options.credentials)
    yield create_app(
        _loaded(load or partial(load_models, visual=options.visual), options.cache),
        credentials=credentials,
        region=options.region,
        limits=limits,
        container=CLIP_ENDPOINT if credentials is None else None,
        detector=_detector(options.cache) if options.detector else None,
    )


@contextmanager
def _package(options: argparse.Namespace) -> Iterator[Handler]:
    """The package's model, loaded. An archive's files go away at the end, however we are ended."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        with opened(options.package, options.weights, options.cache) as (code, model_dir):
            yield _handler(code, model_dir)
    except PackageError as error:
        raise StartError(str(error)) from None


def _handler(code: Path, model_dir: Path) -> Handler:
    try:
        return Handler.load(code, model_dir)
    except PackageError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the package's own code: no traceback reaches the user
        _log.info("%s: not loaded", code, exc_info=error)
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        step = "see the traceback with --verbose; weights are named with --weights DIR"
        raise StartError(f"{code}: the model can't be loaded: {reason}; next: {step}") from None


class StartError(Exception):
    """The server can't start; the message is one line with the next step, and holds no secret."""


def read_credentials(path: Path) -> Mapping[str, Credential]:
    """Keys from a JSON file: `{"ACCESS_KEY": "secret"}`.

    In the place of the secret may stand an object with secret_key, session_token and expires (ISO 8601).

    Raises:
        StartError: missing, readable by others, or of another shape.
    """
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise StartError(f"{path}: other users can read it; next: chmod 600 {path}")
        listed = json.loads(path.read_bytes())
        if not isinstance(listed, dict) or not listed:
            raise StartError(f"{path}: no keys in it; next: {_KEYS_HINT}")
        return {key: _credential(kept) for key, kept in listed.items()}
    except OSError as error:
        raise StartError(f"{path}: {error.strerror}; next: give --credentials FILE or --unsigned") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise StartError(f"{path}: not JSON; next: {_KEYS_HINT}") from None
    except (KeyError, TypeError, ValueError):
        raise StartError(
            f"{path}: a value is neither a secret nor an object with secret_key; next: {_KEYS_HINT}"
        ) from None


def _credential(kept: object) -> Credential:
    if isinstance(kept, str) and kept:
        return Credential(kept)
    if not isinstance(kept, dict):
        raise TypeError
    expires = kept.get("expires")
    when = datetime.fromisoformat(expires) if expires else None
    if when is not None and when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return Credential(str(kept["secret_key"]), kept.get("session_token"), when)


def load_models(cache: Path, visual: Path | None = None) -> Mapping[str, Endpoint]:
    """The standard endpoints with `lite` and MiniLM; builds into `cache` what is not there yet.

    Args:
        visual: file of lite's fine-tuned visual block.

    Raises:
        StartError: `visual` can't be used.
    """
    # Heavy, and not needed to say that a port is taken.
    from neuralshelf.model_packages.lite import LiteEncoder, VisualError
    from neuralshelf.model_packages.minilm import MiniLmEncoder

    try:
        return standard_endpoints(LiteEncoder.load(cache, _Progress(), visual=visual), MiniLmEncoder.load())
    except VisualError as error:
        raise StartError(str(error)) from None


def _detector(cache: Path) -> NamedDetector:
    """Raises: StartError."""
    try:
        # Heavy, as in load_models.
        from neuralshelf.model_packages.detector import SsdDetector, WeightsError
    except ImportError as error:
        raise StartError(f"--detector needs {error.name}; next: pip install 'neuralshelf[local,detect]'") from None
    try:
        detector = SsdDetector.load(cache / "detector", progress=_Progress())
        detector.prepare()
        return detector
    except WeightsError as error:
        raise StartError(str(error)) from None


def _loaded(load: Loader, cache: Path) -> Mapping[str, Endpoint]:
    try:
        return load(cache)
    except StartError:
        raise
    except ImportError as error:
        raise StartError(f"the models can't be loaded: {error}; next: pip install 'neuralshelf[local]'") from None
    except Exception as error:  # noqa: BLE001 - the outermost edge: no traceback reaches the user
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        step = f"make room or give another --cache than {cache}, or delete that folder and start again"
        raise StartError(f"the models can't be loaded: {reason}; next: {step}") from None


class _Progress:
    """Lines on stderr, at most one a second for each thing that is being built."""

    def __init__(self) -> None:
        self._next = 0.0
        self._what = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if what == self._what and now < self._next and done < total:
            return
        self._what, self._next = what, now + 1.0
        print(f"model: {what} {done}/{total}", file=sys.stderr, flush=True)


def _announce(port: int) -> None:
    print(json.dumps({"port": port, "pid": os.getpid()}), flush=True)


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr, flush=True)
    return 1


def _end_with_stdin() -> None:
    """Who started us holds the other end of stdin; when they are gone, however they went, it closes."""
    while os.read(0, 4096):  # not sys.stdin: its lock, held here, would be in the way of the interpreter's end
        pass
    os.kill(os.getpid(), signal.SIGTERM)


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": when, "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        return json.dumps(line)


def _log_to_stderr(as_json: bool, verbose: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(asctime)sZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    plain.converter = time.gmtime
    handler.setFormatter(_JsonLines() if as_json else plain)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO if verbose else logging.WARNING)


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{number} is not a port")
    return number


def _limits(options: argparse.Namespace) -> Limits:
    """Raises: ValueError."""
    chosen = {name: getattr(options, name) for name in ("max_batch", "max_queue", "max_connections")}
    limits = _PACKAGE_LIMITS if options.package else Limits()
    return replace(limits, **{name: number for name, number in chosen.items() if number is not None})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m neuralshelf.model_packages.server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=0, help="port; 0 takes a free one (default: %(default)s)")
    served = parser.add_mutually_exclusive_group(required=True)
    served.add_argument("--credentials", type=Path, metavar="FILE", help='JSON {"ACCESS_KEY": "secret"}, mode 0600')
    served.add_argument("--unsigned", action="store_true", help="container mode: take unsigned requests")
    served.add_argument(
        "--package", type=Path, metavar="DIR_OR_TARGZ", help="a model package as its SageMaker container, unsigned"
    )
    parser.add_argument("--weights", type=Path, metavar="DIR", help="of --package DIR (default: DIR itself)")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where built or unpacked model parts are kept")
    parser.add_argument("--detector", action="store_true", help="also find things in pictures: neuralshelf-detector")
    parser.add_argument("--visual", type=Path, metavar="FILE", help="fine-tuned visual block of lite (lite.finetune)")
    parser.add_argument("--region", default="us-east-1", help="region of signatures (default: %(default)s)")
    parser.add_argument("--max-batch", type=int, help="a batch at most; 1 = no batching, as a package has by default")
    parser.add_argument("--max-queue", type=int, help=f"samples or requests that may wait ({Limits.max_queue})")
    parser.add_argument("--max-connections", type=int, help=f"open at once ({Limits.max_connections})")
    parser.add_argument("--exit-with-parent", action="store_true", help="end when stdin closes")
    parser.add_argument("--log-json", action="store_true", help="log as JSON lines")
    parser.add_argument("-v", "--verbose", action="store_true", help="log every refusal")
    return parser


if __name__ == "__main__":
    sys.exit(main())
