"""What tests of rotation and of the watch share."""

import traceback
from collections.abc import Mapping
from functools import partial
from typing import Any

from neuralshelf.connectors.runtime import Runtime
from neuralshelf.provision.provisioner import Provisioner
from neuralshelf.provision.rotate import Rotation, rotate
from tests import waiting
from tests.engine.provision.deployment import Project
from tests.engine.provision.snapshot import changes, ml_objects, snapshot

WAIT_SECONDS = 60
until = partial(waiting.until, seconds=WAIT_SECONDS)


def applied(project: Project, runtime: Runtime) -> Project:
    made = Provisioner(project.client, project.deployment(), runtime)
    made.apply(made.plan())
    return project


def turned(project: Project, runtime: Runtime, **named: Any) -> Rotation:
    return rotate(project.client, project.deployment(), runtime, **named)


def owned(project: Project, kind: str) -> dict[str, Any]:
    """Id -> body of the project's own connectors or models; the cluster may hold those of other tests."""
    found = ml_objects(project.client, kind)
    return {identity: body for identity, body in found.items() if str(body["name"]).startswith(project.name)}


def shown(fault: BaseException) -> str:
    """All that a person could get to see of an error."""
    return "".join(traceback.format_exception(fault)) + repr(fault) + str(fault)


def since(before: Mapping[str, Any], project: Project) -> dict[str, str]:
    """What has changed, but for the number of models that a group ever had."""
    found = changes(before, snapshot(project.client))
    return {where: how for where, how in found.items() if not where.startswith("model_groups/")}
