"""Connectors that the cluster refuses to delete, since it takes them for those of other models."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opensearchpy import ConflictError

from neuralshelf.provision.provisioner import drift
from neuralshelf.tables import plan_text
from tests.engine.provision.conftest import MakeProject
from tests.engine.provision.deployment import SMALL, Project
from tests.engine.provision.rotation.rotating import applied, turned
from tests.engine.provision.snapshot import listed

ML, CONNECTORS = "/_plugins/_ml", ".plugins-ml-connector"
LINE = "stays: OpenSearch takes it for the connector of a model in use"


@pytest.fixture
def shop(make_project: MakeProject) -> Project:
    project = make_project(SMALL)
    return applied(project, project.runtime())


def connectors(shop: Project) -> dict[str, Any]:
    return {i: body for i, body in listed(shop.client, "connectors").items() if body["name"].startswith(shop.name)}


@contextmanager
def somebody_elses_model(shop: Project, alike: str) -> Iterator[None]:
    """A model on a connector whose id shares all of its parts with another one."""
    identity, send = f"theirs-{alike}", shop.client.transport.perform_request
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that system indexes will be closed; no other way to an id of one's choice
        twin = shop.client.get(index=CONNECTORS, id=alike)["_source"] | {"name": "theirs", "description": "theirs"}
        shop.client.index(index=CONNECTORS, id=identity, body=twin, refresh="true")
    body = {"name": "theirs", "function_name": "remote", "connector_id": identity}
    model = send("POST", f"{ML}/models/_register", body=body)["model_id"]
    group = send("GET", f"{ML}/models/{model}")["model_group_id"]
    yield
    for path in (f"models/{model}", f"model_groups/{group}", f"connectors/{identity}"):
        send("DELETE", f"{ML}/{path}")


def test_a_connector_that_is_taken_for_anothers_is_left_told_and_taken_away_later(shop: Project) -> None:
    old, name = next((i, body["name"]) for i, body in connectors(shop).items())
    with somebody_elses_model(shop, old):
        told: list[str] = []
        done = turned(shop, shop.runtime(), force=True, tell=lambda change: told.append(change.told))
        assert (len(done.connectors), len(done.models)) == (2, 2)
        assert [line for line in told if old in line and LINE in line]
        assert len(connectors(shop)) == 3
        with pytest.raises(ConflictError, match="models are still using this connector"):
            shop.client.transport.perform_request("DELETE", f"{ML}/connectors/{old}")

        nothing = shop.run("plan", "--detailed-exitcode", "--json").json
        assert [note for note in nothing["notes"] if old in note and LINE in note]
        with shop.provisioner() as made:
            shop.wire.clear()
            found = made.plan()
            made.apply(found)
            assert LINE in plan_text(found)
            assert drift(found) == []
            assert turned(shop, shop.runtime()).connectors == ()
            assert shop.wire.writes == []
    with shop.provisioner() as made:
        found = made.plan()
        assert [(step.action, step.address) for step in found.writes] == [("delete", f"connector/{name}")]
        made.apply(found)
        assert len(connectors(shop)) == 2
        found = made.plan()
        assert (found.writes, found.left, found.notes) == ((), (), ())


def test_destroy_says_what_it_has_to_leave(shop: Project) -> None:
    old = next(iter(connectors(shop)))
    with somebody_elses_model(shop, old):
        assert f"{old} {LINE}" in shop.run("destroy", "--yes").err
        assert {*connectors(shop)} == {old}
    shop.run("destroy", "--yes")
    assert connectors(shop) == {}
