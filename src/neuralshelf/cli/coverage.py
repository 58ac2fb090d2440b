"""The verbs coverage and repair: which vectors are wrong, and making them again."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from neuralshelf.cli.context import context
from neuralshelf.errors import ConfigError

if TYPE_CHECKING:
    from neuralshelf.local.loading import Options

Run = Callable[[argparse.Namespace], int]

FAILED = 1
MOST_DEEP = 10_000


def add(verb: Callable[[str, Run, str], argparse.ArgumentParser]) -> None:
    """Both verbs with their options."""
    made = verb("coverage", coverage, "which documents lack a vector, or have one of another text, picture or model")
    made.add_argument("--deep", type=int, default=0, metavar="N", help="also embed the texts of N documents again")
    _catalogue(made, "a line for each finding, as JSON")
    made = verb("repair", repair, "make vectors again that coverage finds missing or wrong")
    made.add_argument("--dry-run", action="store_true", help="say what would be mended, write nothing")
    _catalogue(made, "a line for each document that can't be mended, as JSON")


def _catalogue(made: argparse.ArgumentParser, ids: str) -> None:
    made.add_argument("--catalogue", type=Path, metavar="FILE", help="what should be indexed, with its pictures")
    made.add_argument("--pictures", metavar="SOURCE", help="where they are, as for ingest")
    made.add_argument("--format", choices=("jsonl", "csv", "tsv", "parquet"), help="default: as the suffix says")
    made.add_argument("--ids", type=Path, metavar="FILE", help=ids)
    made.add_argument("--json", action="store_true")


def coverage(words: argparse.Namespace) -> int:
    from neuralshelf.local.coverage import coverage as look
    from neuralshelf.tables import coverage_text

    if not 0 <= words.deep <= MOST_DEEP:
        raise ConfigError(f"--deep {words.deep} is out of range", hint=f"give 0 to {MOST_DEEP}")
    options = _options(words)
    found = look(*context(words), catalogue=words.catalogue, options=options, deep=words.deep, ids=words.ids)
    if words.json:
        print(json.dumps({"format_version": 1} | found.as_dict(), ensure_ascii=False))
    else:
        print(coverage_text(found))
    return FAILED if found.problems else 0


def repair(words: argparse.Namespace) -> int:
    from neuralshelf.local.coverage import repair as mend
    from neuralshelf.tables import repair_text

    done = mend(*context(words), catalogue=words.catalogue, options=_options(words), ids=words.ids)
    if words.json:
        print(json.dumps({"format_version": 1} | done.as_dict(), ensure_ascii=False))
    else:
        print(repair_text(done, dry_run=words.dry_run))
    return FAILED if done.left else 0


def _options(words: argparse.Namespace) -> "Options":
    from neuralshelf.local.loading import Options

    if words.catalogue is None and (words.pictures or words.format):
        raise ConfigError("--pictures and --format belong to a catalogue", hint="give --catalogue FILE")
    return Options(pictures=words.pictures, format=words.format, dry_run=getattr(words, "dry_run", False))
