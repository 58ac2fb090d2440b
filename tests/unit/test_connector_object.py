"""Connectors get ids that the cluster can tell apart, since it refuses to delete the others."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from opensearchpy import ConflictError, OpenSearch

from neuralshelf.provision.objects.base import Writing
from neuralshelf.provision.objects.connector import ATTEMPTS, Connectors
from neuralshelf.resource import Kind, Resource

CONNECTOR = Resource(Kind.CONNECTOR, "p-text", {"description": "d"})
GOOD = "Xc3kV5oBAAbb_cc1dEfg"


@dataclass
class Recorded(Writing):
    """Writes nothing; a new connector gets the next of `ids`."""

    given: list[str] = field(default_factory=list)
    kept: frozenset[str] = frozenset()
    sent: list[str] = field(default_factory=list)

    def send(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        self.sent.append(f"{method} {path.rpartition('/')[2]}")
        if method == "DELETE" and path.rpartition("/")[2] in self.kept:
            raise ConflictError(409, "status_exception", "1 models are still using this connector")
        return {"connector_id": self.given.pop(0)} if method == "POST" else {}


def recorded(*given: str, kept: frozenset[str] = frozenset()) -> Recorded:
    return Recorded(OpenSearch(), "p", given=list(given), kept=kept)


@pytest.mark.parametrize("identity", [GOOD, "Xc3kV5oB-Abb_cc1dEfg", "-c3kV5oBAAbb_cc1dEfg", "Xc3kV5oBAAbb_cc1dEf-"])
def test_an_id_of_long_parts_is_kept(identity: str) -> None:
    writing = recorded(identity)
    assert Connectors().write(writing, CONNECTOR, None) == identity
    assert writing.sent == ["POST _create"]
    assert writing.unused == [identity]


@pytest.mark.parametrize("identity", ["Xc3kV5oBAAbb_cc1dE-V", "X-3kV5oBAAbb_cc1dEfg", "Xc3kV5oB-A-b_cc1dEfg"])
@pytest.mark.parametrize("kept", [False, True])
def test_an_id_with_a_short_part_is_given_back(identity: str, kept: bool) -> None:
    writing = recorded(identity, GOOD, kept=frozenset([identity] if kept else []))
    assert Connectors().write(writing, CONNECTOR, None) == GOOD
    assert writing.sent == ["POST _create", f"DELETE {identity}", "POST _create"]
    assert writing.unused == [GOOD]


def test_a_cluster_that_makes_no_other_ids_is_asked_a_few_times_only() -> None:
    ids = [f"Xc3kV5oBAA-b-cc1d{n:03}" for n in range(ATTEMPTS + 1)]
    assert Connectors().write(recorded(*ids), CONNECTOR, None) == ids[-1]
