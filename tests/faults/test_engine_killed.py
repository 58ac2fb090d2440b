"""SIGKILL of OpenSearch amid an ingest, of its only node or of one of three: every document is there once."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from opensearchpy import OpenSearch
from starlette.types import ASGIApp

from neuralshelf.client import connect
from neuralshelf.engine.embedded import EmbeddedEngine
from neuralshelf.settings import ClusterConfig
from tests.engine.fixtures import ToyEncoder, _served, temporary_folders
from tests.engine.provision.conftest import project_in_a_folder
from tests.engine.provision.deployment import SMALL, Project
from tests.engine.provision.nodes import three_nodes
from tests.engine.provision.wire import Cut, Request, wire_to
from tests.faults.conftest import Shop
from tests.faults.faults import FAULTS, LATE
from tests.faults.faulty import FaultyServer
from tests.faults.ledger import Goods, indexed, ingest, write_goods, wrong

COUNT = 3_000


@contextmanager
def deployed(engine: EmbeddedEngine, replicas: int) -> Iterator[tuple[OpenSearch, Project, FaultyServer]]:
    """SMALL on a cluster of one's own, its models as slow as real ones."""
    made: list[FaultyServer] = []

    def wrap(app: ASGIApp) -> ASGIApp:
        made.append(FaultyServer(app, FAULTS))
        return made[0]

    client = connect(ClusterConfig(provider="url", url=engine.url))
    with (
        _served(engine, ToyEncoder(), ToyEncoder(), None, [], wrap) as server,
        wire_to(engine.url) as wire,
        project_in_a_folder(client, wire, server, SMALL) as project,
    ):
        project.environment["cluster"]["url"] = engine.url
        project.environment["store"] = {"replicas": replicas}
        project.write()
        project.run("apply")
        made[0].share(1.0, [LATE])
        yield client, project, made[0]
    client.close()


def kill_in_the_middle(
    victim: EmbeddedEngine, client: OpenSearch, project: Project, models: FaultyServer, goods: Goods
) -> None:
    """Ingest, SIGKILL the engine when a third is embedded, start it again, and let the ingest, or the next one, end."""
    before = models.calls
    process = project.start("ingest", str(goods.path), "--json", "--full-speed")
    try:
        while models.calls - before < COUNT // 16 // 3:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        pid = victim.status().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        victim.stop()
        begun = time.monotonic()
        victim.start(lambda *_: None)
        print(f"up again after {time.monotonic() - begun:.0f} s; calls of the model then {models.calls - before}")
        out, err = process.communicate(timeout=400)
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in err, err
    print(process.returncode, out, err)
    assert process.returncode in (0, 1), err
    if process.returncode == 1:
        assert "then ingest again: it goes on after row" in err
        report, _ = ingest(project, goods.path)
        assert (report["documents"], report["dead_letters"]) == (COUNT, 0)
    found = indexed(client, project.name)
    assert found.keys() == goods.titles.keys()
    assert not wrong(found, goods)
    assert project.run("deadletters", "list", "--json").json["count"] == 0


@pytest.mark.extended
def test_of_a_killed_engine_every_acknowledged_document_is_there_once(tmp_path: Path) -> None:
    goods = write_goods(tmp_path, COUNT)
    with temporary_folders() as folders:
        engine = EmbeddedEngine(ClusterConfig(java_heap="1g"), folders)
        try:
            engine.start(lambda *_: None)
            with deployed(engine, replicas=0) as (client, project, models):
                kill_in_the_middle(engine, client, project, models, goods)
        finally:
            engine.stop()


@pytest.mark.extended
@pytest.mark.filterwarnings("ignore:this request accesses system indices")
def test_of_three_nodes_one_may_be_killed(tmp_path: Path) -> None:
    goods = write_goods(tmp_path, COUNT)
    with three_nodes() as nodes, deployed(nodes[0], replicas=1) as (client, project, models):
        kill_in_the_middle(nodes[1], client, project, models, goods)


def test_answers_that_get_lost_on_their_way_lose_and_double_nothing(shop: Shop, tmp_path: Path) -> None:
    """The cluster has done what it was asked, or has not; who asked can't know."""
    goods = write_goods(tmp_path, 200)
    wire = shop.project.wire
    direct = shop.project.environment["cluster"]["url"]
    bulks: list[Request] = []

    def lose(first: int) -> None:
        if len(bulks) in (first, first + 2):
            raise Cut

    def before(request: Request) -> None:
        if request.path.startswith(f"/{shop.index}/_bulk"):
            bulks.append(request)
            lose(1)

    def after(request: Request) -> None:
        if request in bulks:
            lose(2)

    wire.clear()
    wire.before, wire.after = before, after
    shop.project.environment["cluster"]["url"] = wire.url
    shop.project.write()
    try:
        report, runs = ingest(shop.project, goods.path)
    finally:
        wire.clear()
        shop.project.environment["cluster"]["url"] = direct
        shop.project.write()
    assert len(bulks) > 4
    assert (runs, report["documents"], report["indexed"]) == (1, 200, 200)
    found = indexed(shop.client, shop.index)
    assert found.keys() == goods.titles.keys()
    assert not wrong(found, goods)
