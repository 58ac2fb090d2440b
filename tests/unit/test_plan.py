"""The plan: what is made, what is left alone, what is re-pointed."""

from dataclasses import replace

from neuralshelf.provision.live import Live, Observed
from neuralshelf.provision.marker import Marker
from neuralshelf.provision.plan import Action, Plan, plan
from neuralshelf.resource import Kind, Resource, ids_in, ref, references, resolve


def deployment(url: str = "http://a", secret: str = "s") -> list[Resource]:
    connector = Resource(Kind.CONNECTOR, "p-text", {"url": url}, {"credential.secret_key": secret})
    model = Resource(Kind.MODEL, "p-text", {"connector_id": ref(Kind.CONNECTOR, "p-text")})
    pipeline = Resource(
        Kind.INGEST_PIPELINE, "p-ingest", {"processors": [{"e": {"model_id": ref(Kind.MODEL, "p-text")}}]}
    )
    return [pipeline, model, connector]


IDS = {"connector/p-text": "C1", "model/p-text": "M1", "ingest-pipeline/p-ingest": "p-ingest"}


def observed(resources: list[Resource]) -> dict[str, Live]:
    """What the cluster holds after these were applied."""
    found = {}
    for r in resources:
        body = {"description": "", **resolve(r.body, IDS)}
        if r.kind is Kind.MODEL:
            body = {**resolve(r.body, IDS), "model_state": "DEPLOYED", "is_enabled": True}
        if r.kind is Kind.CONNECTOR:
            body = dict(r.body)
        found[r.address] = Live(r.kind, r.name, IDS[r.address], Marker("p", r.address, r.fingerprint), body)
    return found


def planned(desired: list[Resource], live: dict[str, Live]) -> Plan:
    return plan(desired, Observed("3.6.0", live), prefix="p")


def actions(desired: list[Resource], live: dict[str, Live]) -> dict[str, str]:
    return {str(c.address.split("/")[0]): str(c.action) for c in planned(desired, live).changes}


def test_an_empty_cluster_gets_everything_in_dependency_order() -> None:
    changes = planned(deployment(), {}).changes
    assert [c.resource.kind for c in changes if c.resource] == [Kind.CONNECTOR, Kind.MODEL, Kind.INGEST_PIPELINE]
    assert {c.action for c in changes} == {Action.CREATE}


def test_a_second_plan_changes_nothing() -> None:
    assert set(actions(deployment(), observed(deployment())).values()) == {"keep"}


def test_another_address_replaces_the_connector_and_re_points_the_model_but_not_the_pipeline() -> None:
    found = actions(deployment("http://b"), observed(deployment("http://a")))
    assert found == {"connector": "replace", "model": "update", "ingest-pipeline": "keep"}


def test_another_secret_is_a_change_though_the_body_is_the_same() -> None:
    assert actions(deployment(secret="new"), observed(deployment(secret="old")))["connector"] == "replace"


def test_a_model_left_on_an_old_connector_is_re_pointed() -> None:
    live = observed(deployment())
    model = live["model/p-text"]
    live["model/p-text"] = replace(model, body={**model.body, "connector_id": "C0"})
    assert actions(deployment(), live)["model"] == "update"


def test_a_lost_model_is_made_again_and_the_pipeline_gets_its_new_id() -> None:
    live = observed(deployment())
    del live["model/p-text"]
    assert actions(deployment(), live) == {"connector": "keep", "model": "create", "ingest-pipeline": "update"}


def test_the_secret_is_in_no_representation() -> None:
    connector = deployment(secret="hunter2")[2]
    assert "hunter2" not in repr(connector) + str(connector.body) + connector.fingerprint


def test_references_are_found_and_resolved_at_any_depth() -> None:
    pipeline = deployment()[0]
    assert pipeline.depends_on == ("model/p-text",)
    assert resolve(pipeline.body, {"model/p-text": "M9"}) == {"processors": [{"e": {"model_id": "M9"}}]}


def test_references_inside_a_longer_text_are_resolved_and_read_back() -> None:
    text = f'{{"a": "{ref(Kind.MODEL, "p-text")}", "b": "{ref(Kind.MODEL, "p-image")}"}}'
    ids = {"model/p-text": "M9", "model/p-image": "x_-1"}
    made = resolve(text, ids)
    assert made == '{"a": "M9", "b": "x_-1"}'
    assert list(references(text)) == list(ids)
    assert ids_in(text, f"{{{{! marker }}}}{made}") == ids
    assert ids_in(text, "something else") == {}


def test_a_marker_survives_the_description_it_stands_in() -> None:
    marker = Marker("shop-local", "connector/shop-local-text", "0123456789abcdef")
    assert Marker.find(f"Embeds texts. {marker}") == marker
    assert Marker.find("somebody's own") is None
    assert set(str(marker)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,!?():@-_'/\"")
