"""Connectors get ids that the cluster can tell apart, since it refuses to delete the others."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from opensearchpy import ConflictError, OpenSearch, Transport

from neuralshelf.provision.objects.base import Writing
from neuralshelf.provision.objects.connector import ATTEMPTS, Connectors, delete_left, distinct
from neuralshelf.resource import Kind, Resource

CONNECTOR = Resource(Kind.CONNECTOR, "p-text", {"description": "d"})
GOOD = "Xc3kV5oBAAbb_cc1dEfg"
THERE = "Za9kV5oBMiddle-c1dEfh"


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


class OneConnector(Transport):
    """A cluster that holds a connector already, of somebody else."""

    def perform_request(self, *words: Any, **named: Any) -> Any:
        return {"hits": {"hits": [{"_id": THERE}]}}


def recorded(*given: str, kept: frozenset[str] = frozenset()) -> Recorded:
    return Recorded(OpenSearch(transport_class=OneConnector), "p", given=list(given), kept=kept)


@pytest.mark.parametrize("identity", [GOOD, "Xc3kV5oB-Abb_cc1dEfg", "-c3kV5oBAAbb_cc1dEfg", "Xc3kV5oBAAbb_cc1dEf-"])
def test_an_id_of_long_parts_is_kept(identity: str) -> None:
    writing = recorded(identity)
    assert Connectors().write(writing, CONNECTOR, None) == identity
    assert writing.sent == ["POST _create"]
    assert writing.unused == [identity]


@pytest.mark.parametrize(
    "identity",
    ["Xc3kV5oBAAbb_cc1dE-V", "X-3kV5oBAAbb_cc1dEfg", "Xc3kV5oB-A-b_cc1dEfg", "zA9kv5obmiDDLE-q1dEfh", "Xc3kV5-C1DEFh"],
)
@pytest.mark.parametrize("kept", [False, True])
def test_an_id_with_a_short_part_or_one_of_another_id_is_given_back(identity: str, kept: bool) -> None:
    writing = recorded(identity, GOOD, kept=frozenset([identity] if kept else []))
    assert Connectors().write(writing, CONNECTOR, None) == GOOD
    assert writing.sent == ["POST _create", f"DELETE {identity}", "POST _create"]
    assert writing.unused == [GOOD]
    assert writing.left == [identity] * kept


def test_what_is_left_is_tried_again() -> None:
    writing = recorded(kept=frozenset("b"))
    writing.left = ["a", "b"]
    delete_left(writing)
    assert writing.sent == ["DELETE a", "DELETE b"]
    assert writing.left == ["b"]


def test_ids_are_told_apart_part_by_part() -> None:
    assert distinct("aaaa-bbbb", ["aaaabbbb", "aaaa_bbbb-cccc"])
    assert not distinct("aaaa-bbbb", ["cccc-BBBB"])


def test_a_cluster_that_makes_no_other_ids_is_asked_a_few_times_only() -> None:
    ids = [f"Xc3kV5oBAA-b-cc1d{n:03}" for n in range(ATTEMPTS + 1)]
    assert Connectors().write(recorded(*ids), CONNECTOR, None) == ids[-1]
