"""drift finds what somebody changed by hand, path by path, in every kind of object; apply mends it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from neuralshelf.provision.provisioner import drift
from tests.engine.provision.deployment import Project
from tests.engine.provision.hand import ML, Hand

PRIVATE = "plugins.ml_commons.connector.private_ip_enabled"
TRUSTED = "plugins.ml_commons.trusted_connector_endpoints_regex"


@dataclass(frozen=True)
class Edit:
    """What a person does, and where drift has to say so: `kind` and `role` make the address, each path is a finding."""

    kind: str
    role: str
    paths: tuple[str, ...]
    do: Callable[[Hand], Any]


def edit(kind: str, role: str, *paths: str) -> Callable[[Callable[[Hand], Any]], Edit]:
    return lambda do: Edit(kind, role, paths, do)


@edit("cluster-settings", "ml-commons", f"persistent.{PRIVATE}", f"persistent.{TRUSTED}[0]")
def forbid_the_model_server(hand: Hand) -> None:
    hand.set(PRIVATE, False)
    hand.set(TRUSTED, ["^https://models\\.example\\.com/.*$"])


@edit("connector", "text-ingest", "description")
def describe_a_connector(hand: Hand) -> None:
    text = hand.described("connectors", hand.connector("text-ingest"), "Edited.")
    hand.edit_connector("text-ingest", description=text)


@edit("connector", "picture-ingest", "actions[0].headers", "actions[0].request_body")
def edit_an_action(hand: Hand) -> None:
    action = hand.action("picture-ingest")
    del action["headers"]
    hand.edit_connector("picture-ingest", actions=[{**action, "request_body": "${parameters.input} "}])


@edit("connector", "picture-search", "parameters.extra", "client_config.read_timeout")
def edit_parameters_and_tuning(hand: Hand) -> None:
    tuning = hand.ml_body("connectors", hand.connector("picture-search"))["client_config"]
    changes = {"parameters": {"extra": "1"}, "client_config": {**tuning, "read_timeout": 99}}
    hand.edit_connector("picture-search", **changes)


@edit("model-group", "models", "description")
def describe_the_group(hand: Hand) -> None:
    hand.edit_group(description=hand.described("model_groups", hand.group, "Edited."))


@edit("model-group", "models", "name")
def rename_the_group(hand: Hand) -> None:
    hand.edit_group(name=f"{hand.project.name}-other")


@edit("model", "text-ingest", "description")
def describe_a_model(hand: Hand) -> None:
    hand.edit_model("text-ingest", description=hand.described("models", hand.model("text-ingest"), "Edited."))


@edit("model", "text-search", "name")
def rename_a_model(hand: Hand) -> None:
    hand.edit_model("text-search", name=f"{hand.project.name}-other")


@edit("model", "text-search", "connector_id")
def point_a_model_elsewhere(hand: Hand) -> None:
    hand.edit_model("text-search", connector_id=hand.connector("text-ingest"))


@edit("model", "picture-ingest", "is_enabled")
def disable_a_model(hand: Hand) -> None:
    hand.edit_model("picture-ingest", is_enabled=False)


@edit("model", "picture-search", "model_state")
def undeploy_a_model(hand: Hand) -> None:
    hand.undeploy("picture-search")


@edit("model", "picture-search", "rate_limiter")
def throttle_a_model(hand: Hand) -> None:
    hand.edit_model("picture-search", rate_limiter={"limit": "5", "unit": "SECONDS"})


@edit("ingest-pipeline", "ingest", "processors[1].fail.message", "processors[10]")
def edit_and_add_a_processor(hand: Hand) -> None:
    def change(body: Any) -> None:
        body["processors"][1]["fail"]["message"] = "no"
        assert len(body["processors"]) == 10
        body["processors"].append({"set": {"field": "title", "value": "edited"}})

    hand.edit_pipeline(f"_ingest/pipeline/{hand.ingest}", change)


@edit("ingest-pipeline", "ingest", "processors[1]", "on_failure")
def remove_a_processor_and_forgive_failures(hand: Hand) -> None:
    def change(body: Any) -> None:
        del body["processors"][1]
        body["on_failure"] = [{"set": {"field": "title", "value": "failed"}}]

    hand.edit_pipeline(f"_ingest/pipeline/{hand.ingest}", change)


WEIGHT = "phase_results_processors[0].normalization-processor.combination.parameters.weights[{}]"


@edit("search-pipeline", "search", *map(WEIGHT.format, range(3)), "version")
def weigh_otherwise(hand: Hand) -> None:
    def change(body: Any) -> None:
        combination = body["phase_results_processors"][0]["normalization-processor"]["combination"]
        combination["parameters"]["weights"] = [0.5, 0.25, 0.25]
        body["version"] = 7

    hand.edit_pipeline(f"_search/pipeline/{hand.search}", change)


@edit("search-pipeline", "search", "phase_results_processors", "description")
def drop_the_normalisation(hand: Hand) -> None:
    def change(body: Any) -> None:
        del body["phase_results_processors"]
        body["description"] = "Edited. " + body["description"][body["description"].index("managed-by") :]

    hand.edit_pipeline(f"_search/pipeline/{hand.search}", change)


@edit("index", "", "settings.index.number_of_replicas", "settings.index.refresh_interval")
def edit_settings(hand: Hand) -> None:
    hand.set_index(**{"index.number_of_replicas": 1, "index.refresh_interval": "7s"})


@edit("index", "", "mappings.dynamic", "aliases.{project}.filter", "aliases.{project}-other")
def open_the_mapping_and_edit_aliases(hand: Hand) -> None:
    hand.client.indices.put_mapping(index=hand.index, body={"dynamic": "true"})
    name = hand.project.name
    hand.alias({"add": {"index": hand.index, "alias": name, "filter": {"term": {"brand": "acme"}}}})
    hand.alias({"add": {"index": hand.index, "alias": f"{name}-other"}})


@edit("index", "", "settings.index.default_pipeline", "settings.index.search.default_pipeline", "aliases.{project}")
def unhook_the_pipelines_and_the_alias(hand: Hand) -> None:
    hand.set_index(**{"index.default_pipeline": "_none", "index.search.default_pipeline": None})
    hand.alias({"remove": {"index": hand.index, "alias": hand.project.name}})


@edit("index", "", "settings.index.blocks.read_only")
def block_the_index(hand: Hand) -> None:
    hand.set_index(**{"index.blocks.read_only": True})


@edit("search-template", "search", "script.source")
def edit_a_template(hand: Hand) -> None:
    hand.edit_template(f"{hand.project.name}-search", '"pagination_depth": 100', '"pagination_depth": 10')


@edit("search-template", "keyword-search", "script.source")
def edit_the_other_template(hand: Hand) -> None:
    hand.edit_template(f"{hand.project.name}-keyword-search", "title^3", "title^9")


@edit("search-template", "search", "")
def delete_a_template(hand: Hand) -> None:
    hand.client.delete_script(id=f"{hand.project.name}-search")


@edit("ingest-pipeline", "ingest", "")
def delete_the_ingest_pipeline(hand: Hand) -> None:
    hand.client.ingest.delete_pipeline(id=hand.ingest)


@edit("search-pipeline", "search", "")
def delete_the_search_pipeline(hand: Hand) -> None:
    hand.send("DELETE", f"/_search/pipeline/{hand.search}")


@edit("model", "text-search", "")
def delete_a_model(hand: Hand) -> None:
    hand.undeploy("text-search")
    hand.send("DELETE", f"{ML}/models/{hand.model('text-search')}")


@edit("connector", "text-search", "")
def delete_a_connector(hand: Hand) -> None:
    hand.send("DELETE", f"{ML}/connectors/{hand.connector('text-search')}")


@edit("index", "", "")
def delete_the_index(hand: Hand) -> None:
    hand.client.indices.delete(index=hand.index)


# Rounds, since one object can't be edited and deleted at once. In each, nothing needs what was taken away before it.
CHANGED = (
    describe_a_connector,
    edit_an_action,
    edit_parameters_and_tuning,
    describe_the_group,
    describe_a_model,
    rename_a_model,
    disable_a_model,
    undeploy_a_model,
    edit_and_add_a_processor,
    weigh_otherwise,
    edit_settings,
    open_the_mapping_and_edit_aliases,
    edit_a_template,
    edit_the_other_template,
    forbid_the_model_server,
)
ADDED_OR_REMOVED = (
    rename_the_group,
    throttle_a_model,
    point_a_model_elsewhere,
    remove_a_processor_and_forgive_failures,
    drop_the_normalisation,
    unhook_the_pipelines_and_the_alias,
    block_the_index,
)
DELETED = (
    delete_a_template,
    delete_the_ingest_pipeline,
    delete_the_search_pipeline,
    delete_a_model,
    delete_a_connector,
    delete_the_index,
)


def addresses(project: Project, edits: tuple[Edit, ...]) -> set[tuple[str, str]]:
    """(address, path) of all findings that the edits must lead to."""
    generation = f"{project.prefix}-v1"
    names: dict[str, Callable[[str], str]] = {
        "cluster-settings": lambda role: role,
        "model-group": lambda role: f"{project.prefix}-{role}",
        "connector": lambda role: f"{generation}-{role}",
        "model": lambda role: f"{generation}-{role}",
        "ingest-pipeline": lambda role: f"{generation}-{project.name}-{role}",
        "search-pipeline": lambda role: f"{generation}-{project.name}-{role}",
        "index": lambda role: f"{project.name}-1",
        "search-template": lambda role: f"{project.name}-{role}",
    }
    return {(f"{e.kind}/{names[e.kind](e.role)}", p.format(project=project.name)) for e in edits for p in e.paths}


def test_each_edit_by_hand_is_found_by_address_and_path_and_mended(project: Project) -> None:
    project.apply()
    assert project.run("drift", "--detailed-exitcode", "--json").json["findings"] == []
    count = 0
    for edits in (CHANGED, ADDED_OR_REMOVED, DELETED):
        hand = Hand(project)
        for each in edits:
            each.do(hand)
        project.wire.clear()
        findings = project.run("drift", "--detailed-exitcode", "--json", code=2).json["findings"]
        told = [(finding["address"], finding["path"]) for finding in findings]
        assert set(told) == addresses(project, edits)
        assert len(told) == len(set(told))
        count += len(told)
        text = project.run("drift").out
        assert project.wire.writes == []
        for address, path in told:
            assert address in text
            assert path in text
        project.run("apply")
        with project.provisioner() as made:
            left = made.plan()
        assert left.writes == left.blocked == ()
        assert drift(left) == []
    assert count >= 40


def test_a_field_that_somebody_added_is_told_and_said_to_stay(project: Project) -> None:
    project.run("apply")
    hand = Hand(project)
    properties = {"supplier": {"type": "keyword"}, "title": {"type": "text", "fields": {"raw": {"type": "keyword"}}}}
    project.client.indices.put_mapping(index=hand.index, body={"properties": properties})
    findings = project.run("drift", "--json").json["findings"]
    assert {finding["path"] for finding in findings} == {
        "mappings.properties.supplier",
        "mappings.properties.title.fields",
    }
    assert all("can't be taken from an index" in finding["note"] for finding in findings)
    project.wire.clear()
    project.run("apply")
    assert project.wire.writes == []


def test_what_only_a_new_index_can_mend_is_said_and_nothing_is_written(project: Project) -> None:
    project.run("apply")
    hand = Hand(project)
    body = project.client.indices.get(index=hand.index)[hand.index]
    project.client.indices.delete(index=hand.index)
    mappings = body["mappings"]
    mappings["properties"]["price"] = {"type": "long"}
    mappings["properties"]["image_vector"]["dimension"] = 256
    settings = {"index.knn": True, "number_of_replicas": 0}
    project.client.indices.create(index=hand.index, body={"mappings": mappings, "settings": settings})
    findings = project.run("drift", "--json").json["findings"]
    told = {finding["path"] for finding in findings if "migrate" in finding["note"]}
    assert {"mappings.properties.price.type", "mappings.properties.image_vector.dimension"} <= told
    project.wire.clear()
    refused = project.run("apply", code=1)
    assert "neuralshelf migrate" in refused.err
    assert [request for request in project.wire.writes if "-lock" not in request.path] == []


def test_settings_that_others_add_to_a_list_of_ours_are_their_business(project: Project) -> None:
    project.run("apply")
    trusted = project.client.cluster.get_settings(flat_settings=True)["persistent"][TRUSTED]
    Hand(project).set(TRUSTED, ["^https://other\\.example\\.com/.*$", *trusted])
    assert project.run("drift", "--json").json["findings"] == []
    project.run("plan", "--detailed-exitcode")
