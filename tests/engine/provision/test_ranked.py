"""The model that ranks, through the life of a deployment: it is tried, rotated, verified and looked after as others."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from neuralshelf.checker import Facts, check
from neuralshelf.checker.live import read_facts
from neuralshelf.engine import Engine
from neuralshelf.errors import ProvisionError
from neuralshelf.provision.doctor import diagnose
from neuralshelf.provision.migration.swap import put_transitional
from neuralshelf.provision.provisioner import Provisioner, drift
from neuralshelf.provision.verify import verify
from tests.engine.provision.conftest import MakeProject
from tests.engine.provision.deployment import RANKED, Project
from tests.engine.provision.keys import Key, KeyServer, ranking_server
from tests.engine.provision.rotation.rotating import applied, owned, turned


@pytest.fixture
def server(tmp_path: Path, engine: Engine) -> Iterator[KeyServer]:
    with ranking_server(engine.host_address, tmp_path) as found:
        yield found


@pytest.fixture
def key(server: KeyServer) -> Key:
    return server.keys.issue()


@pytest.fixture
def shop(make_project: MakeProject, server: KeyServer, key: Key) -> Project:
    return applied(make_project(RANKED, server.served(key)), server.runtime(key))


def ranking(shop: Project, kind: str) -> dict[str, object]:
    return {identity: body for identity, body in owned(shop, kind).items() if body["name"].endswith("-ranking")}


def facts(shop: Project) -> Facts:
    """What a search by hand meets."""
    return read_facts(shop.client, shop.name, shop.deployment().facts)


def test_another_weight_goes_into_the_model_that_is_there(shop: Project, server: KeyServer, key: Key) -> None:
    model, connector = set(ranking(shop, "models")), set(ranking(shop, "connectors"))
    shop.edit("ranking.weight", 0.9)
    applied(shop, server.runtime(key))
    assert set(ranking(shop, "models")) == model
    assert not set(ranking(shop, "connectors")) & connector
    assert Provisioner(shop.client, shop.deployment(), server.runtime(key)).plan().writes == ()


def test_credentials_of_the_ranker_are_rotated_with_the_others(shop: Project, server: KeyServer, key: Key) -> None:
    new = server.keys.issue(temporary=True)
    done = turned(shop, server.runtime(new), force=True)
    assert len(done.connectors) == len(done.models) == 3
    server.keys.revoke(key)
    found = verify(shop.client, shop.deployment(), server.runtime(new))
    assert next(check for check in found.checks if check.name == "ranker-answers").ok
    assert server.last(new) > server.last(key)


def test_a_ranker_that_refuses_keeps_its_connector(shop: Project, server: KeyServer, key: Key) -> None:
    before = set(ranking(shop, "connectors"))
    server.keys.revoke(key)
    shop.edit("ranking.weight", 0.9)
    with pytest.raises(ProvisionError, match=r"ranking.*security token"):
        applied(shop, server.runtime(key))
    assert set(ranking(shop, "connectors")) == before


def test_a_ranker_that_does_not_answer_is_told_by_verify_and_doctor(shop: Project, server: KeyServer, key: Key) -> None:
    deployment, runtime = shop.deployment(), server.runtime(key)
    found = diagnose(deployment.environment.cluster, shop.client, deployment, runtime)
    assert "ranker-silent" not in {finding.code for finding in found.findings}
    server.keys.revoke(key)
    found = diagnose(deployment.environment.cluster, shop.client, deployment, runtime)
    silent = next(finding for finding in found.findings if finding.code == "ranker-silent")
    assert silent.severity == "warning"
    assert "security token" in silent.cause
    checks = {check.name: check for check in verify(shop.client, deployment, runtime).checks}
    assert checks["ranker-answers"].ok is False
    assert "credentials" in checks["ranker-answers"].remedy


def test_without_ranking_its_objects_go(shop: Project, server: KeyServer, key: Key) -> None:
    assert ranking(shop, "models")
    del shop.config["ranking"]
    shop.write()
    applied(shop, server.runtime(key))
    assert not ranking(shop, "models")
    assert not ranking(shop, "connectors")


def test_a_leg_of_preference_is_provisioned_verified_and_taken_back(shop: Project, server: KeyServer, key: Key) -> None:
    runtime, model = server.runtime(key), set(ranking(shop, "models"))
    shop.config["ranking"] = {"item": "kind", "method": "leg", "items": ["mug", "chair"]}
    shop.write()
    applied(shop, runtime)
    assert set(ranking(shop, "models")) == model
    provisioner = Provisioner(shop.client, shop.deployment(), runtime)
    assert drift(provisioner.plan()) == []
    assert provisioner.plan().writes == ()
    found = verify(shop.client, shop.deployment(), runtime).checks
    assert [check for check in found if check.ok is False] == []
    assert {("ranker-answers", True), ("search", True)} <= {(check.name, check.ok) for check in found}
    by_hand = {"query": {"hybrid": {"pagination_depth": 100, "queries": [{"match": {"title": "mug"}}]}}}
    assert '{"match_none": {}}]}}' in json.dumps(check(facts(shop), by_hand).body)
    shop.edit("ranking.items", ["mug", "chair", "lamp"])
    applied(shop, runtime)
    name = f"{shop.prefix}-v1-{shop.name}-search"
    asking = shop.client.search_pipeline.get(id=name)[name]["request_processors"][0]["ml_inference"]
    assert asking["model_config"] == {"items": ["mug", "chair", "lamp"]}
    server.keys.revoke(key)
    checks = {check.name: check for check in verify(shop.client, shop.deployment(), runtime).checks}
    assert checks["ranker-answers"].ok is False


@pytest.mark.parametrize("method", [{}, {"method": "leg", "items": ["mug"]}], ids=["rerank", "leg"])
def test_while_the_alias_moves_the_ranker_is_the_one_that_is_asked(
    shop: Project, server: KeyServer, key: Key, method: dict[str, object]
) -> None:
    shop.config["ranking"] = {"item": "kind"} | method
    shop.write()
    applied(shop, server.runtime(key))
    put_transitional(shop.client, shop.deployment(), (f"{shop.name}-1",), seconds=0)
    body = {"id": f"{shop.name}-search", "params": {"text": "mug", "user": "ann"}}
    made = shop.client.transport.perform_request("POST", "/_render/template", body=body)["template_output"]
    parts = made["search_pipeline"]
    processors = [*parts["request_processors"], *parts.get("response_processors", [])]
    asked = {one["ml_inference"]["model_id"] for one in processors if "ml_inference" in one}
    assert asked == set(ranking(shop, "models"))
    assert shop.client.search(index=shop.name, body=made)["hits"]["total"]["value"] == 0
