"""destroy takes away what is ours, and nothing else: the cluster's lists are as they were before the first apply."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from opensearchpy import OpenSearch, TransportError

from tests.engine.provision.conftest import MakeProject
from tests.engine.provision.deployment import FULL, SMALL, Project
from tests.engine.provision.hand import ML, Hand
from tests.engine.provision.snapshot import changes, snapshot

NAME = "somebody-else"
TRUSTED = "plugins.ml_commons.trusted_connector_endpoints_regex"
PRIVATE = "plugins.ml_commons.connector.private_ip_enabled"
CONNECTOR: Mapping[str, Any] = {
    "name": NAME,
    "description": "Not ours, and it names neuralshelf (by chance).",
    "version": "1",
    "protocol": "http",
    "actions": [
        {
            "action_type": "predict",
            "method": "POST",
            "url": "https://runtime.sagemaker.us-east-1.amazonaws.com/endpoints/e/invocations",
            "request_body": "${parameters.input}",
        }
    ],
    "credential": {"key": "not a secret"},
}


@pytest.fixture
def others(client: OpenSearch) -> Iterator[None]:
    """Objects of somebody else, of every kind."""
    send = client.transport.perform_request
    connector = send("POST", f"{ML}/connectors/_create", body=dict(CONNECTOR))["connector_id"]
    group = send("POST", f"{ML}/model_groups/_register", body={"name": NAME, "description": "Not ours."})
    body = {"name": NAME, "function_name": "remote", "connector_id": connector}
    model = send("POST", f"{ML}/models/_register", body={**body, "model_group_id": group["model_group_id"]})
    client.ingest.put_pipeline(id=NAME, body={"processors": [{"set": {"field": "a", "value": "b"}}]})
    send("PUT", f"/_search/pipeline/{NAME}", body={"response_processors": [{"truncate_hits": {"target_size": 3}}]})
    client.indices.create(index=NAME, body={"aliases": {f"{NAME}-alias": {}}}, params={"wait_for_active_shards": 0})
    client.indices.put_index_template(name=NAME, body={"index_patterns": [f"{NAME}-*"], "template": {}})
    client.put_script(id=NAME, body={"script": {"lang": "mustache", "source": '{"size": 1}'}})
    yield
    client.delete_script(id=NAME)
    client.indices.delete_index_template(name=NAME)
    client.indices.delete(index=NAME)
    send("DELETE", f"/_search/pipeline/{NAME}")
    client.ingest.delete_pipeline(id=NAME)
    send("DELETE", f"{ML}/models/{model['model_id']}")
    for path in (f"connectors/{connector}", f"model_groups/{group['model_group_id']}"):
        delete_patiently(client, f"{ML}/{path}")


def delete_patiently(client: OpenSearch, path: str) -> None:
    """ML Commons counts a deleted model for a moment longer."""
    deadline = time.monotonic() + 10
    while True:
        try:
            client.transport.perform_request("DELETE", path)
            return
        except TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def test_the_lists_are_as_before_with_everything_of_others_untouched(others: None, make_project: MakeProject) -> None:
    project = make_project(FULL)
    before = snapshot(project.client)
    project.apply()
    made = changes(before, snapshot(project.client))
    assert {key.split("/")[0] for key in made} >= {"connectors", "models", "model_groups", "index", "script"}
    document = {"title": "to be deleted, too"}
    project.client.index(index=project.name, id="1", body=document, params={"refresh": "true"})
    dry = project.run("destroy", "--dry-run", "--json").json
    assert len(dry["changes"]) >= 15
    assert changes(before, snapshot(project.client)).keys() == made.keys()
    project.run("destroy", "--yes")
    assert changes(before, snapshot(project.client)) == {}
    project.wire.clear()
    project.run("destroy", "--yes")
    assert project.wire.writes == []


def test_without_a_word_nothing_is_destroyed(make_project: MakeProject) -> None:
    project = make_project(SMALL)
    project.apply()
    before = snapshot(project.client)
    project.wire.clear()
    refused = project.run("destroy", code=2)
    assert "--yes" in refused.err
    assert project.wire.writes == []
    assert changes(before, snapshot(project.client)) == {}


def test_settings_that_somebody_had_before_are_put_back(make_project: MakeProject) -> None:
    project = make_project(SMALL)
    trusted = ["^https://models\\.example\\.com/.*$", "^https://runtime\\.sagemaker\\..*$"]
    project.client.cluster.put_settings(body={"persistent": {TRUSTED: trusted, PRIVATE: False}})
    before = snapshot(project.client)
    project.apply()
    now = snapshot(project.client)
    assert set(trusted) < set(now[f"persistent/{TRUSTED}"])
    assert str(now[f"persistent/{PRIVATE}"]) == "true"
    project.run("destroy", "--yes")
    assert changes(before, snapshot(project.client)) == {}


def test_settings_that_somebody_made_meanwhile_stay(make_project: MakeProject) -> None:
    project = make_project(SMALL)
    project.apply()
    trusted = project.client.cluster.get_settings(flat_settings=True)["persistent"][TRUSTED]
    theirs = "^https://models\\.example\\.com/.*$"
    project.client.cluster.put_settings(body={"persistent": {TRUSTED: [*trusted, theirs]}})
    project.run("destroy", "--yes")
    left = project.client.cluster.get_settings(flat_settings=True)["persistent"][TRUSTED]
    assert theirs in left
    assert not [entry for entry in left if "127" in entry]


def test_one_of_two_deployments_goes_and_the_other_works_on(make_project: MakeProject) -> None:
    first, second = make_project(SMALL), make_project(SMALL)
    empty = snapshot(first.client)
    first.apply()
    alone = snapshot(first.client)
    second.apply()
    both = snapshot(first.client)
    first.run("destroy", "--yes")
    assert second.run("plan", "--detailed-exitcode").code == 0
    left = changes(empty, snapshot(first.client))
    assert set(left) == {key for key in both.keys() - alone.keys() if second.name in str([key, both[key]])} | {
        f"persistent/{key}" for key in (TRUSTED, PRIVATE)
    }
    second.client.index(index=second.name, id="1", body={"title": "still embedded"})
    second.run("destroy", "--yes")
    assert changes(empty, snapshot(first.client)) == {}


def test_what_was_edited_by_hand_goes_as_well(project: Project) -> None:
    before = snapshot(project.client)
    project.apply()
    hand = Hand(project)
    hand.edit_group(name=f"{project.name}-renamed")
    hand.edit_model("text-search", name=f"{project.name}-renamed")
    hand.edit_model("picture-search", is_enabled=False)
    hand.undeploy("text-ingest")
    hand.set_index(**{"index.number_of_replicas": 1})
    hand.client.ingest.delete_pipeline(id=hand.ingest)
    project.run("destroy", "--yes")
    assert changes(before, snapshot(project.client)) == {}


def test_a_first_apply_that_was_killed_leaves_nothing_after_destroy(make_project: MakeProject) -> None:
    project = make_project(SMALL)
    before = snapshot(project.client)
    for write in (3, 5, 7):
        assert project.kill(write, "after", "apply", writes=True).code == -9
        assert changes(before, snapshot(project.client)) != {}
        project.run("destroy", "--yes")
        assert changes(before, snapshot(project.client)) == {}, write


def test_a_configuration_that_changed_since_is_no_hindrance(make_project: MakeProject) -> None:
    project = make_project(FULL)
    before = snapshot(project.client)
    project.apply()
    index = {**SMALL["index"], "name": project.name}
    search = {**SMALL["search"], "template": f"{project.name}-other-search"}
    project.config = {"project": project.name, **SMALL, "index": index, "search": search}
    project.write()
    project.run("destroy", "--yes")
    assert changes(before, snapshot(project.client)) == {}


def test_another_generation_goes_as_well(make_project: MakeProject) -> None:
    project = make_project(SMALL)
    before = snapshot(project.client)
    project.apply()
    project.client.index(index=project.name, id="1", body={"title": "a"}, params={"refresh": "true"})
    project.edit("index.version", 2)
    project.apply()
    assert {f"index/{project.name}-{n}" for n in (1, 2)} <= snapshot(project.client).keys()
    project.run("destroy", "--yes")
    assert changes(before, snapshot(project.client)) == {}
