"""What `interactions` does: the local ranker's store, filled, exported, forgotten."""

import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from neuralshelf.connectors.ranking import RankingSpec
from neuralshelf.deployment import Deployment
from neuralshelf.errors import ConfigError, InputError
from neuralshelf.files import replacing
from neuralshelf.local.stack import Stack
from neuralshelf.model_packages.ranker.store import Interactions
from neuralshelf.personalisation.interactions import (
    read_interactions,
    rekeyed,
    values_of,
    write_personalize,
)


@dataclass(frozen=True)
class Imported:
    """What came of a file.

    Attributes:
        rows: interactions in it.
        added: of them, those that were not there yet.
        unknown: of them, those with items that the index does not have.
        missing: some of these items, those with the most rows first.
    """

    file: str
    item: str
    rows: int
    added: int
    unknown: int
    missing: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


@contextmanager
def opened(stack: Stack) -> Iterator[Interactions]:
    """The store of this deployment, made if it isn't there.

    Raises:
        InputError: the file is no such store, or can't be used.
    """
    path = stack.state.interactions
    try:
        store = Interactions(path)
    except (OSError, sqlite3.Error) as fault:
        raise InputError(f"interactions {path}: {fault}", hint="move that file away, then import again") from None
    try:
        yield store
    except sqlite3.Error as fault:
        raise InputError(f"interactions {path}: {fault}", hint="make room, or stop what writes to it") from None
    finally:
        store.close()


def import_file(stack: Stack, deployment: Deployment, path: Path, *, dry_run: bool = False) -> Imported:
    """Keep a log's interactions with what is ranked in the place of their products; a second time adds nothing.

    Raises:
        ConfigError: the configuration ranks nothing.
        InputError: the file or a row of it can't be used. What stands before that row is kept.
        EngineError: the index can't be read.
    """
    index, spec = deployment.config.index, ranking_of(deployment)
    rekey = values_of(stack.client(deployment), index.name, spec.item, index.product)
    rows, added, unknown = 0, 0, Counter[str]()
    with (
        opened(stack) as store,
        tqdm(desc="interactions", unit=" rows", file=sys.stderr, disable=not sys.stderr.isatty()) as bar,
    ):
        for group in rekeyed(read_interactions(path, time.time()), rekey):
            count = len(group.interactions) + sum(group.unknown.values())
            rows += count
            unknown.update(group.unknown)
            if not dry_run:
                added += store.add(group.interactions)
            bar.update(count)
    missing = tuple(item for item, _ in unknown.most_common(5))
    return Imported(str(path), spec.item, rows, added, unknown.total(), missing)


def export_file(stack: Stack, path: Path) -> int:
    """All interactions as a CSV file for Amazon Personalize, whole or not at all; returns how many.

    Raises:
        InputError: there are none, or the file can't be written.
    """
    with opened(stack) as store:
        if not store.summary().interactions:
            raise InputError("there are no interactions to export", hint="neuralshelf interactions import FILE")
        with replacing(path, 0o600) as file:
            return write_personalize(store.everything(), file)


def ranking_of(deployment: Deployment) -> RankingSpec:
    """How hits are ranked.

    Raises:
        ConfigError: they are not.
    """
    found = deployment.config.ranking
    if found is None:
        raise ConfigError(
            "this configuration ranks nothing for anybody", hint="add ranking: {item: cluster}, then neuralshelf apply"
        )
    return found
