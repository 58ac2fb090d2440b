"""plan and apply through the command line: what they say, what they write, and when they refuse to."""

import copy
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neuralshelf.provision.provisioner import save
from tests.engine.provision.conftest import MakeProject
from tests.engine.provision.deployment import FULL, SMALL, Project
from tests.engine.provision.hand import Hand
from tests.engine.provision.snapshot import changes, snapshot


@pytest.fixture
def small(make_project: MakeProject) -> Project:
    return make_project(SMALL)


def test_a_plan_reads_only_and_says_by_its_exit_code_whether_there_is_something_to_do(project: Project) -> None:
    first = project.run("plan", "--detailed-exitcode", "--json", code=2)
    assert project.run("plan").code == 0
    assert {change["action"] for change in first.json["changes"]} == {"create"}
    assert project.wire.requests
    assert project.wire.writes == []
    project.run("apply")
    project.wire.clear()
    assert project.run("plan", "--detailed-exitcode", "--json").json["changes"] == []
    project.edit("connectors.text.ingest", {"read_timeout": 33})
    changed = project.run("plan", "--detailed-exitcode", "--json", code=2).json["changes"]
    address = f"connector/{project.prefix}-v1-text-ingest"
    told = {(change["action"], change["address"]): change["differences"] for change in changed}
    assert [d["path"] for d in told["replace", address]] == ["client_config.read_timeout"]
    assert address in project.run("plan").out
    assert project.wire.writes == []


def test_a_second_apply_writes_nothing(project: Project) -> None:
    project.run("apply")
    before = snapshot(project.client)
    project.wire.clear()
    project.run("apply")
    assert project.wire.requests
    assert project.wire.writes == []
    assert changes(before, snapshot(project.client)) == {}


def test_a_field_and_a_vector_are_added_to_an_index_in_place_and_never_refuse_a_document(small: Project) -> None:
    small.run("apply")
    index = f"{small.name}-1"
    small.client.index(index=small.name, id="old", body={"title": "red mug"}, refresh=True)
    space = small.client.indices.get_mapping(index=index)[index]["mappings"]["_meta"]["spaces"]["text_vector"]
    small.config = copy.deepcopy({**FULL, "project": small.name, "index": {"name": small.name, **FULL["index"]}})
    small.edit("search.template", f"{small.name}-search")
    assert any("brand: absent → " in line for line in small.run("plan").out.splitlines())
    refused: list[object] = []
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            answer = small.client.bulk(index=small.name, body=[{"index": {"_id": "w"}}, {"title": "blue mug"}])
            refused.extend(item["index"]["error"] for item in answer["items"] if "error" in item["index"])

    writer = threading.Thread(target=write)
    writer.start()
    small.run("apply")
    stop.set()
    writer.join()
    assert refused == []
    small.run("plan", "--detailed-exitcode")
    assert small.client.get(index=index, id="old")["_source"]["title"] == "red mug"
    spaces = small.client.indices.get_mapping(index=index)[index]["mappings"]["_meta"]["spaces"]
    assert spaces.keys() == {"text_vector", "image_vector"}
    assert spaces["text_vector"] == space


def test_a_saved_plan_is_what_is_done(project: Project) -> None:
    file = project.folder / "first.plan"
    shown = project.run("plan", "--out", str(file), "--json").json
    done = project.run("apply", str(file), "--json").json
    assert done["changes"] == shown["changes"]
    assert done["digest"] == shown["digest"] == json.loads(file.read_text("utf-8"))["digest"]
    project.run("plan", "--detailed-exitcode")
    project.edit("search.weights", {"keyword": 0.2, "text_vector": 0.4, "image_vector": 0.4})
    project.run("plan", "--out", str(file))
    project.wire.clear()
    project.run("apply", str(file))
    written = {r.path.split("?")[0] for r in project.wire.writes if "-lock" not in r.path}
    templates = {f"/_scripts/{project.name}-search"}
    assert written - templates == {f"/_search/pipeline/{project.prefix}-v1-{project.name}-search"}
    project.run("plan", "--detailed-exitcode")


def edit_the_cluster(project: Project, file: Path) -> None:
    Hand(project).edit_pipeline(f"_search/pipeline/{search_pipeline(project)}", lambda body: body.update(version=7))


def edit_an_alias(project: Project, file: Path) -> None:
    project.client.indices.put_alias(index=f"{project.name}-1", name=f"{project.name}-other")


def delete_an_object(project: Project, file: Path) -> None:
    project.client.delete_script(id=f"{project.name}-search")


def edit_the_configuration(project: Project, file: Path) -> None:
    project.edit("connectors.text.search", {"read_timeout": 8})


def change_a_secret(project: Project, file: Path) -> None:
    project.environ["SHOP_SECRET_KEY"] += "x"


def apply_it_before(project: Project, file: Path) -> None:
    project.run("apply", str(file))


def tamper_with_the_digest(project: Project, file: Path) -> None:
    tamper(file, lambda plan: plan | {"digest": "0" * len(plan["digest"])})


def tamper_with_a_step(project: Project, file: Path) -> None:
    tamper(file, lambda plan: plan | {"changes": [*plan["changes"][1:]]})


def tamper_with_a_difference(project: Project, file: Path) -> None:
    text = file.read_text("utf-8")
    assert "44" in text
    file.write_text(text.replace("44", "45"), "utf-8")


def tamper(file: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    file.write_text(json.dumps(change(json.loads(file.read_text("utf-8")))), "utf-8")


def search_pipeline(project: Project) -> str:
    return f"{project.prefix}-v1-{project.name}-search"


EVENTS: tuple[Callable[[Project, Path], None], ...] = (
    edit_the_cluster,
    edit_an_alias,
    delete_an_object,
    edit_the_configuration,
    change_a_secret,
    tamper_with_the_digest,
    tamper_with_a_step,
    tamper_with_a_difference,
    apply_it_before,
)


def test_a_saved_plan_that_no_longer_holds_is_refused_whatever_the_reason(small: Project) -> None:
    small.apply()
    small.edit("connectors.text.ingest", {"read_timeout": 44})
    file = small.folder / "stale.plan"
    right = dict(small.environ)
    for event in EVENTS:
        small.environ = dict(right)
        with small.provisioner() as made:
            save(made.plan(), file)
        event(small, file)
        small.wire.clear()
        refused = small.run("apply", str(file), code=4)
        assert "plan again" in refused.err, event
        assert refused.err.count("\n") == 1, event
        assert small.wire.writes == [], event


def test_a_saved_plan_that_cannot_be_read_is_one_line(small: Project) -> None:
    assert "no such.plan" in small.run("apply", "no such.plan", code=1).err
    (small.folder / "text.plan").write_text("not a plan")
    assert "text.plan" in small.run("apply", "text.plan", code=1).err
    assert small.wire.writes == []


def test_a_namesake_of_somebody_else_is_left_alone_until_adopted(small: Project) -> None:
    foreign = {"description": "somebody's", "processors": [{"set": {"field": "a", "value": "b"}}]}
    name = f"{small.prefix}-v1-{small.name}-ingest"
    small.client.ingest.put_pipeline(id=name, body=foreign)
    small.run("plan", "--detailed-exitcode", code=2)
    refused = small.run("apply", code=1)
    assert name in refused.err
    assert "--adopt" in refused.err
    assert [r for r in small.wire.writes if "-lock" not in r.path] == []
    assert small.client.ingest.get_pipeline(id=name)[name] == foreign
    small.run("apply", "--adopt")
    small.run("plan", "--detailed-exitcode")
