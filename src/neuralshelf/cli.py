"""The command line: parse, call, print, exit code. stdout is the result, stderr is progress."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neuralshelf import __version__
from neuralshelf.errors import ConfigError, EngineError, MissingDependencyError, NeuralshelfError

DEAD_LETTERS_REMAIN = 3
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns:
        0 done, 1 failed, 2 wrong usage or configuration, 3 finished with dead letters, 130 interrupted.
    """
    words = _parser().parse_args(argv)
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
        return _say(EngineError(f"OpenSearch refused or did not answer: {fault}", hint="neuralshelf status"))


def _say(fault: NeuralshelfError) -> int:
    print(f"neuralshelf: {fault}", file=sys.stderr)
    return fault.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="neuralshelf", description="Product search by meaning and by picture, done by OpenSearch itself."
    )
    parser.add_argument("--version", action="version", version=f"neuralshelf {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--config", type=Path, default=Path(os.environ.get("NEURALSHELF_CONFIG", "neuralshelf.yaml")), metavar="FILE"
    )
    common.add_argument(
        "--environment", "-e", default=os.environ.get("NEURALSHELF_ENVIRONMENT", "local"), metavar="NAME"
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=text, description=text, parents=[common])
        made.set_defaults(run=run)
        return made

    made = verb("demo", _demo, "start everything, ingest the sample catalogue, show hits, stay up till Ctrl-C")
    made.add_argument("--once", action="store_true", help="stop after the hits")
    made.add_argument("--catalogue", type=Path, default=None, metavar="FILE")
    verb("up", _up, "start engine, model server and search page, and provision")
    made = verb("down", _down, "stop what up started; data is kept")
    made.add_argument("--purge", action="store_true", help="delete the data as well")
    made = verb("status", _status, "what is up, in which version, how healthy, holding how much")
    made.add_argument("--json", action="store_true")
    verb("apply", _apply, "make the cluster hold what the configuration says")
    made = verb("ingest", _ingest, "index a catalogue (JSON lines)")
    made.add_argument("file", type=Path, metavar="FILE.jsonl")
    made.add_argument("--dry-run", action="store_true", help="read and check everything, send nothing")
    made.add_argument("--json", action="store_true")
    made = verb("search", _search, "search by text, by picture, or by both")
    made.add_argument("text", nargs="?")
    made.add_argument("--image", type=Path, metavar="FILE")
    made.add_argument("--size", type=int, default=10)
    made.add_argument("--json", action="store_true")
    made = verb("evaluate", _evaluate, "how good the answers of _search are, on judged sets of pictures")
    made.add_argument(
        "--catalogue", type=Path, metavar="FILE", help="rendered products (default: the sample catalogue)"
    )
    made.add_argument("--data", type=Path, metavar="DIR", help="folder with clothing-cc0/ and products-mit/")
    made.add_argument("--json", action="store_true")
    return parser


def _context(words: argparse.Namespace) -> tuple[Any, Any]:
    """The stack and its deployment."""
    from neuralshelf.local.stack import Stack
    from neuralshelf.provision.deployment import Deployment
    from neuralshelf.settings import Folders

    config = words.config.resolve()
    deployment = Deployment.load(config, words.environment)
    folders = Folders.default(config.parent / words.environment)
    return Stack(config, words.environment, folders), deployment


def _demo(words: argparse.Namespace) -> int:
    from neuralshelf.local.demo import demo

    stack, deployment = _context(words)
    catalogue = words.catalogue or words.config.resolve().parent / "samples" / "catalogue.jsonl"
    return demo(stack, deployment, catalogue, once=words.once)


def _up(words: argparse.Namespace) -> int:
    from neuralshelf.local.verbs import apply_deployment

    stack, deployment = _context(words)
    running, _ = stack.start()
    apply_deployment(stack, deployment)
    print(f"engine: {running.engine_url}\nserver: {running.server_url}\npage:   {running.page_url}")
    return 0


def _down(words: argparse.Namespace) -> int:
    stack, deployment = _context(words)
    print("stopped" if stack.stop() else "nothing was up", file=sys.stderr)
    if words.purge:
        stack.purge(deployment.environment.cluster)
    return 0


def _status(words: argparse.Namespace) -> int:
    from neuralshelf.local.status import status
    from neuralshelf.tables import status_table

    found = status(*_context(words))
    print(json.dumps(found, indent=2) if words.json else status_table(found))
    return 0


def _apply(words: argparse.Namespace) -> int:
    from neuralshelf.local.verbs import apply_deployment

    apply_deployment(*_context(words))
    return 0


def _ingest(words: argparse.Namespace) -> int:
    from neuralshelf.local.verbs import ingest_catalogue

    report = ingest_catalogue(*_context(words), words.file, dry_run=words.dry_run)
    if words.json:
        print(json.dumps({"format_version": 1} | report.as_dict()))
    else:
        done = "would be indexed" if words.dry_run else "indexed with their vectors"
        print(f"{report.documents} documents: {report.indexed} {done}, {report.dead_letters} dead letters")
        if report.dead_letters_file:
            print(f"causes: {report.dead_letters_file}")
    return DEAD_LETTERS_REMAIN if report.dead_letters else 0


def _search(words: argparse.Namespace) -> int:
    from neuralshelf.client import connect
    from neuralshelf.search import search
    from neuralshelf.tables import hits_table

    if not 1 <= words.size <= 100:
        raise ConfigError(f"--size {words.size} is out of range", hint="give 1 to 100")
    stack, deployment = _context(words)
    client = connect(deployment.environment.cluster, stack.engine_url(deployment))
    index, template = deployment.config.index.name, deployment.config.search.template
    hits = search(client, index, template, text=words.text, picture=words.image, size=words.size)
    if words.json:
        found = [{"id": hit.id, "score": hit.score, **hit.fields} for hit in hits]
        print(json.dumps({"format_version": 1, "hits": found}, ensure_ascii=False))
    else:
        print(hits_table(hits))
    return 0


def _evaluate(words: argparse.Namespace) -> int:
    from neuralshelf.local.verbs import evaluate_deployment
    from neuralshelf.tables import measures_table

    catalogue = words.catalogue or words.config.resolve().parent / "samples" / "catalogue.jsonl"
    found = evaluate_deployment(*_context(words), catalogue=catalogue, data=words.data)
    print(json.dumps({"format_version": 1, "sets": found}) if words.json else measures_table(found))
    return 0
