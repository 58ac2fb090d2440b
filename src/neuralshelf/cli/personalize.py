"""The verb personalize: a campaign of Amazon Personalize that ranks hits, made, looked at, taken away."""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from neuralshelf.cli.context import confirm, context
from neuralshelf.cli.deploy import calls_text, login, print_calls, watched

if TYPE_CHECKING:
    from neuralshelf.deploy.personalize.data import Data
    from neuralshelf.deploy.personalize.provisioner import Provisioner
    from neuralshelf.deploy.personalize.wanted import Wanted

INCOMPLETE = 1


def add(made: argparse.ArgumentParser) -> None:
    """Give the verb its parts."""
    common = argparse.ArgumentParser(add_help=False)  # also behind the part; what was given before it stays
    common.add_argument("--config", type=Path, default=argparse.SUPPRESS, metavar="FILE")
    common.add_argument("--environment", "-e", default=argparse.SUPPRESS, metavar="NAME")
    parts = made.add_subparsers(required=True, metavar="up|status|down|forget")

    part = parts.add_parser("up", help="make all of it, and learn from new interactions", parents=[common])
    part.set_defaults(run=up)
    part.add_argument(
        "--data", type=Path, metavar="FILE.csv", help="as interactions export writes it (default: those kept here)"
    )
    part.add_argument("--dry-run", action="store_true", help="print the calls that would change something")
    _waiting(part)

    part = parts.add_parser(
        "status", help="what is there, in which state; 1 when something is missing", parents=[common]
    )
    part.set_defaults(run=status)
    part.add_argument("--json", action="store_true")

    part = parts.add_parser("down", help="delete everything that up has made", parents=[common])
    part.set_defaults(run=down)
    part.add_argument("--yes", action="store_true", help="don't ask")
    part.add_argument("--dry-run", action="store_true", help="print the calls that would delete something")
    _waiting(part)

    part = parts.add_parser("forget", help="delete all of one person, here and there", parents=[common])
    part.set_defaults(run=forget)
    part.add_argument("user", metavar="USER")
    part.add_argument("--yes", action="store_true", help="don't ask")
    _waiting(part)


def _waiting(part: argparse.ArgumentParser) -> None:
    part.add_argument("--timeout", type=float, default=14_400.0, metavar="SECONDS", help="for a step (default: 14400)")
    part.add_argument("--json", action="store_true")


def up(words: argparse.Namespace) -> int:
    with _provisioner(words) as provisioner, _data(words, provisioner.wanted) as data:
        calls = provisioner.plan_up(data) if words.dry_run else provisioner.up(data)
        found = provisioner.observe()
    campaign = provisioner.wanted.arns["campaign"]
    if words.json:
        print_calls(calls, campaign_arn=campaign, tracking_id=found.tracking)
    else:
        print(calls_text(calls, words.dry_run))
        if not words.dry_run:
            print(f"{campaign} answers; PutEvents goes to tracking id {found.tracking}")
    return 0


def status(words: argparse.Namespace) -> int:
    with _provisioner(words) as provisioner:
        found = provisioner.observe()
    served = found.campaign is not None and found.campaign.status in ("ACTIVE", "UPDATE IN_PROGRESS", "UPDATE PENDING")
    if words.json:
        things = [{"what": each.subject, "status": each.status, "reason": each.reason} for each in found.things]
        found_json = {"served": served, "tracking_id": found.tracking, "things": things}
        print(json.dumps({"format_version": 1, "campaign_arn": provisioner.wanted.arns["campaign"], **found_json}))
    else:
        for each in found.things:
            print(f"{each.status:<19}{each.subject}{': ' + each.reason if each.reason else ''}")
        if not served:
            print(f"no campaign {provisioner.wanted.campaign} answers; next: neuralshelf personalize up")
    return 0 if served else INCOMPLETE


def down(words: argparse.Namespace) -> int:
    with _provisioner(words) as provisioner:
        planned = provisioner.plan_down()
        if planned and not words.dry_run and not words.yes:
            print(calls_text(planned, True), file=sys.stderr)
            confirm("This deletes the campaign and all interactions on AWS.", provisioner.wanted.names.prefix)
        calls = planned if words.dry_run else provisioner.down()
    if words.json:
        print_calls(calls)
    else:
        print(calls_text(calls, words.dry_run))
    return 0


def forget(words: argparse.Namespace) -> int:
    from neuralshelf.local.interactions import opened

    stack, _ = context(words)
    with _provisioner(words) as provisioner:
        if not words.yes:
            confirm(f"this deletes all interactions of {words.user}, here and on AWS", words.user)
        with opened(stack) as store:
            here = store.forget(words.user)
        calls = provisioner.forget(words.user)
    if words.json:
        print_calls(calls, deleted_here=here)
    else:
        print(f"{here} interactions of {words.user} deleted here; Personalize deletes its own within a day")
    return 0


@contextmanager
def _data(words: argparse.Namespace, wanted: "Wanted") -> "Iterator[Data]":
    """What is learned from: the file that was given, or what this machine keeps."""
    from neuralshelf.deploy.personalize.data import Data
    from neuralshelf.local.interactions import export_file

    if words.data:
        yield Data.read(words.data, wanted.columns)
        return
    stack, _ = context(words)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "interactions.csv"
        export_file(stack, file)
        yield Data.read(file, wanted.columns)


@contextmanager
def _provisioner(words: argparse.Namespace) -> "Iterator[Provisioner]":
    from neuralshelf.deploy.personalize.provisioner import Provisioner
    from neuralshelf.deploy.personalize.wanted import Wanted, campaign_name
    from neuralshelf.deployment import Deployment

    campaign_name(Deployment.load(words.config.resolve(), words.environment))  # before anybody has to log in
    aws, desired, _ = login(words)
    with watched() as (tell, watch):
        timeout = getattr(words, "timeout", 0.0)
        yield Provisioner(aws, Wanted.of(desired), tell=tell, watch=watch, timeout=timeout)
