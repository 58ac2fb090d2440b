"""All verbs with their options."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from neuralshelf import __version__
from neuralshelf.cli import (
    backfill,
    batch,
    care,
    check_query,
    cluster,
    cost,
    coverage,
    deploy,
    detect,
    evaluate,
    example,
    interactions,
    letters,
    local,
    migrate,
    package,
    personalize,
    provision,
    searching,
    stacks,
    tune,
)

Run = Callable[[argparse.Namespace], int]


def parser() -> argparse.ArgumentParser:
    """The parser of the command `neuralshelf`; what it returns has the verb's function as `run`."""
    made = argparse.ArgumentParser(
        prog="neuralshelf", description="Product search by meaning and by picture, done by OpenSearch itself."
    )
    made.add_argument("--version", action="version", version=f"neuralshelf {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--config", type=Path, default=Path(os.environ.get("NEURALSHELF_CONFIG", "neuralshelf.yaml")), metavar="FILE"
    )
    common.add_argument(
        "--environment", "-e", default=os.environ.get("NEURALSHELF_ENVIRONMENT", "local"), metavar="NAME"
    )
    verbs = made.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, run: Run, text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text, parents=[common])
        added.set_defaults(run=run)
        return added

    _local(verb)
    _provision(verb)
    _migrate(verb)
    _care(verb)
    _searching(verb)
    deploy.add(verb)
    personalize.add(verb("personalize", personalize.status, "a campaign of Amazon Personalize for this environment"))
    stacks.add(verb)
    cost.add(verb)
    return made


Verb = Callable[[str, Run, str], argparse.ArgumentParser]


def _local(verb: Verb) -> None:
    made = verb("demo", local.demo, "start everything, ingest the sample catalogue, show hits, stay up till Ctrl-C")
    made.add_argument("--once", action="store_true", help="stop after the hits")
    made.add_argument("--catalogue", type=Path, default=None, metavar="FILE")
    example.add(verb)
    verb("up", local.up, "start engine, model server and search page, and provision")
    made = verb("down", local.down, "stop what up started; data is kept")
    made.add_argument("--purge", action="store_true", help="delete the data as well")
    made = verb("status", local.status, "what is up, in which version, how healthy, holding how much")
    made.add_argument("--json", action="store_true")


def _provision(verb: Verb) -> None:
    made = verb("plan", provision.plan, "what apply would change, path by path; changes nothing")
    made.add_argument("--out", type=Path, metavar="FILE", help="save the plan for apply")
    made.add_argument("--adopt", action="store_true", help="take over objects that bear our names and no marker")
    made.add_argument("--detailed-exitcode", action="store_true", help="2 when there are changes")
    made.add_argument("--json", action="store_true")
    made = verb("apply", provision.apply, "make the cluster hold what the configuration says")
    made.add_argument("plan", nargs="?", type=Path, metavar="PLAN", help="carry out exactly this saved plan")
    made.add_argument("--adopt", action="store_true", help="take over objects that bear our names and no marker")
    made.add_argument("--json", action="store_true")
    made = verb("drift", provision.drift, "what somebody has changed in the cluster by hand")
    made.add_argument("--detailed-exitcode", action="store_true", help="2 when there is some")
    made.add_argument("--json", action="store_true")
    made = verb("destroy", provision.destroy, "take everything of this deployment away, documents included")
    made.add_argument("--yes", action="store_true", help="don't ask")
    made.add_argument("--dry-run", action="store_true", help="show what would go")
    made.add_argument("--json", action="store_true")
    made = verb("unlock", provision.unlock, "take the lock away from a writer that is surely dead")
    made.add_argument("id", metavar="ID", help="as the refused verb named it")


def _migrate(verb: Verb) -> None:
    made = verb("migrate", migrate.migrate, "another embedding model while reads and writes go on")
    what = made.add_mutually_exclusive_group()
    what.add_argument("--status", action="store_true", help="how far it is")
    what.add_argument("--rollback", action="store_true", help="search the old index again, with newer writes")
    what.add_argument("--finish", action="store_true", help="delete the old index and its models")
    made.add_argument("--queries", type=Path, metavar="FILE.jsonl", help="judged queries for the quality gate")
    made.add_argument("--tolerance", type=float, default=0.02, help="how much less recall@10 may be (default: 0.02)")
    made.add_argument("--accept-worse", action="store_true", help="swap even then")
    made.add_argument("--catalogue", type=Path, metavar="FILE.jsonl", help="where the pictures are")
    made.add_argument("--without-pictures", action="store_true", help="swap although pictures are nowhere")
    made.add_argument("--yes", action="store_true", help="don't ask before --finish")
    made.add_argument("--json", action="store_true")


def _care(verb: Verb) -> None:
    made = verb("verify", care.verify, "whether models, pipelines and index fit each other, asked of every node")
    made.add_argument("--json", action="store_true")
    made = verb("doctor", care.doctor, "what is wrong with cluster, models or deployment, and what to do about it")
    made.add_argument("--json", action="store_true")
    made = verb("rotate", care.rotate, "new credentials, endpoint or client settings into live connectors")
    made.add_argument("--force", action="store_true", help="replace all connectors, changed or not")
    made.add_argument("--watch", action="store_true", help="go on until Ctrl-C, rotating when something has changed")
    made.add_argument("--every", type=float, metavar="SECONDS", help="how often --watch looks (default: 60)")
    made.add_argument("--json", action="store_true")
    made = verb("roles", care.roles, "least-privilege roles of the security plugin for this deployment")
    made.add_argument("--out", type=Path, metavar="DIR", help="write a file a role instead of printing them")


def _searching(verb: Verb) -> None:
    made = verb("ingest", searching.ingest, "index a catalogue: JSON lines, CSV or Parquet")
    made.add_argument("file", type=Path, metavar="FILE")
    made.add_argument(
        "--pictures", metavar="SOURCE", help="folder, .zip, .tar or s3://BUCKET/PREFIX (default: the file's folder)"
    )
    made.add_argument("--format", choices=("jsonl", "csv", "tsv", "parquet"), help="default: as the suffix says")
    made.add_argument("--dry-run", action="store_true", help="read and check everything, send nothing")
    made.add_argument("--restart", action="store_true", help="from the first row, wherever a run before was stopped")
    made.add_argument("--full-speed", action="store_true", help="don't slow down when searches get slower meanwhile")
    made.add_argument("--json", action="store_true")
    backfill.add(verb)
    package.add(verb)
    batch.add(verb)
    coverage.add(verb)
    cluster.add(verb)
    interactions.add(verb("interactions", interactions.several, "what people did with products"))
    letters.add(verb("deadletters", letters.listed, "what could not be indexed, and why"))
    made = verb("search", searching.search, "search by text, by picture, or by both")
    made.add_argument("text", nargs="?")
    made.add_argument("--image", type=Path, metavar="FILE")
    which = made.add_mutually_exclusive_group()
    which.add_argument(
        "--pick", type=int, metavar="N", help="search with this thing in the picture, numbered by detect"
    )
    which.add_argument("--box", metavar="CX,CY,W,H", help="search with this part of the picture")
    made.add_argument("--prompt", metavar="WORDS", help='search with the thing of that name: "shoes . mugs"')
    made.add_argument("--size", type=int, default=10)
    made.add_argument("--user", metavar="NAME", help="in the order of this person, and why each hit is where it is")
    made.add_argument("--user-weight", type=float, metavar="W", help="of preference, 0 to 1 (default: as configured)")
    made.add_argument("--json", action="store_true")
    check_query.add(verb)
    detect.add(verb)
    evaluate.add(verb)
    tune.add(verb)
