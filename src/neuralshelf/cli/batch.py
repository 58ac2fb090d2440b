"""The verb batch: a catalogue embedded by transform jobs of SageMaker, and indexed."""

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
    from neuralshelf.local.batch.run import Batched

Run = Callable[[argparse.Namespace], int]


def add(verb: Callable[[str, Run, str], argparse.ArgumentParser]) -> None:
    """The verb with its options."""
    made = verb("batch", batch, "embed a catalogue by SageMaker batch transform, and index it; run it again to go on")
    made.add_argument("file", type=Path, metavar="CATALOGUE")
    pictures = made.add_mutually_exclusive_group()
    pictures.add_argument(
        "--pictures", metavar="SOURCE", help="folder, .zip, .tar or s3://BUCKET/PREFIX (default: the file's folder)"
    )
    pictures.add_argument(
        "--from-s3", metavar="s3://BUCKET/PREFIX", help="embed the pictures there as they are, without sending them"
    )
    made.add_argument("--format", choices=("jsonl", "csv", "tsv", "parquet"), help="default: as the suffix says")
    for kind in ("connector", "endpoint"):
        made.add_argument(
            f"--{kind}", dest="only", action="append", default=[], metavar="NAME", help="only its vectors (again: more)"
        )
    made.add_argument("--instance-type", default="ml.c6i.xlarge", metavar="TYPE", help="default: ml.c6i.xlarge")
    made.add_argument("--instances", type=int, default=1, metavar="N", help="of each job (default: 1)")
    made.add_argument("--wait", type=float, default=1440, metavar="MINUTES", help="the most to wait (default: a day)")
    made.add_argument("--keep", action="store_true", help="leave requests and answers in S3 and on this machine")
    made.add_argument(
        "--through-opensearch", action="store_true", help="let the cluster start the jobs (connectors with batch: true)"
    )
    made.add_argument("--dry-run", action="store_true", help="write the requests, show the calls, start nothing")
    made.add_argument("--full-speed", action="store_true", help="don't slow down when searches get slower meanwhile")
    made.add_argument("--json", action="store_true")


def batch(words: argparse.Namespace) -> int:
    from neuralshelf.local.batch.run import BatchOptions, batch_catalogue
    from neuralshelf.local.loading import Options

    if not 1 <= words.instances <= 100:
        raise ConfigError(f"--instances {words.instances} is not from 1 to 100", hint="neuralshelf batch --help")
    options = Options(pictures=words.pictures, format=words.format, dry_run=words.dry_run, full_speed=words.full_speed)
    chosen = BatchOptions(
        only=words.only,
        from_s3=words.from_s3,
        instance_type=words.instance_type,
        instances=words.instances,
        minutes=words.wait,
        keep=words.keep,
        through_opensearch=words.through_opensearch,
    )
    done = batch_catalogue(*context(words), words.file, options, chosen)
    for example in done.requests.examples:
        print(f"neuralshelf: {example}", file=sys.stderr)
    print(json.dumps({"format_version": 1} | done.as_dict(), ensure_ascii=False) if words.json else _text(done))
    return DEAD_LETTERS_REMAIN if done.filled is not None and done.filled.dead_letters else 0


def _text(done: "Batched") -> str:
    from neuralshelf.tables import ingest_text

    if done.filled is None:
        made = ", ".join(f"{count} {name}" for name, count in done.requests.made.items())
        calls = "\n".join(f"CreateTransformJob {json.dumps(call, indent=2)}" for call in done.calls)
        return f"{calls}\nrequests: {made or 'none'}; nothing was sent"
    lines = [
        f"{job.name}: {job.status}, {job.files - job.unanswered} of {job.files} files answered, "
        f"{job.seconds} s on {job.instances} x {job.instance_type}"
        for job in done.jobs
    ]
    filled = done.filled
    lines += [
        f"{filled.vectors} vectors, {filled.faulty} faulty lines, {filled.unknown} ids that are not in the catalogue",
        f"documents with all vectors: {filled.complete}, with some: {filled.partly}, with none: {filled.without}",
        ingest_text(filled.report),
    ]
    return "\n".join(lines)
