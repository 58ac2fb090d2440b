"""Roles of the security plugin: the least that provisioning, ingesting and searching one deployment need.

A migration reads, writes and provisions: its user gets all four roles, and keeps `migrate` no longer than it takes.

Names of actions were learnt on 2.19.1 from what was refused; a test holds that each role can do its own work and is
refused that of the others. Two things are wider than one would like, since ML Commons knows no names there: who may use
one model or connector of a cluster may use all of them.
"""

import json
from pathlib import Path
from typing import Any

from neuralshelf.deployment import Deployment
from neuralshelf.files import write_files
from neuralshelf.templates import render

Json = Any

PURPOSES = ("provision", "ingest", "search", "migrate")


def roles(deployment: Deployment) -> dict[str, Json]:
    """Name of a role (`PREFIX-provision`, …) -> body for `PUT _plugins/_security/api/roles/NAME`."""
    values = {
        "prefix": deployment.prefix,
        "index": deployment.config.index.name,
        "lock": f"{deployment.prefix}-lock",
        "deadletters": deployment.deadletters,
        # AWS's own endpoints are trusted as they are: then there is no setting of ours
        "settings": deployment.environment.runtime.provider == "local",
    }
    return {f"{deployment.prefix}-{purpose}": render(f"roles/{purpose}.json.j2", **values) for purpose in PURPOSES}


def write_roles(deployment: Deployment, folder: Path) -> list[Path]:
    """One file `NAME.json` a role in `folder`, which is made if needed; what stands there under that name is replaced.

    Raises:
        InputError: the folder can't be written.
    """
    found = roles(deployment).items()
    return write_files({f"{name}.json": json.dumps(body, indent=2) + "\n" for name, body in found}, folder)
