"""SIGKILL in the middle of apply and destroy: whatever was cut off, the next run goes on from there.

The tool is killed after a write has been done and before it knows: that gives every state in which a cluster can be
left. By default that is every third of its writes; `NEURALSHELF_KILL=all` (`./inv test --extended`) kills it at every
single request, before and after the engine saw it.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opensearchpy import OpenSearch

from neuralshelf.provision.guard import confirm
from tests.engine.provision.conftest import MakeProject
from tests.engine.provision.deployment import SMALL, Finished, Project
from tests.engine.provision.snapshot import ML_KINDS, changes, ml_objects, snapshot
from tests.engine.provision.sweep import sweep
from tests.engine.provision.wire import Moment

EVERY_REQUEST = os.environ.get("NEURALSHELF_KILL") == "all"
STEP = 1 if EVERY_REQUEST else 3
KILLED = -9

pytestmark = [pytest.mark.timeout(7200), pytest.mark.extended] if EVERY_REQUEST else []


def kills(project: Project, prepare: Callable[[int], Any], *words: str) -> Iterator[tuple[str, Finished]]:
    """Prepare and kill, for one request after the other, until the command ends by itself; each once it is dead."""
    moments: tuple[Moment, ...] = ("before", "after") if EVERY_REQUEST else ("after",)
    number, done = 1 - STEP, False
    while not done:
        number += STEP
        for moment in moments:
            prepare(number)
            found = project.kill(number, moment, words[0], *words[1:], writes=not EVERY_REQUEST)
            done = found.code != KILLED
            if done:
                assert found.code == 0, found.err
                break
            cut = project.wire.requests[-1]
            yield f"{words[0]} killed {moment} request {cut}", found
    print(f"{words[0]}: killed at every request to {number - STEP} by steps of {STEP}, {' and '.join(moments)}")


def names(client: OpenSearch, project: Project) -> Counter[str]:
    """How many connectors, models and model groups of each name the project has."""
    found: Counter[str] = Counter()
    for kind in ML_KINDS:
        called = (str(body["name"]) for body in ml_objects(client, kind).values())
        found.update(f"{kind}/{name}" for name in called if name.startswith(project.name))
    return found


def goes_on(project: Project, where: str) -> None:
    """The next apply makes what is missing and nothing twice; then there is nothing to do."""
    print(where)
    with project.provisioner() as made:
        made.apply(made.plan(), show=lambda changed: None)
        expected = {"model_groups": 1, "connectors": 2, "models": 2}
        found = names(project.client, project)
        assert set(found.values()) == {1}, found
        assert Counter(key.split("/")[0] for key in found) == expected, found
        project.wire.clear()
        left = made.plan()
        assert left.writes == left.blocked == (), left.as_dict()
        assert project.wire.writes == []
        confirm(made.client, made.deployment)
        assert locks(project) == []


def is_gone(project: Project, before: dict[str, Any], where: str) -> None:
    """The next destroy takes away what is left."""
    print(where)
    with project.provisioner() as made:
        made.apply(made.plan_destroy(), verb="destroy", make=made.plan_destroy)
    assert changes(before, snapshot(project.client)) == {}


def locks(project: Project) -> list[str]:
    return [key for key in snapshot(project.client) if key.startswith(f"index/{project.name}") and "lock" in key]


def test_a_first_apply_killed_anywhere_is_finished_by_the_next(make_project: MakeProject) -> None:
    project = make_project(SMALL)
    empty = snapshot(project.client)
    count = 0
    for where, _ in kills(project, lambda number: sweep(project.client, project.name, empty), "apply"):
        goes_on(project, where)
        count += 1
    assert count >= 12 / STEP


def test_an_apply_that_replaces_connectors_killed_anywhere_is_finished_by_the_next(make_project: MakeProject) -> None:
    project = make_project(SMALL)
    project.apply()
    seconds = iter(range(100, 600))

    def change(number: int) -> None:
        project.edit("connectors.text.ingest", {"read_timeout": next(seconds)})

    count = 0
    for where, _ in kills(project, change, "apply"):
        goes_on(project, where)
        count += 1
    assert count >= 6 / STEP


@pytest.mark.extended
def test_a_destroy_killed_anywhere_is_finished_by_the_next(make_project: MakeProject) -> None:
    project = make_project(SMALL)
    before = snapshot(project.client)
    count = 0
    for where, _ in kills(project, lambda number: goes_on(project, "applied"), "destroy", "--yes"):
        is_gone(project, before, where)
        count += 1
    assert count >= 10 / STEP
