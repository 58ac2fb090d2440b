"""The verb deadletters: list, show, replay, drop."""

import argparse
import json
import shutil
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from neuralshelf.cli.context import confirm, context
from neuralshelf.errors import ConfigError, InputError

if TYPE_CHECKING:
    from neuralshelf.deployment import Deployment
    from neuralshelf.ingestion.letters.deadletters import DeadLetters

REMAIN = 3
MOST_LISTED = 10_000


def add(made: argparse.ArgumentParser) -> None:
    """Give the verb its four parts."""
    common = argparse.ArgumentParser(add_help=False)  # also behind the part; what was given before it stays
    common.add_argument("--config", type=Path, default=argparse.SUPPRESS, metavar="FILE")
    common.add_argument("--environment", "-e", default=argparse.SUPPRESS, metavar="NAME")
    parts = made.add_subparsers(required=True, metavar="list|show|replay|drop")

    part = parts.add_parser("list", help="what did not get in, the newest first", parents=[common])
    part.set_defaults(run=listed)
    part.add_argument("--code", help="of this class of causes alone")
    part.add_argument("--size", type=int, default=20, metavar="N", help="so many at most (default: 20)")
    part.add_argument("--json", action="store_true")

    part = parts.add_parser("show", help="all that is known about one document", parents=[common])
    part.set_defaults(run=show)
    part.add_argument("id", metavar="ID", help="of the document, or CATALOGUE:LINE of a row without one")
    part.add_argument("--json", action="store_true")

    part = parts.add_parser(
        "replay", help="try again what is in letters, or their rows of a catalogue", parents=[common]
    )
    part.set_defaults(run=replay)
    part.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the mended catalogue")
    part.add_argument("--pictures", metavar="SOURCE", help="where its pictures are, as for ingest")
    part.add_argument("--format", choices=("jsonl", "csv", "tsv", "parquet"), help="default: as the suffix says")
    part.add_argument("--code", help="letters of this class of causes alone")
    part.add_argument("--id", metavar="ID", help="the letter of this document alone")
    part.add_argument("--dry-run", action="store_true", help="say what would be tried, send nothing")
    part.add_argument("--json", action="store_true")

    part = parts.add_parser("drop", help="forget letters; their documents stay out", parents=[common])
    part.set_defaults(run=drop)
    which = part.add_mutually_exclusive_group(required=True)
    which.add_argument("--code", help="those of this class of causes")
    which.add_argument("--id", metavar="ID", help="that of this document")
    which.add_argument("--all", action="store_true")
    part.add_argument("--yes", action="store_true", help="don't ask")
    part.add_argument("--json", action="store_true")


def listed(words: argparse.Namespace) -> int:
    from neuralshelf.tables import letters_table

    if not 1 <= words.size <= MOST_LISTED:
        raise ConfigError(f"--size {words.size} is out of range", hint=f"give 1 to {MOST_LISTED}")
    letters, _ = _letters(words)
    codes = letters.codes()
    found = list(islice(letters.find(code=words.code, newest_first=True), words.size))
    if words.json:
        shown = [letter.as_dict() for letter in found]
        counts = {"count": sum(codes.values()), "codes": codes}
        print(json.dumps({"format_version": 1, **counts, "letters": shown}, ensure_ascii=False))
    else:
        width = shutil.get_terminal_size((120, 24)).columns
        print(letters_table(found, codes, width=width))
    return 0


def show(words: argparse.Namespace) -> int:
    from neuralshelf.tables import letter_text

    letters, _ = _letters(words)
    found = next(letters.find(document_id=words.id, documents=True), None)
    if found is None:
        raise InputError(f"there is no dead letter of {words.id!r}", hint="neuralshelf deadletters list")
    print(json.dumps({"format_version": 1, **found.as_dict()}) if words.json else letter_text(found))
    return 0


def replay(words: argparse.Namespace) -> int:
    from neuralshelf.local.letters import replay_catalogue, replay_letters
    from neuralshelf.local.loading import Options

    chosen = {"code": words.code, "document_id": words.id}
    if words.file is not None:
        options = Options(pictures=words.pictures, format=words.format, dry_run=words.dry_run)
        done = replay_catalogue(*context(words), words.file, options, **chosen)
    elif words.pictures is not None or words.format is not None:
        raise ConfigError("--pictures and --format belong to a catalogue", hint="name it: deadletters replay FILE")
    else:
        done = replay_letters(*context(words), **chosen, dry_run=words.dry_run)
    code = REMAIN if done.remaining or done.failed else 0
    if words.json:
        print(json.dumps({"format_version": 1} | done.as_dict()))
        return code
    what = "would be tried again" if words.dry_run else "replayed"
    print(f"{done.replayed} documents {what}, {done.failed} refused again, {done.remaining} dead letters remain")
    if done.superseded:
        gone = "would be dropped" if words.dry_run else "dropped"
        print(f"{len(done.superseded)} letters {gone}: the index holds something newer ({_some(done.superseded)})")
    if done.waiting:
        print(f"{done.waiting} need their catalogue, for pictures and unreadable rows: deadletters replay FILE")
    return code


def drop(words: argparse.Namespace) -> int:
    letters, deployment = _letters(words)
    chosen = {"code": words.code, "document_id": words.id}
    number = letters.count(**chosen)
    if number and not words.yes:
        confirm(f"This forgets {number} dead letters; their documents stay out.", deployment.prefix)
    dropped = letters.drop(**chosen) if number else 0
    print(json.dumps({"format_version": 1, "dropped": dropped}) if words.json else f"{dropped} dead letters dropped")
    return 0


def _letters(words: argparse.Namespace) -> "tuple[DeadLetters, Deployment]":
    from neuralshelf.ingestion.letters.deadletters import DeadLetters

    stack, deployment = context(words)
    return DeadLetters.of(stack.client(deployment), deployment), deployment


def _some(ids: tuple[str, ...]) -> str:
    return ", ".join(map(repr, ids[:5])) + (", …" if len(ids) > 5 else "")
