"""The verb interactions: what people did with products, which is what the local ranker goes by."""

import argparse
import json
import time
from datetime import UTC, datetime
from pathlib import Path

from neuralshelf.cli.context import confirm, context

DAY = 86_400


def add(made: argparse.ArgumentParser) -> None:
    """Give the verb its parts, and the same parts as options of its own, several of which make one call."""
    made.add_argument("--import", dest="file", type=Path, metavar="FILE", help="as import FILE")
    made.add_argument("--export", dest="out", type=Path, metavar="FILE.csv", help="as export --out FILE.csv")
    made.add_argument("--forget", dest="user", metavar="USER", help="as forget USER")
    made.add_argument("--prune", dest="days", type=_days, metavar="DAYS", help="as prune --days DAYS")
    made.add_argument("--yes", action="store_true", help="don't ask")
    made.add_argument("--dry-run", action="store_true", help="of an import: keep nothing")
    made.add_argument("--json", action="store_true", help="of an import, or of how many there are")
    common = argparse.ArgumentParser(add_help=False)  # also behind the part; what was given before it stays
    common.add_argument("--config", type=Path, default=argparse.SUPPRESS, metavar="FILE")
    common.add_argument("--environment", "-e", default=argparse.SUPPRESS, metavar="NAME")
    parts = made.add_subparsers(metavar="import|export|status|forget|prune")

    part = parts.add_parser("import", help="keep those of a log, JSON lines or CSV", parents=[common])
    part.set_defaults(run=imported)
    part.add_argument("file", type=Path, metavar="FILE")
    part.add_argument("--dry-run", action="store_true", help="read and look up everything, keep nothing")
    part.add_argument("--json", action="store_true")

    part = parts.add_parser("export", help="write them as Amazon Personalize reads them", parents=[common])
    part.set_defaults(run=export)
    part.add_argument("--out", type=Path, required=True, metavar="FILE.csv")

    part = parts.add_parser("status", help="how many there are, of whom and since when", parents=[common])
    part.set_defaults(run=status)
    part.add_argument("--json", action="store_true")

    part = parts.add_parser("forget", help="delete all of one person", parents=[common])
    part.set_defaults(run=forget)
    part.add_argument("user", metavar="USER")
    part.add_argument("--yes", action="store_true", help="don't ask")

    part = parts.add_parser("prune", help="delete what is older than a number of days", parents=[common])
    part.set_defaults(run=prune)
    part.add_argument("--days", type=_days, required=True, metavar="N")
    part.add_argument("--yes", action="store_true", help="don't ask")


def several(words: argparse.Namespace) -> int:
    """What the verb does without a part: all that its options ask for, else the summary."""
    asked = {imported: words.file, export: words.out, forget: words.user, prune: words.days}
    for part in [part for part, value in asked.items() if value is not None] or [status]:
        part(words)
    return 0


def imported(words: argparse.Namespace) -> int:
    from neuralshelf.local.interactions import import_file

    found = import_file(*context(words), words.file, dry_run=words.dry_run)
    if words.json:
        print(json.dumps({"format_version": 1} | found.as_dict(), ensure_ascii=False))
        return 0
    kept = "nothing kept" if words.dry_run else f"{found.added} new"
    print(f"{found.rows} interactions of {found.file}: {kept}, {found.unknown} with products that have no {found.item}")
    if found.missing:
        print(f"such as {', '.join(found.missing)}")
    return 0


def export(words: argparse.Namespace) -> int:
    from neuralshelf.local.interactions import export_file

    stack, _ = context(words)
    print(f"{export_file(stack, words.out)} interactions in {words.out}")
    return 0


def status(words: argparse.Namespace) -> int:
    from neuralshelf.local.interactions import opened

    stack, _ = context(words)
    with opened(stack) as store:
        found = store.summary()
    if words.json:
        print(json.dumps({"format_version": 1, **vars(found)}))
    else:
        since = f", {_date(found.first)} to {_date(found.last)}" if found.first and found.last else ""
        print(f"{found.interactions} interactions of {found.users} people with {found.items} items{since}")
    return 0


def forget(words: argparse.Namespace) -> int:
    from neuralshelf.local.interactions import opened

    stack, _ = context(words)
    if not words.yes:
        confirm(f"this deletes all interactions of {words.user}", words.user)
    with opened(stack) as store:
        print(f"{store.forget(words.user)} interactions of {words.user} deleted")
    return 0


def prune(words: argparse.Namespace) -> int:
    from neuralshelf.local.interactions import opened

    stack, deployment = context(words)
    if not words.yes:
        confirm(f"this deletes all interactions older than {words.days} days", deployment.prefix)
    with opened(stack) as store:
        print(f"{store.prune(time.time() - words.days * DAY)} interactions deleted")
    return 0


def _days(text: str) -> float:
    number = float(text)
    if not 0 <= number < 100_000:
        raise argparse.ArgumentTypeError(f"{text} is no number of days")
    return number


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
