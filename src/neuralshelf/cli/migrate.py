"""The verb migrate: start or go on, look, go back, finish."""

import argparse
import json
from functools import partial
from typing import TYPE_CHECKING

from neuralshelf.cli.context import confirm, context
from neuralshelf.errors import ConfigError

if TYPE_CHECKING:
    from neuralshelf.deployment import Deployment
    from neuralshelf.provision.migration import Choices


def migrate(words: argparse.Namespace) -> int:
    from neuralshelf.local.provisioning import say
    from neuralshelf.provision import migration

    stack, deployment = context(words)
    if words.status:
        found = migration.status(stack.client(deployment), deployment)
        _print(found.as_dict(), as_json=words.json)
        return 0
    if words.finish and not words.yes:
        confirm("The old index goes for good.", deployment.prefix)
    parts = stack.client(deployment, pool=20), deployment, stack.runtime(deployment)
    if words.rollback:
        done = migration.rollback(*parts, say=say)
    elif words.finish:
        done = migration.finish(*parts, say=say)
    else:
        done = migration.migrate(*parts, _choices(words, deployment), say=say)
    _print(done.as_dict(), as_json=words.json)
    return 0


def _choices(words: argparse.Namespace, deployment: "Deployment") -> "Choices":
    from neuralshelf.ingestion.admission import picture_limits
    from neuralshelf.local.catalogue import picture, pictures_of
    from neuralshelf.provision.migration import Choices
    from neuralshelf.provision.migration.gate import judged

    if not 0 <= words.tolerance <= 1:
        raise ConfigError(f"--tolerance {words.tolerance:g} is out of range", hint="give 0 to 1")
    config = deployment.config
    limits = picture_limits(config.connectors, config.index)
    return Choices(
        questions=judged(words.queries, partial(picture, limits=limits)) if words.queries else (),
        tolerance=words.tolerance,
        accept_worse=words.accept_worse,
        pictures=pictures_of(words.catalogue, config.index, limits),
        without_pictures=words.without_pictures,
    )


def _print(found: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"format_version": 1} | found))
        return
    for name, value in found.items():
        if value not in (None, [], (), "") and not isinstance(value, dict):
            print(f"{name.replace('_', ' '):14} {value}")
