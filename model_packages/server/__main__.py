"""`python -m neuralshelf.model_packages.server`: the local model server.

Prints one JSON line, `{"port": N, "pid": N}`, on stdout when it answers; everything else goes to stderr.
"""

import argparse
import errno
import json
import logging
import os
import signal
import stat
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image

from neuralshelf.model_packages.server.app import create_app
from neuralshelf.model_packages.server.endpoints import CLIP_ENDPOINT, Endpoint, standard_endpoints
from neuralshelf.model_packages.server.limits import Limits
from neuralshelf.model_packages.server.serving import PortError, Server, bound_socket
from neuralshelf.model_packages.server.sigv4 import Credential

Loader = Callable[[Path], Mapping[str, Endpoint]]


def main(arguments: Sequence[str] | None = None, load: Loader | None = None) -> int:
    """Serve until told to end.

    Args:
        load: what gives the endpoints from the cache folder; by default the models of this project.

    Returns:
        Exit status: 0 ended on request, 1 could not start.
    """
    options = _parser().parse_args(arguments)
    _log_to_stderr(options.log_json, options.verbose)
    # What Pillow warns of is refused or harmless here; up to twice its pixel limit the warning is the refusal.
    warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    if options.exit_with_parent:
        threading.Thread(target=_end_with_stdin, name="parent", daemon=True).start()
    try:
        credentials = None if options.unsigned else read_credentials(options.credentials)
        opened = bound_socket(options.host, options.port)
    except (CredentialsError, PortError) as error:
        return _fail(_start_failure(error, options))
    limits = replace(
        Limits(),
        max_batch=options.max_batch,
        max_queue=options.max_queue,
        max_texts=min(Limits.max_texts, options.max_queue),
        max_connections=options.max_connections,
    )
    try:
        try:
            endpoints = (load or load_models)(options.cache)
        except Exception as error:  # noqa: BLE001 - the outermost edge: no traceback reaches the user
            return _fail(_load_failure(error, options.cache))
        app = create_app(
            endpoints,
            credentials=credentials,
            region=options.region,
            limits=limits,
            container=CLIP_ENDPOINT if credentials is None else None,
        )
        Server(app, opened, limits, _announce).run_until_stopped()
    except OSError as error:
        return _fail(_start_failure(error, options))
    except KeyboardInterrupt:
        return 130
    finally:
        opened.close()
    return 0


class CredentialsError(ValueError):
    """The credentials file can't be used; the message is one line and holds no secret."""


def read_credentials(path: Path) -> Mapping[str, Credential]:
    """Keys from a JSON file: `{"ACCESS_KEY": "secret"}`.

    In the place of the secret may stand an object with secret_key, session_token and expires (ISO 8601).

    Raises:
        CredentialsError: missing, readable by others, or of another shape.
    """
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise CredentialsError(f"{path}: other users can read it; next: chmod 600 {path}")
        listed = json.loads(path.read_bytes())
    except OSError as error:
        raise CredentialsError(f"{path}: {error.strerror}; next: give --credentials FILE or --unsigned") from None
    except ValueError as error:
        if isinstance(error, CredentialsError):
            raise
        raise CredentialsError(f'{path}: not JSON; next: write {{"ACCESS_KEY": "secret"}}') from None
    if not isinstance(listed, dict) or not listed:
        raise CredentialsError(f'{path}: no keys in it; next: write {{"ACCESS_KEY": "secret"}}')
    try:
        return {key: _credential(kept) for key, kept in listed.items()}
    except (KeyError, TypeError, ValueError):
        raise CredentialsError(f"{path}: a key's value is neither a secret nor an object with secret_key") from None


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


def load_models(cache: Path) -> Mapping[str, Endpoint]:
    """The standard endpoints with `lite` and MiniLM; builds into `cache` what is not there yet."""
    # Heavy, and not needed to say that a port is taken.
    from neuralshelf.model_packages.lite import LiteEncoder
    from neuralshelf.model_packages.minilm import MiniLmEncoder

    return standard_endpoints(LiteEncoder.load(cache, _Progress()), MiniLmEncoder.load())


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


def _start_failure(error: Exception, options: argparse.Namespace) -> str:
    if isinstance(error, CredentialsError):
        return str(error)
    reason = error.strerror if isinstance(error, OSError) else str(error)
    if isinstance(error, PortError):
        address = f"{options.host}:{options.port}"
        return f"can't listen on {address}: {reason}; next: free it or give another --port (0 takes a free one)"
    return f"{getattr(error, 'filename', None) or 'server'}: {reason}"


def _load_failure(error: Exception, cache: Path) -> str:
    reason = " ".join(str(error).split())[:300]
    if isinstance(error, ImportError):
        return f"the models can't be loaded: {reason}; next: pip install 'neuralshelf[local]'"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EACCES, errno.EROFS):
        return f"the models can't be kept in {cache}: {error.strerror}; next: make room there, or give another --cache"
    return f"the models can't be loaded: {type(error).__name__}: {reason}; next: delete {cache} and start again"


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m neuralshelf.model_packages.server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port; 0 takes a free one (default: %(default)s)")
    signing = parser.add_mutually_exclusive_group(required=True)
    signing.add_argument("--credentials", type=Path, metavar="FILE", help='JSON {"ACCESS_KEY": "secret"}, mode 0600')
    signing.add_argument("--unsigned", action="store_true", help="container mode: take unsigned requests")
    parser.add_argument("--cache", type=Path, required=True, metavar="DIR", help="where built model parts are kept")
    parser.add_argument("--region", default="us-east-1", help="region of signatures (default: %(default)s)")
    parser.add_argument("--max-batch", type=int, default=Limits.max_batch, help="samples a batch; 1 = no batching")
    parser.add_argument("--max-queue", type=int, default=Limits.max_queue, help="samples that may wait")
    parser.add_argument("--max-connections", type=int, default=Limits.max_connections, help="default: %(default)s")
    parser.add_argument("--exit-with-parent", action="store_true", help="end when stdin closes")
    parser.add_argument("--log-json", action="store_true", help="log as JSON lines")
    parser.add_argument("-v", "--verbose", action="store_true", help="log every refusal")
    return parser


if __name__ == "__main__":
    sys.exit(main())
