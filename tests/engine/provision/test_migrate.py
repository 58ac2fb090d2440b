"""A new model under load: nothing lost, nothing stale, nothing refused; and back again."""

import time

import pytest
from opensearchpy import OpenSearch

from neuralshelf.provision.migration import migrate, rollback
from neuralshelf.provision.provisioner import Provisioner
from tests.engine.conftest import ServedModels, ServeModels, ToyEncoder
from tests.engine.provision.conftest import MakeProject
from tests.engine.provision.deployment import FULL, Project
from tests.engine.provision.traffic import assert_same, fill, traffic

# OpenSearch says so at the first _update of an index with a pipeline.
pytestmark = pytest.mark.filterwarnings("ignore:the index .* has a default ingest pipeline")

TEXT = dict(FULL) | {
    "connectors": {"text": FULL["connectors"]["text"]},
    "index": {
        "fields": FULL["index"]["fields"],
        "vectors": {"text_vector": FULL["index"]["vectors"]["text_vector"]},
    },
    "search": {"keyword": ["title^3", "brand"], "weights": {"keyword": 0.5, "text_vector": 0.5}, "filters": ["brand"]},
}


def apply(project: Project) -> None:
    made = Provisioner(project.client, project.deployment(), project.runtime())
    made.apply(made.plan(), show=lambda _: None)


def next_generation(project: Project, server: ServedModels, dimension: int | None = None) -> None:
    """The configuration with another model of texts."""
    project.server = server
    project.environ = {"SHOP_ACCESS_KEY": server.access_key, "SHOP_SECRET_KEY": server.secret_key}
    project.environment["runtime"]["url"] = server.url
    if dimension:
        project.config["connectors"]["text"]["dimension"] = dimension
    project.edit("index.version", project.config["index"].get("version", 1) + 1)


@pytest.mark.slow
@pytest.mark.parametrize("number", [600, pytest.param(10_000, marks=pytest.mark.extended)])
def test_documents_move_to_another_dimension_and_back_under_load(
    make_project: MakeProject, serve_models: ServeModels, client: OpenSearch, number: int
) -> None:
    old, new = ToyEncoder(), ToyEncoder(default_dimension=256)
    project = make_project(TEXT, server=serve_models(text=old))
    apply(project)
    documents = fill(client, project.name, number)
    next_generation(project, serve_models(text=new), 256)
    with traffic(client, project.name, f"{project.name}-search", documents) as shop:
        time.sleep(1)
        report = migrate(project.client, project.deployment(), project.runtime(), say=print)
        print(report, shop.writes, shop.searches, shop.slowest)
        time.sleep(1)
        assert not shop.failures, shop.failures[:5]
    assert report.live == f"{project.name}-2"
    assert len(report.kept) <= 3
    assert_same(client, f"{project.name}-2", documents, new, older=report.kept)
    with traffic(client, project.name, f"{project.name}-search", documents) as shop:
        time.sleep(3)
        back = rollback(project.client, project.deployment(), project.runtime(), say=print)
        print(back, shop.writes, shop.searches, shop.slowest)
        time.sleep(1)
        assert not shop.failures, shop.failures[:5]
    assert back.swap_seconds is not None
    assert back.swap_seconds < 30
    assert_same(client, f"{project.name}-1", documents, old, older=[*report.kept, *back.kept])
