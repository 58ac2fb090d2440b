"""The index of dead letters: what could not be indexed, why, and what is needed to try again."""

from neuralshelf.resource import Kind, Resource
from neuralshelf.settings import VectorStore
from neuralshelf.templates import render


def deadletters_name(prefix: str) -> str:
    """`PREFIX-deadletters`."""
    return f"{prefix}-deadletters"


def deadletters_resource(prefix: str, store: VectorStore) -> Resource:
    """The index for the deployment `prefix`: one for all generations, since letters outlive a migration.

    It has no vectors, no pipeline and no alias, and as many copies as the index that is searched.
    """
    body = render("deadletters/index.json.j2", replicas=store.replicas)
    return Resource(Kind.INDEX, deadletters_name(prefix), body)
