"""The verbs for vectors that are made in bulk: embed and backfill."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from neuralshelf.cli.context import context
from neuralshelf.cli.searching import DEAD_LETTERS_REMAIN
from neuralshelf.errors import ConfigError

if TYPE_CHECKING:
    from neuralshelf.ingestion.vectors.transform import Tally
    from neuralshelf.local.loading import Options

Run = Callable[[argparse.Namespace], int]


def add(verb: Callable[[str, Run, str], argparse.ArgumentParser]) -> None:
    """Both verbs with their options."""
    made = verb("embed", embed, "embed a catalogue with the models of this machine, into a file")
    made.add_argument("file", type=Path, metavar="FILE")
    made.add_argument("--out", type=Path, required=True, metavar="VECTORS.jsonl", help="gone on with when it is there")
    _catalogue(made)
    made = verb("backfill", backfill, "index a catalogue with vectors that were made in bulk")
    made.add_argument("file", type=Path, metavar="FILE")
    made.add_argument("vectors", nargs="*", type=Path, metavar="VECTORS", help="files, or folders of them")
    made.add_argument(
        "--requests", type=Path, metavar="DIR", help="write the input of SageMaker batch transforms instead"
    )
    made.add_argument("--vector", metavar="FIELD", help="whose the vectors are, where lines don't say it")
    made.add_argument("--only-given", action="store_true", help="leave rows out that lack a vector")
    made.add_argument("--seed", type=int, help="of the choice of vectors that are compared with the deployed models")
    made.add_argument("--dry-run", action="store_true", help="read and check everything, send nothing")
    made.add_argument("--restart", action="store_true", help="from the first row, wherever a run before was stopped")
    made.add_argument("--full-speed", action="store_true", help="don't slow down when searches get slower meanwhile")
    _catalogue(made)


def _catalogue(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--pictures", metavar="SOURCE", help="folder, .zip, .tar or s3://BUCKET/PREFIX (default: the file's folder)"
    )
    made.add_argument("--format", choices=("jsonl", "csv", "tsv", "parquet"), help="default: as the suffix says")
    made.add_argument("--json", action="store_true")


def embed(words: argparse.Namespace) -> int:
    from neuralshelf.local.backfill import embed_catalogue

    done = embed_catalogue(*context(words), words.file, words.out, _options(words))
    return _tell(done, words, f"in {words.out}")


def backfill(words: argparse.Namespace) -> int:
    from neuralshelf.local.backfill import Vectors, backfill_catalogue, request_catalogue
    from neuralshelf.tables import ingest_text

    stack, deployment = context(words)
    options = _options(words)
    if bool(words.requests) == bool(words.vectors):
        raise ConfigError("give VECTORS or --requests DIR", hint="neuralshelf backfill --help")
    if words.requests:
        done = request_catalogue(deployment, words.file, words.requests, options)
        return _tell(done, words, f"requests below {words.requests}, a folder a model")
    given = Vectors(words.vectors, words.vector, words.only_given, words.seed)
    found = backfill_catalogue(stack, deployment, words.file, given, options)
    if words.json:
        print(json.dumps({"format_version": 1} | found.as_dict(), ensure_ascii=False))
    else:
        print(
            f"{found.vectors} vectors ({found.repeated} repeated), {found.faulty} faulty lines, "
            f"{found.unknown} ids that are not in the catalogue{_listed(found.unknown_ids)}"
        )
        print(f"documents with all vectors: {found.complete}, with some: {found.partly}, with none: {found.without}")
        print(ingest_text(found.report, dry_run=words.dry_run))
    return DEAD_LETTERS_REMAIN if found.dead_letters else 0


def _listed(ids: tuple[str, ...]) -> str:
    return f": {', '.join(ids[:5])}{', …' if len(ids) > 5 else ''}" if ids else ""


def _options(words: argparse.Namespace) -> "Options":
    from neuralshelf.local.loading import Options

    chosen = {name: getattr(words, name, False) for name in ("dry_run", "restart", "full_speed")}
    return Options(pictures=words.pictures, format=words.format, **chosen)


def _tell(done: "Tally", words: argparse.Namespace, where: str) -> int:
    for example in done.examples:
        print(f"neuralshelf: {example}", file=sys.stderr)
    if words.json:
        print(json.dumps({"format_version": 1} | done.as_dict(), ensure_ascii=False))
    else:
        made = ", ".join(f"{count} {name}" for name, count in done.made.items()) or "nothing new"
        print(f"{made} {where}; {done.skipped} documents were there, {sum(done.refused.values())} refused")
    return DEAD_LETTERS_REMAIN if done.refused else 0
