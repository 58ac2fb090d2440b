"""The verb cluster: products that look or read alike get the same number."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from neuralshelf.cli.context import context
from neuralshelf.errors import ConfigError

Run = Callable[[argparse.Namespace], int]


def add(verb: Callable[[str, Run, str], argparse.ArgumentParser]) -> None:
    """The verb with its options."""
    made = verb("cluster", cluster, "number the products of the index by clusters of one of their vectors")
    made.add_argument("what", nargs="?", choices=("apply",), help="find none: number by the clusters that there are")
    made.add_argument(
        "--k", type=int, metavar="N", help="how many (default: as many as before; at first the best of several)"
    )
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--fresh", action="store_true", help="begin anew instead of where the clusters are")
    made.add_argument("--dry-run", action="store_true", help="show the clusters, write nothing")
    made.add_argument("--html", type=Path, metavar="FILE", help="write them as one page, with pictures of products")
    made.add_argument("--images", type=Path, metavar="DIR", help="for the page: where image_path is to be found")
    made.add_argument("--json", action="store_true")


def cluster(words: argparse.Namespace) -> int:
    from neuralshelf.local.clusters import cluster_index, write_page
    from neuralshelf.personalisation.numbering import Options
    from neuralshelf.tables import clusters_text

    if words.seed < 0:
        raise ConfigError(f"--seed {words.seed} is out of range", hint="give 0 or more")
    if words.images is not None:
        if words.html is None:
            raise ConfigError("--images without --html", hint="give --html FILE, the page that shows the pictures")
        if not words.images.is_dir():
            raise ConfigError(f"--images {words.images} is no folder", hint="give the folder of the pictures")
    chosen = {name: getattr(words, name) for name in ("k", "seed", "fresh", "dry_run")}
    stack, deployment = context(words)
    found = cluster_index(stack, deployment, Options(**chosen, assign=words.what == "apply"))
    if words.html is not None:
        write_page(words.html, stack, found, images=words.images, dry_run=words.dry_run)
    if words.json:
        print(json.dumps({"format_version": 3} | found.as_dict(), ensure_ascii=False))
    else:
        print(clusters_text(found, dry_run=words.dry_run))
    return 0
