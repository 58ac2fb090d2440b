"""The plan: what is made, what is left alone, what is re-pointed."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neuralshelf.errors import InputError, StalePlanError
from neuralshelf.provision.live import Live, Observed
from neuralshelf.provision.marker import Marker
from neuralshelf.provision.plan import Action, Plan, plan
from neuralshelf.provision.provisioner import check_saved, drift, save
from neuralshelf.resource import Kind, Resource, ids_in, ref, references, resolve
from neuralshelf.tables import plan_text


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


def gone(kind: Kind, name: str, prefix: str = "p") -> Live:
    return Live(kind, name, f"id-of-{name}", Marker(prefix, f"{kind}/{name}", "0" * 16), {})


def test_a_hand_edit_is_one_path_and_counts_as_drift_while_a_changed_configuration_does_not() -> None:
    live = observed(deployment())
    pipeline = live["ingest-pipeline/p-ingest"]
    live[pipeline.address] = replace(pipeline, body={**pipeline.body, "version": 3})
    (change,) = drift(planned(deployment(), live))
    assert [str(d) for d in change.differences] == ["version: 3 → absent"]
    assert drift(planned(deployment("http://b"), observed(deployment("http://a")))) == []


def test_a_deleted_object_is_drift_but_an_empty_cluster_is_not() -> None:
    live = observed(deployment())
    del live["ingest-pipeline/p-ingest"]
    assert [change.address for change in drift(planned(deployment(), live))] == ["ingest-pipeline/p-ingest"]
    assert drift(planned(deployment(), {})) == []


def test_an_object_of_ours_that_is_wanted_no_more_goes_last() -> None:
    live = observed(deployment()) | {"connector/p-old": gone(Kind.CONNECTOR, "p-old")}
    last = planned(deployment(), live).changes[-1]
    assert (last.action, last.address) == (Action.DELETE, "connector/p-old")


def test_an_index_and_the_objects_of_another_generation_are_left_alone() -> None:
    live = observed(deployment())
    for other in (gone(Kind.INDEX, "products-1"), gone(Kind.MODEL, "p-v1-text-ingest")):
        live[other.address] = other
    assert planned(deployment(), live).writes == ()


def test_a_twin_left_by_an_interrupted_change_goes() -> None:
    twin = replace(gone(Kind.CONNECTOR, "p-text"), id="C0")
    found = plan(deployment(), Observed("3.6.0", observed(deployment()), (twin,)), prefix="p")
    assert [(c.action, c.live.id) for c in found.writes if c.live] == [(Action.DELETE, "C0")]


def test_a_namesake_that_is_not_ours_blocks_until_it_is_adopted() -> None:
    live = observed(deployment())
    live["ingest-pipeline/p-ingest"] = replace(live["ingest-pipeline/p-ingest"], marker=None)
    assert [change.note for change in planned(deployment(), live).blocked] == [
        "carries no marker of neuralshelf; apply --adopt takes it over"
    ]
    adopted = plan(deployment(), Observed("3.6.0", live), prefix="p", adopt=True)
    assert [str(change.action) for change in adopted.writes] == ["update"]


def test_a_namesake_of_another_deployment_is_never_adopted() -> None:
    live = observed(deployment())
    pipeline = live["ingest-pipeline/p-ingest"]
    live[pipeline.address] = replace(pipeline, marker=Marker("q", pipeline.address, "0" * 16))
    found = plan(deployment(), Observed("3.6.0", live), prefix="p", adopt=True)
    assert [change.note for change in found.blocked] == ["belongs to q; choose another name"]


INDEX = Resource(
    Kind.INDEX,
    "products-1",
    {
        "settings": {"index.knn": True, "index.number_of_replicas": 0},
        "mappings": {"properties": {"v": {"type": "knn_vector", "dimension": 4}, "t": {"type": "text"}}},
        "aliases": {"products": {}},
    },
)
LIVE_INDEX: dict[str, Any] = {
    "settings": {"index.knn": "true", "index.number_of_replicas": "0"},
    "mappings": {"properties": {"v": {"type": "knn_vector", "dimension": 4}, "t": {"type": "text"}}},
    "aliases": {"products": {}},
}


def index_plan(body: dict[str, Any], holders: dict[str, int] | None = None, fingerprint: str = "") -> Plan:
    marker = Marker("p", INDEX.address, fingerprint or INDEX.fingerprint)
    live = {INDEX.address: Live(Kind.INDEX, "products-1", "products-1", marker, body)}
    template = Resource(Kind.SEARCH_TEMPLATE, "product-search", {"script": {"lang": "mustache", "source": "{}"}})
    observed = Observed("3.6.0", live, (), {"products": {"products-1": 3} if holders is None else holders})
    return plan([INDEX, template], observed, prefix="p")


def test_settings_and_aliases_of_an_index_are_mended_in_place() -> None:
    (change, _) = index_plan(LIVE_INDEX | {"aliases": {}, "settings": {"index.knn": "true"}}).writes
    assert change.action is Action.UPDATE
    assert {d.path for d in change.differences} == {"aliases.products", "settings.index.number_of_replicas"}


def test_another_dimension_or_field_type_is_never_tried_in_place() -> None:
    for properties in (
        {"v": {"type": "knn_vector", "dimension": 8}, "t": {"type": "text"}},
        {"v": {"type": "knn_vector", "dimension": 4}, "t": {"type": "keyword"}},
    ):
        (change,) = index_plan(LIVE_INDEX | {"mappings": {"properties": properties}}).blocked
        assert "raise index.version, then neuralshelf migrate" in change.note


def test_a_new_field_is_added_in_place_before_the_pipeline_that_fills_it() -> None:
    properties = {key: INDEX.body["mappings"]["properties"][key] for key in ("v",)}
    live = Live(Kind.INDEX, "products-1", "products-1", Marker("p", INDEX.address, "0" * 16), dict(LIVE_INDEX))
    live = replace(live, body=LIVE_INDEX | {"mappings": {"properties": properties}})
    wanted, there = deployment(), observed(deployment())
    wanted[0] = replace(wanted[0], body={"processors": []})
    found = plan([*wanted, INDEX], Observed("3.6.0", there | {live.address: live}), prefix="p")
    assert [(str(c.action), c.address) for c in found.writes] == [
        ("update", INDEX.address),
        ("update", "ingest-pipeline/p-ingest"),
    ]
    assert [str(d) for d in found.writes[0].differences] == ['mappings.properties.t: absent → {"type": "text"}']


def test_an_index_that_changes_in_other_ways_comes_after_its_pipelines() -> None:
    body = LIVE_INDEX | {"mappings": {"properties": {}}, "settings": {"index.knn": "true"}}
    live = Live(Kind.INDEX, "products-1", "products-1", Marker("p", INDEX.address, "0" * 16), body)
    wanted, there = deployment(), observed(deployment())
    wanted[0] = replace(wanted[0], body={"processors": []})
    found = plan([*wanted, INDEX], Observed("3.6.0", there | {live.address: live}), prefix="p")
    assert [c.address for c in found.writes] == ["ingest-pipeline/p-ingest", INDEX.address]


def test_a_field_too_many_is_drift_but_nothing_that_apply_could_mend() -> None:
    properties = {**LIVE_INDEX["mappings"]["properties"], "x": {"type": "long"}}
    found = index_plan(LIVE_INDEX | {"mappings": {"properties": properties}})
    assert [change.address for change in found.writes] == ["search-template/product-search"]
    assert [d.path for change in drift(found) for d in change.differences] == ["mappings.properties.x"]


def test_the_alias_and_the_templates_stay_with_an_index_that_holds_documents() -> None:
    unsearched = LIVE_INDEX | {"aliases": {}}
    found = index_plan(unsearched, {"products-0": 7}, replace(INDEX, body={**INDEX.body, "aliases": {}}).fingerprint)
    assert found.writes == ()
    assert found.notes == ("products stays on products-0 (7 documents); neuralshelf migrate moves it to products-1",)


def test_the_alias_leaves_an_index_without_documents() -> None:
    found = index_plan(LIVE_INDEX | {"aliases": {}}, {"products-0": 0})
    assert "index/products-1" in [change.address for change in found.writes]


def test_a_plan_is_the_same_only_while_cluster_and_configuration_are(tmp_path: Path) -> None:
    first = planned(deployment(), observed(deployment()))
    save(first, tmp_path / "plan.json")
    check_saved(tmp_path / "plan.json", planned(deployment(), observed(deployment())))
    edited = observed(deployment())
    edited["model/p-text"] = replace(edited["model/p-text"], id="M2")
    for now in (planned(deployment(), edited), planned(deployment("http://b"), observed(deployment()))):
        with pytest.raises(StalePlanError, match="no longer holds"):
            check_saved(tmp_path / "plan.json", now)
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(InputError, match="no saved plan"):
        check_saved(tmp_path / "plan.json", first)


def test_the_secret_is_in_no_plan() -> None:
    found = planned(deployment(secret="hunter2"), observed(deployment(secret="other")))
    assert found.writes
    assert "hunter2" not in json.dumps(found.as_dict()) + repr(found) + plan_text(found)


def test_fields_of_dead_letters_change_with_the_index_and_without_a_migration() -> None:
    def letters(kind: str) -> Resource:
        body = {"settings": {}, "mappings": {"properties": {"code": {"type": kind}}}, "aliases": {}}
        return Resource(Kind.INDEX, "p-deadletters", body)

    old = letters("text")
    live = Live(Kind.INDEX, old.name, old.name, Marker("p", old.address, old.fingerprint), dict(old.body))
    (blocked,) = planned([letters("keyword")], {old.address: live}).blocked
    assert "DELETE /p-deadletters" in blocked.note
    assert "migrate" not in blocked.note
