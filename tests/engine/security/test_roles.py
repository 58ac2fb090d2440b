"""Each role does its own work through our real code, over TLS and with a login, and is refused that of the others."""

import json
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from opensearchpy import AuthenticationException, NotFoundError, OpenSearch, TransportError
from opensearchpy import ConnectionError as NoConnection

from neuralshelf.bulk import index_all
from neuralshelf.client import connect
from neuralshelf.errors import LockedError
from neuralshelf.ingestion.letters.deadletters import DeadLetters, Letter
from neuralshelf.provision.doctor.diagnose import diagnose
from neuralshelf.provision.guard import confirm
from neuralshelf.provision.lock import holder, locked, unlock
from neuralshelf.provision.roles import roles
from neuralshelf.provision.rotate import rotate
from neuralshelf.provision.verify.verb import verify
from neuralshelf.storefront import Question, Storefront
from tests.engine.conftest import ServedModels
from tests.engine.pipelines.conftest import Product
from tests.engine.provision.deployment import FULL, Project
from tests.engine.provision.snapshot import snapshot
from tests.engine.provision.sweep import sweep

from .node import SecuredNode, User
from .operations import API, INDEX, INGEST, ML, OPERATIONS, PROVISION, REFUSED, SEARCH

PAGES: tuple[dict[str, Any], ...] = ({"size": 5}, {"size": 5, "from": 5})


@dataclass
class Shop:
    """One deployment, and a user for each of its roles."""

    node: SecuredNode
    project: Project
    users: Mapping[str, User]
    clients: dict[str, OpenSearch] = field(default_factory=dict)

    def client(self, purpose: str) -> OpenSearch:
        """Logged in as the user of that role; one a role, since there are hundreds of requests."""
        if purpose not in self.clients:
            self.clients[purpose] = self.node.client(self.users[purpose])
        return self.clients[purpose]

    def run(self, purpose: str, verb: str, *words: str, code: int = 0) -> Any:
        """A verb of the command line as that user."""
        cluster = self.node.cluster(self.users[purpose])
        self.project.environment["cluster"] = cluster.model_dump(mode="json", exclude_none=True)
        self.project.write()
        return self.project.run(verb, *words, code=code)


@pytest.fixture(scope="module")
def shop(engine: SecuredNode, client: OpenSearch, model_server: ServedModels) -> Iterator[Shop]:
    """A deployment that is not applied yet, with its roles; whatever is left of it is swept away."""
    with suppress(NotFoundError):  # it lets everybody call bulk, mget and msearch, whatever their role says
        client.transport.perform_request("DELETE", f"{API}/rolesmapping/own_index")
    client.indices.create(index="others-1", body={"settings": {"number_of_replicas": 0}})
    before = snapshot(client)
    folder = Path(tempfile.mkdtemp(prefix="neuralshelf-roles-"))
    wire = cast(Any, SimpleNamespace(url=engine.url))
    project = Project.make(folder, "rolled", client, wire, model_server, FULL)
    project.edit("index.name", INDEX)
    users = {}
    for name, body in roles(project.deployment()).items():
        purpose = name.removeprefix(f"{project.prefix}-")
        users[purpose] = engine.add_user(client, f"{purpose}-user", name, body)
    made = Shop(engine, project, users)
    try:
        yield made
    finally:
        for opened in made.clients.values():
            opened.close()
        sweep(client, "rolled", before)
        sweep(client, INDEX, before)
        client.indices.delete(index="others-1")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def applied(shop: Shop) -> Shop:
    """The shop, provisioned by the provisioner."""
    shop.run(PROVISION, "plan", "--detailed-exitcode", code=2)
    shop.run(PROVISION, "apply")
    return shop


@pytest.fixture(scope="module")
def filled(applied: Shop, catalogue: list[Product]) -> Shop:
    """The shop with products, brought in by the one who ingests."""
    documents = {p.id: {k: p.document[k] for k in ("title", "brand", "price", "image")} for p in catalogue}
    client = applied.client(INGEST)
    confirm(client, applied.project.deployment(), roles=("ingest",))
    outcomes = index_all(client, INDEX, documents)
    assert [outcome.error for outcome in outcomes] == [None] * len(documents)
    client.indices.refresh(index=INDEX)
    return applied


def test_a_cluster_with_logins_lets_nobody_in_without_one(engine: SecuredNode) -> None:
    nobody = engine.cluster(engine.admin).model_copy(update={"auth": "none"})
    with pytest.raises(AuthenticationException):
        connect(nobody).info()
    file = engine.folder / "wrong.password"
    file.write_text("wrong")
    with pytest.raises(AuthenticationException):
        engine.client(User("admin", "wrong", file)).info()


def test_a_certificate_of_an_authority_that_was_not_named_is_not_trusted(engine: SecuredNode) -> None:
    unnamed = engine.cluster(engine.admin).model_copy(update={"ca_certs": None})
    with pytest.raises(NoConnection, match="CERTIFICATE_VERIFY_FAILED"):
        connect(unnamed).info()
    assert engine.client(engine.admin).info()["version"]["number"] == "2.19.1"


def test_a_login_without_a_role_may_do_nothing(engine: SecuredNode, shop: Shop, client: OpenSearch) -> None:
    nobody = engine.client(engine.add_user(client, "nobody", "nothing", {"cluster_permissions": []}))
    for method, path in (("GET", "/"), ("POST", f"/{INDEX}/_search"), ("GET", "/_cluster/health")):
        with pytest.raises(TransportError) as refused:
            nobody.transport.perform_request(method, path)
        assert refused.value.status_code == 403
    with pytest.raises(TransportError) as refused:
        nobody.bulk(body=[{"index": {"_index": INDEX, "_id": "a"}}, {"title": "a"}])
    assert refused.value.status_code == 403


def test_the_provisioner_has_nothing_left_to_do_after_an_apply(applied: Shop) -> None:
    applied.run(PROVISION, "plan", "--detailed-exitcode", code=0)
    applied.run(PROVISION, "drift", "--detailed-exitcode", code=0)


def test_the_provisioner_mends_what_others_have_edited(applied: Shop, client: OpenSearch) -> None:
    prefix = applied.project.prefix
    pipeline = f"{prefix}-v1-{INDEX}-search"
    client.indices.put_settings(index=f"{INDEX}-1", body={"index.number_of_replicas": 1})
    client.indices.update_aliases(body={"actions": [{"add": {"index": f"{INDEX}-1", "alias": f"{INDEX}-also"}}]})
    client.delete_script(id="rolled-search")
    client.transport.perform_request("DELETE", f"/_search/pipeline/{pipeline}")
    client.cluster.put_settings(body={"persistent": {"plugins.ml_commons.connector.private_ip_enabled": False}})
    query = {"query": {"term": {"name.keyword": f"{prefix}-v1-text-search"}}}
    found = client.transport.perform_request("POST", f"{ML}/models/_search", body=query)["hits"]["hits"]
    client.transport.perform_request("PUT", f"{ML}/models/{found[0]['_id']}", body={"is_enabled": False})
    applied.run(PROVISION, "plan", "--detailed-exitcode", code=2)
    applied.run(PROVISION, "apply")
    applied.run(PROVISION, "plan", "--detailed-exitcode", code=0)


def test_the_provisioner_rotates_connectors(applied: Shop) -> None:
    done = rotate(applied.client(PROVISION), applied.project.deployment(), applied.project.runtime(), force=True)
    assert len(done.connectors) == 4


def test_the_provisioner_locks_takes_over_and_unlocks(applied: Shop) -> None:
    client, prefix = applied.client(PROVISION), applied.project.prefix
    with locked(client, prefix, "test"), pytest.raises(LockedError), locked(applied.client(PROVISION), prefix, "test"):
        pass
    with locked(client, prefix, "test") as lock:
        assert unlock(client, prefix, lock.holder.id).id == lock.holder.id
    assert holder(client, prefix) is None


def test_the_one_who_ingests_does_so_by_command_and_checks_the_models_first(filled: Shop) -> None:
    catalogue = filled.project.folder / "more.jsonl"
    rows = [{"id": f"m{n}", "title": f"gold clock {n}", "brand": "Dahlia", "price": 7.5} for n in range(3)]
    catalogue.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = filled.run(INGEST, "ingest", str(catalogue), "--json")
    assert (done.json["indexed"], done.json["dead_letters"]) == (3, 0)
    assert "not checked" not in done.err


def test_the_one_who_ingests_changes_and_deletes_single_documents(filled: Shop) -> None:
    client = filled.client(INGEST)
    client.index(index=INDEX, id="single", body={"title": "a lamp"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that an update runs the pipeline is what we want
        client.update(index=INDEX, id="single", body={"doc": {"price": 3.0}})
    assert client.delete(index=INDEX, id="single")["result"] == "deleted"


def test_the_one_who_ingests_keeps_dead_letters_and_replays_them(filled: Shop) -> None:
    letters = DeadLetters.of(filled.client(INGEST), filled.project.deployment())
    known = letters.fences(["p0", "nothing"])
    assert not known["p0"].absent
    assert known["nothing"].absent
    letters.put([Letter(name, "C", "refused", 1, document={"title": "a mug"}) for name in ("r0", "r1", "r2")])
    assert letters.settled(["r0"]) == 1
    assert letters.codes() == {"C": 2}
    assert filled.run(INGEST, "deadletters", "replay", "--id", "r1", "--json").json["replayed"] == 1
    assert letters.drop() == 1
    filled.run(SEARCH, "deadletters", "list", code=1)


def test_the_one_who_ingests_finds_wrong_vectors_and_mends_them(filled: Shop, client: OpenSearch) -> None:
    client.index(index=INDEX, id="late", body={"title": "a clock"})
    stale = [{"update": {"_id": "late"}}, {"doc": {"title": "another clock"}}]
    assert not client.bulk(index=INDEX, body=stale)["errors"]
    found = filled.run(INGEST, "coverage", "--deep", "2", "--json", code=1).json
    assert found["vectors"]["text_vector"]["examples"] == {"stale": ["late"]}
    assert filled.run(INGEST, "repair", "--json").json["mended"] == {"text_vector": 1}
    filled.run(SEARCH, "coverage", code=1)
    client.delete(index=INDEX, id="late")


def test_the_one_who_searches_does_so_in_every_way(filled: Shop, catalogue: list[Product]) -> None:
    client, search = filled.client(SEARCH), filled.project.deployment().config.search
    picture = catalogue[7].picture

    def ask(*, template: str = search.template, **params: Any) -> list[dict[str, Any]]:
        body = {"id": template, "params": params}
        answer = client.transport.perform_request("POST", f"/{INDEX}/_search/template", body=body)
        return list(answer["hits"]["hits"])

    assert ask(text="red mug")
    assert ask(image=picture)[0]["_id"] == catalogue[7].id
    assert ask(text=catalogue[7].document["title"], image=picture)[0]["_id"] == catalogue[7].id
    assert {hit["_source"]["brand"] for hit in ask(text="red mug", brand="Birch", price_max=20)} == {"Birch"}
    assert ask(text="red mug", weights={"keyword": 1})
    pages = [hit["_id"] for page in PAGES for hit in ask(**page, text="red mug")]
    assert pages == [hit["_id"] for hit in ask(text="red mug", size=10)]
    assert ask(template=search.keyword_template, text="mug")
    neural = {"neural": {"text_vector": {"query_text": "red mug", "k": 3}}}
    assert client.search(index=INDEX, body={"query": neural, "_source": False})["hits"]["hits"]


def test_the_one_who_searches_serves_the_search_page_and_the_command(filled: Shop) -> None:
    config = filled.project.deployment().config
    page = Storefront(filled.client(SEARCH), config.index, config.search, None)
    assert page.answer(Question(text="red mug"))["hits"]
    assert page.facets()["total"] >= 36
    assert page.status()["products"] >= 36
    assert filled.run(SEARCH, "search", "red mug", "--json").json


def test_the_provisioner_verifies_and_diagnoses_what_is_filled(filled: Shop) -> None:
    client, deployment, runtime = filled.client(PROVISION), filled.project.deployment(), filled.project.runtime()
    deadline = time.monotonic() + 20  # of a picture's vector the score settles with the segments
    while (bad := [c for c in verify(client, deployment, runtime).checks if c.ok is False]) and (
        time.monotonic() < deadline
    ):
        time.sleep(1)
    assert bad == []
    found = diagnose(filled.node.cluster(filled.users[PROVISION]), client, deployment, runtime)
    assert found.findings == ()
    assert found.unchecked == ()


@pytest.mark.parametrize(("name", "purpose"), REFUSED)
def test_a_role_is_refused_what_is_not_its_own(filled: Shop, name: str, purpose: str) -> None:
    method, path, body, _ = OPERATIONS[name]
    with pytest.raises(TransportError) as refused:
        filled.client(purpose).transport.perform_request(method, path, body=body)
    assert refused.value.status_code == 403, refused.value.info


def test_of_a_bulk_only_the_items_for_the_own_index_are_written(filled: Shop, client: OpenSearch) -> None:
    lines: list[Any] = []
    targets = (INDEX, "others-1", "others-9", "rolled-test-lock", ".plugins-ml-config")
    for target in targets:
        lines += [{"index": {"_index": target, "_id": "smuggled"}}, {"title": "a mug"}]
    answer = filled.client(INGEST).bulk(body=lines)
    assert [item["index"]["status"] for item in answer["items"]] == [201, 403, 403, 403, 403]
    assert not client.exists(index="others-1", id="smuggled")
    client.delete(index=INDEX, id="smuggled")


def test_all_that_was_refused_changed_nothing(filled: Shop, client: OpenSearch) -> None:
    assert client.count(index="others-1")["count"] == 0
    assert not client.exists(index=INDEX, id="x")
    assert client.exists(index=INDEX, id="p0")
    filled.run(PROVISION, "plan", "--detailed-exitcode", code=0)


def test_the_provisioner_makes_another_generation_and_takes_everything_away(filled: Shop, client: OpenSearch) -> None:
    filled.project.edit("index.version", 2)
    filled.run(PROVISION, "apply")
    filled.project.edit("index.version", 1)
    filled.run(PROVISION, "destroy", "--yes")
    left = {key for key, body in snapshot(client).items() if "rolled" in f"{key} {body}" or f"/{INDEX}" in key}
    assert left == set()
