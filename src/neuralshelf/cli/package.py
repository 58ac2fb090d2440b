"""The verb package: a model package and its weights into the archive that SageMaker takes."""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from neuralshelf.errors import ConfigError

if TYPE_CHECKING:
    from neuralshelf.deploy.package import Packed

Run = Callable[[argparse.Namespace], int]


def add(verb: Callable[[str, Run, str], argparse.ArgumentParser]) -> None:
    """The verb with its options."""
    made = verb(
        "package", package, "make a model.tar.gz from a model package and its weights; without a name, list them"
    )
    made.add_argument("name", nargs="?", metavar="NAME", help="a package of this list, or a folder with package.json")
    made.add_argument("--weights", type=Path, metavar="DIR", help="the weights, or one file; never downloaded")
    made.add_argument("--out", type=Path, metavar="FILE", help="the archive to write")
    made.add_argument(
        "--weights-lock", type=Path, metavar="FILE", help="SHA-256 of weights that the package doesn't know"
    )
    made.add_argument("--write-lock", type=Path, metavar="FILE", help="write such a file from --weights")
    made.add_argument("--check", type=Path, metavar="FILE", help="see whether an archive from elsewhere is safe")
    made.add_argument("--dry-run", action="store_true", help="check everything, write nothing")
    made.add_argument("--json", action="store_true")


def package(words: argparse.Namespace) -> int:
    """Do what the options together mean."""
    given = {name for name in ("name", "weights", "out", "weights_lock", "write_lock", "check") if getattr(words, name)}
    if not given:
        return _listed(words)
    if given == {"check"}:
        return _checked(words)
    if given == {"weights", "write_lock"}:
        return _locked(words)
    if given - {"weights_lock"} == {"name", "weights", "out"}:
        return _packed(words)
    raise ConfigError(
        "package wants NAME --weights DIR --out FILE, or --weights DIR --write-lock FILE, or --check FILE, or nothing",
        hint="neuralshelf package --help",
    )


def _listed(words: argparse.Namespace) -> int:
    from tabulate import tabulate

    from neuralshelf.deploy.package import packages

    found = packages().values()
    if words.json:
        print(json.dumps({"format_version": 1, "packages": [asdict(manifest) for manifest in found]}))
        return 0
    rows = [
        (manifest.name, weights.name, sum(file.bytes for file in weights.files) or "", weights.licence, weights.source)
        for manifest in found
        for weights in manifest.weights
    ]
    print(tabulate(rows, headers=("package", "weights", "bytes", "licence", "from"), disable_numparse=True))
    return 0


def _checked(words: argparse.Namespace) -> int:
    from neuralshelf.deploy.package import inspect
    from neuralshelf.local.progress import Progress

    with Progress() as progress:
        found = inspect(words.check, progress.update)
    return _tell(found, words)


def _locked(words: argparse.Namespace) -> int:
    from neuralshelf.deploy.package import write_lock
    from neuralshelf.local.progress import Progress

    with Progress() as progress:
        found = write_lock(words.weights, words.write_lock, progress.update, dry_run=words.dry_run)
    if words.json:
        print(json.dumps({"format_version": 1, "lock": str(words.write_lock), "files": found}))
    else:
        print("\n".join(f"{sha256}  {name}" for name, sha256 in found.items()))
    return 0


def _packed(words: argparse.Namespace) -> int:
    from neuralshelf.deploy.package import pack
    from neuralshelf.local.progress import Progress

    with Progress() as progress:
        done = pack(
            words.name, words.weights, words.out, lock=words.weights_lock, dry_run=words.dry_run, tell=progress.update
        )
    return _tell(done, words)


def _tell(done: "Packed", words: argparse.Namespace) -> int:
    if words.json:
        print(json.dumps({"format_version": 1} | asdict(done)))
        return 0
    for name, size in done.files.items():
        print(f"{size:>14,}  {name}")
    what = f"{done.archive}, weights {done.weights}" if done.weights else done.archive
    print(f"{done.bytes:>14,}  {what}{f', SHA-256 {done.sha256}' if done.sha256 else ' (not written)'}")
    return 0
