"""The process that holds a local stack together: engine, model server, search page. Started by `Stack.start` only.

When it ends, for whatever reason, so do its children; when one of them ends, it ends the rest and says why.
"""

import argparse
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

import uvicorn

from neuralshelf.client import connect
from neuralshelf.deployment import Deployment
from neuralshelf.engine import open_engine
from neuralshelf.engine.ports import choose_port
from neuralshelf.errors import NeuralshelfError, ServerError
from neuralshelf.gateway import create_gateway
from neuralshelf.local import events
from neuralshelf.local.detect import detector_is_there, everything, load_detector
from neuralshelf.local.model_server import ModelServer
from neuralshelf.local.state import Running, State
from neuralshelf.local.tracker import LocalTracker
from neuralshelf.objects import Finder
from neuralshelf.settings import Folders


class _Stop(BaseException):
    """Raised in the main thread when the stack is asked to end; not an Exception, so that nothing swallows it."""


def main() -> int:
    """Run one stack until SIGTERM, or until the end of stdin with `--watch`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--environment", required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--watch", action="store_true")
    words = parser.parse_args()
    folders = Folders(words.cache, words.state)
    state = State(folders.state)
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        lock = state.lock()
        if lock is None:
            raise ServerError(f"another stack is starting or up in {folders.state}", hint="neuralshelf status")
        with lock, ExitStack() as cleanup:
            if words.watch:
                threading.Thread(target=_end_with_stdin, daemon=True).start()
            _run(Deployment.load(words.config, words.environment), folders, state, cleanup)
    except _Stop:
        return 0
    except NeuralshelfError as fault:
        events.emit(event="error", message=fault.message, hint=fault.hint, exit_code=fault.exit_code)
        print(f"neuralshelf: {fault}", file=sys.stderr, flush=True)
        return fault.exit_code
    return 0


def _run(deployment: Deployment, folders: Folders, state: State, cleanup: ExitStack) -> None:
    """Start all parts, say so, and stay until one of them ends or a stop is asked for."""
    environment = deployment.environment
    engine = open_engine(environment.cluster, folders)
    server: ModelServer | None = None
    if environment.runtime.provider == "local" and environment.runtime.url is None:
        host = "127.0.0.1" if engine.host_address == "127.0.0.1" else "0.0.0.0"  # noqa: S104 - a container must reach it
        log = folders.state / "logs" / "server.log"
        runtime = environment.runtime
        server = ModelServer(
            state,
            host=host,
            cache=folders.cache,
            region=runtime.region,
            log=log,
            detector=runtime.detector,
            visual=runtime.visual_file,
            ranker=state.interactions if deployment.config.ranking else None,
        )
        cleanup.callback(server.stop)
    cleanup.callback(engine.stop)
    engine.start(events.progress)
    if server is not None:
        server.await_ready(events.progress)
    tracker = _tracker(deployment, server, state)
    page = cleanup.enter_context(_page(deployment, engine.url, state, _finder(folders.cache), tracker))
    runtime_url = f"http://{engine.host_address}:{server.port}" if server else environment.runtime.url
    running = Running(
        pid=os.getpid(),
        engine_url=engine.url,
        server_url=f"http://127.0.0.1:{server.port}" if server else environment.runtime.url,
        runtime_url=runtime_url,
        page_url=page,
    )
    cleanup.callback(state.set_running, None)
    state.set_running(running)
    events.emit(event="ready")
    while True:
        if server is not None and server.process.poll() is not None:
            raise ServerError(f"the model server ended with status {server.process.returncode}", hint="neuralshelf up")
        engine.check()
        threading.Event().wait(1.0)


def _tracker(deployment: Deployment, server: ModelServer | None, state: State) -> LocalTracker | None:
    """What keeps the views of the page: the local ranker, where it ranks and boto3 is there to tell it."""
    if server is None or deployment.config.ranking is None:
        return None
    access, secret = state.keys()
    url, region = f"http://127.0.0.1:{server.port}", deployment.environment.runtime.region
    try:
        return LocalTracker(url, region=region, access_key=access, secret_key=secret)
    except NeuralshelfError as fault:
        print(f"neuralshelf: the page keeps no views: {fault}", file=sys.stderr, flush=True)
        return None


@contextmanager
def _page(
    deployment: Deployment, engine_url: str, state: State, finder: Finder | None, tracker: LocalTracker | None
) -> Iterator[str]:
    """Serve the search page in a thread; yields its address."""
    port = choose_port(None, state.port("page"))
    cluster = deployment.environment.cluster
    gateway = create_gateway(
        connect(cluster, engine_url),
        index=deployment.config.index,
        search=deployment.config.search,
        pictures=state.picture_folders,
        public_url=engine_url if cluster.auth == "none" else None,
        finder=finder,
        ranking=deployment.config.ranking,
        tracker=tracker,
    )
    server = uvicorn.Server(uvicorn.Config(gateway, log_level="warning", lifespan="off", server_header=False))
    listener = socket.create_server(("127.0.0.1", port))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    state.remember_port("page", port)
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join(5)


def _finder(cache: Path) -> Finder | None:
    """What finds things in pictures for the page, if this machine has it: nothing is fetched for that."""
    if not detector_is_there(cache):
        return None
    try:
        return Finder(load_detector(cache), everything())
    except NeuralshelfError as fault:
        print(f"neuralshelf: the page searches with whole pictures only: {fault}", file=sys.stderr, flush=True)
        return None


def _stop(number: int, frame: FrameType | None) -> None:
    raise _Stop


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 4096):  # not sys.stdin: its lock would be held when the interpreter ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
