"""The whole chain on one machine: start, provision, ingest, search, show."""

import base64
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neuralshelf.client import connect
from neuralshelf.deployment import Deployment
from neuralshelf.errors import InputError, ServerError
from neuralshelf.local.loading import Options, ingest_catalogue
from neuralshelf.local.provisioning import apply_deployment
from neuralshelf.local.stack import Stack
from neuralshelf.local.state import Running
from neuralshelf.search import search
from neuralshelf.tables import hits_table

TEXTS = ("wine glass", "a red teapot", "something to sit on in the garden")


def demo(stack: Stack, deployment: Deployment, catalogue: Path, *, once: bool) -> int:
    """Run the demonstration; the stack is as `standing` says."""
    if not catalogue.is_file():
        raise InputError(
            f"the sample catalogue {catalogue} is not here",
            hint="run the demo in a clone of the repository, or ingest a catalogue of your own",
        )
    with standing(stack, once=once) as running:
        apply_deployment(stack, deployment)
        report = ingest_catalogue(stack, deployment, catalogue, Options())
        print(f"\n{report.indexed} products indexed with their vectors, {report.dead_letters} dead letters\n")
        client = connect(deployment.environment.cluster, running.engine_url)
        index, template = deployment.config.index.name, deployment.config.search.template
        picture, both = _pictures(catalogue)
        for title, text, image in (
            *((f'text: "{text}"', text, None) for text in TEXTS),
            (f"picture: {picture.name}", None, picture),
            (f'text and picture: "blue" + {both.name}', "blue", both),
        ):
            shown = base64.b64encode(image.read_bytes()).decode("ascii") if image else None
            found = search(client, index, template, text=text, picture=shown, size=5)
            print(f"{title}\n{hits_table(found.hits)}\n")
        print(f"search page:  {running.page_url}")
        print(f"plain search: {curl(running.engine_url, index, template)}", flush=True)
    return 0


@contextmanager
def standing(stack: Stack, *, once: bool) -> Iterator[Running]:
    """The stack, up; at the end it stays up until Ctrl-C unless `once`.

    What was started ends with this process, also when it is killed; a stack that was up before stays up.
    """
    running, supervisor = stack.start(watch=True)
    try:
        yield running
        if not once:
            print("\nstays up till Ctrl-C", file=sys.stderr)
            _wait(supervisor)
    finally:
        if supervisor is not None:
            _end(supervisor)


def curl(engine_url: str, index: str, template: str) -> str:
    """A command line that asks the same question without anything of ours."""
    body = json.dumps({"id": template, "params": {"text": "wine glass", "size": 3}})
    return f"curl -s -H 'content-type: application/json' '{engine_url}/{index}/_search/template' -d '{body}'"


def _pictures(catalogue: Path) -> tuple[Path, Path]:
    """A query picture that is no catalogue picture (another view) and one for the mixed query."""
    views = [json.loads(line) for line in catalogue.with_name("views.jsonl").read_text("utf-8").splitlines()]
    chosen: dict[str, Path] = {}
    for view in views:
        kind = view["id"].rsplit("-", 1)[0]
        chosen.setdefault(kind, catalogue.parent / view["image"])
    first = chosen.get("teapot") or next(iter(chosen.values()))
    second = chosen.get("sofa") or chosen.get("vase") or next(iter(chosen.values()))
    return first, second


def _wait(supervisor: "subprocess.Popen[str] | None") -> None:
    """Until Ctrl-C, or until the stack ends by itself (which is an error)."""
    try:
        while supervisor is None or supervisor.poll() is None:
            time.sleep(0.5)
    except KeyboardInterrupt:
        return
    raise ServerError("the stack ended by itself", hint="see logs/supervisor.log in the state folder (status shows it)")


def _end(supervisor: "subprocess.Popen[str]") -> None:
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not cut the clean stop
    try:
        print("stopping …", file=sys.stderr)
        supervisor.terminate()
        supervisor.wait()
    finally:
        signal.signal(signal.SIGINT, previous)
