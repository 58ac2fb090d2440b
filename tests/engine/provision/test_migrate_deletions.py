"""Documents that clients delete, and make again in the very moment in which a rollback moves the alias back."""

from opensearchpy import OpenSearch

from neuralshelf.client import connect
from neuralshelf.provision.migration import Choices, migrate, rollback
from tests.engine.conftest import ServeModels, ToyEncoder
from tests.engine.provision.conftest import MakeProject
from tests.engine.provision.test_migrate import TEXT, apply, next_generation
from tests.engine.provision.traffic import assert_same, fill
from tests.engine.provision.wire import Request


def test_what_is_deleted_and_made_again_in_the_moment_of_a_rollback_is_there_as_it_was_left(
    make_project: MakeProject, serve_models: ServeModels, client: OpenSearch
) -> None:
    old, new = ToyEncoder(), ToyEncoder(default_dimension=256)
    project = make_project(TEXT, server=serve_models(text=old))
    apply(project)
    name = project.name
    documents = fill(client, name, 30)
    gone = {identity: documents.pop(identity) for identity in ("p0", "p1", "p2", "p3")}
    client.delete(index=name, id="p0")  # the old index has a client's tombstone of it
    client.delete(index=name, id="p3")
    next_generation(project, serve_models(text=new), 256)
    migrate(project.client, project.deployment(), project.runtime(), Choices())
    client.delete(index=name, id="p1")  # the old index gets a tombstone of the rollback
    moved = False

    def meanwhile(request: Request) -> None:
        nonlocal moved
        if "_aliases" in request.path and not moved:  # all is carried back that can be before the swap
            moved = True
            for identity in ("p0", "p1", "p2"):
                client.index(index=name, id=identity, body=gone[identity] | {"title": "made again"})
        elif moved and "_scripts" in request.path and "p2" in gone:  # the alias names the old index again
            del gone["p2"]
            client.delete(index=name, id="p2")

    project.wire.before = meanwhile
    deployment = project.deployment()
    back = rollback(connect(deployment.environment.cluster), deployment, project.runtime())
    project.wire.before = None
    assert back.live == f"{name}-1"
    assert "p2" not in gone
    documents |= {identity: gone[identity] | {"title": "made again"} for identity in ("p0", "p1")}
    assert_same(client, back.live, documents, old)
    settings = client.indices.get_settings(index=back.live, flat_settings=True)[back.live]["settings"]
    assert "index.gc_deletes" not in settings
