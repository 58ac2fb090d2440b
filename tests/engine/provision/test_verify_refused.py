"""A change that would let two vector spaces meet in one index is refused before anything names another model."""

from collections.abc import Callable, Iterator

import pytest
from opensearchpy import OpenSearch

from neuralshelf.engine import Engine
from neuralshelf.provision.verify import verify
from tests.engine.conftest import ServedModels
from tests.engine.provision.conftest import project_in_a_folder
from tests.engine.provision.deployment import ACCESS_KEY, FULL, SECRET_KEY, Project
from tests.engine.provision.encoders import Weighted
from tests.engine.provision.snapshot import changes, snapshot
from tests.engine.provision.verify_shop import CONNECTORS, two_models
from tests.engine.provision.wire import wire_to


class Shop:
    """A deployment that holds documents, a server with other weights, and the configuration it began with."""

    def __init__(self, project: Project, models: tuple[Weighted, Weighted], elsewhere: ServedModels) -> None:
        self.project = project
        self.text, self.picture = models
        self.elsewhere = elsewhere

    def move(self, server: ServedModels) -> None:
        """Let the configuration name another model server."""
        self.project.environment["runtime"]["url"] = server.url
        self.project.environ |= {ACCESS_KEY: server.access_key, SECRET_KEY: server.secret_key}
        self.project.write()


@pytest.fixture(scope="module")
def shop(client: OpenSearch, engine: Engine, serve_models: Callable[..., ServedModels]) -> Iterator[Shop]:
    with two_models(client, engine, serve_models) as (project, text, picture, elsewhere):
        client.index(index=project.name, body={"title": "red teapot", "brand": "Amber"}, params={"refresh": "true"})
        yield Shop(project, (text, picture), elsewhere)


@pytest.fixture(autouse=True)
def _as_it_was(shop: Shop) -> Iterator[None]:
    """Every test begins with the deployment as it was applied."""
    yield
    shop.text.seed, shop.picture.seed = 0, 5
    shop.move(shop.project.server)
    shop.project.edit("connectors", {name: dict(values) for name, values in CONNECTORS.items()})
    for field, vector in FULL["index"]["vectors"].items():
        shop.project.edit(f"index.vectors.{field}", dict(vector))


def _other_server(shop: Shop) -> None:
    shop.move(shop.elsewhere)


def _new_settings_and_other_weights(shop: Shop) -> None:
    shop.picture.seed = 9
    shop.project.edit("connectors.picture.search", {"read_timeout": 11})


def _dimension(shop: Shop) -> None:
    shop.project.edit("connectors.picture.dimension", 1024)


def _another_connector_for_a_field(shop: Shop) -> None:
    shop.project.edit("index.vectors.text_vector.connector", "picture")


def _a_new_connector_under_the_same_field(shop: Shop) -> None:
    shop.project.edit("connectors.fresh", {"kind": "sagemaker-clip", "endpoint": "neuralshelf-clip", "dimension": 384})
    shop.project.edit("index.vectors.text_vector.connector", "fresh")


REFUSED: dict[str, tuple[Callable[[Shop], None], str]] = {
    "an endpoint of another space": (_other_server, "other vectors than those in index"),
    "new client settings while other weights answer": (_new_settings_and_other_weights, "other vectors than those in"),
    "another dimension": (_dimension, "index.version"),
    "another of our models for a field": (_another_connector_for_a_field, "vectors"),
    "a new model for a field": (_a_new_connector_under_the_same_field, "vectors"),
}


@pytest.mark.parametrize("change", REFUSED)
def test_a_change_of_space_is_refused_and_what_is_used_stays_as_it_was(shop: Shop, change: str) -> None:
    edit, words = REFUSED[change]
    before = snapshot(shop.project.client)
    deployment, runtime = shop.project.deployment(), shop.project.runtime()
    edit(shop)
    done = shop.project.run("apply", code=1)
    assert words in done.err, done.err
    assert "migrate" in done.err
    found = changes(before, snapshot(shop.project.client))
    used = {address: what for address, what in found.items() if what != "added" and "model_groups/" not in address}
    assert used == {}  # a model group counts the models that ever were in it
    shop.text.seed, shop.picture.seed = 0, 5
    assert verify(shop.project.client, deployment, runtime).failures == ()


def test_the_same_model_behind_another_door_is_admitted(shop: Shop) -> None:
    titan = {"kind": "bedrock-titan-multimodal", "dimension": 384}
    shop.project.edit("connectors.picture", titan)
    shop.project.run("apply")
    found = verify(shop.project.client, shop.project.deployment(), shop.project.runtime())
    assert found.failures == ()
    shop.project.edit("connectors.picture", dict(CONNECTORS["picture"]))
    shop.project.run("apply")


@pytest.mark.parametrize("edited", ["weights", "connector"])
def test_with_an_empty_index_another_space_is_admitted_and_kept(
    client: OpenSearch, engine: Engine, serve_models: Callable[..., ServedModels], edited: str
) -> None:
    model = Weighted()
    server = serve_models(multimodal=Weighted(seed=5), text=model)
    config = {**FULL, "connectors": CONNECTORS}
    with wire_to(engine.url) as wire, project_in_a_folder(client, wire, server, config) as project:
        project.run("apply")
        if edited == "weights":
            model.seed = 4
            project.edit("connectors.text.search", {"read_timeout": 11})
        else:
            project.edit("index.vectors.text_vector.connector", "picture")
        project.run("apply")
        assert verify(client, project.deployment(), project.runtime()).failures == ()
