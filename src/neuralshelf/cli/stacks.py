"""The verb stacks: CloudFormation stacks of a deployment, or the same for Terraform."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from neuralshelf.cli.context import context
from neuralshelf.errors import ConfigError

Run = Callable[[argparse.Namespace], int]


def add(verb: Callable[[str, Run, str], argparse.ArgumentParser]) -> None:
    """The verb with its options."""
    made = verb(
        "stacks", stacks, "write CloudFormation stacks: domain, models, access, and a quick start with all three"
    )
    made.add_argument("--out", type=Path, metavar="DIR", help="where they go")
    made.add_argument("--terraform", type=Path, metavar="DIR", help="the same policies and names for Terraform")
    made.add_argument("--json", action="store_true")


def stacks(words: argparse.Namespace) -> int:
    from neuralshelf.deploy.stacks import Stacks
    from neuralshelf.deploy.terraform import terraform_files
    from neuralshelf.files import write_files

    _, deployment = context(words)
    if words.out is None and words.terraform is None:
        raise ConfigError("nowhere to write to", hint="give --out DIR, --terraform DIR, or both")
    made = Stacks(deployment)
    written = write_files(made.texts(), words.out) if words.out else []
    written += write_files(terraform_files(made), words.terraform) if words.terraform else []
    if words.json:
        files = [str(file) for file in written]
        print(json.dumps({"format_version": 1, "files": files, "uploads": made.uploads()}, ensure_ascii=False))
        return 0
    for file in written:
        print(file)
    for url, archive in made.uploads().items():
        print(f"before CreateEndpoints=true, once the bucket is there: aws s3 cp {archive} {url}")
    return 0
