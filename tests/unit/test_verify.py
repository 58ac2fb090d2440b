"""verify without a cluster: which worker nodes have answered, when the counters tell it and when they don't."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from opensearchpy import AuthorizationException, OpenSearch

from neuralshelf.connectors.spec import SageMakerClip, SageMakerText
from neuralshelf.errors import ProvisionError
from neuralshelf.provision.verify import Check, Verification
from neuralshelf.provision.verify.models import LEAST_ROUNDS, MOST_ROUNDS, _through_all
from neuralshelf.provision.verify.subject import Model

TEXTS = SageMakerText(kind="sagemaker-text", endpoint="e", dimension=2)
PICTURES = SageMakerClip(kind="sagemaker-clip", endpoint="e", dimension=2)
WORKERS = ("a", "b", "c")


@dataclass
class Cluster:
    """Worker nodes that are asked in turn, as a coordinating node does it, and count their answers.

    Attributes:
        dead: workers that never get a question.
        others: questions that others ask between two of ours, all of worker `a`.
        forbidden: the counters may not be read.
    """

    dead: frozenset[str] = frozenset()
    others: int = 0
    forbidden: bool = False
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WORKERS, 7))
    asked: dict[str, int] = field(default_factory=lambda: {"text": 0, "image": 0})

    def __post_init__(self) -> None:
        self._turns: Iterator[str] = itertools.cycle(w for w in WORKERS if w not in self.dead)

    def perform_request(self, method: str, path: str, params: Any = None, body: Any = None) -> Any:
        if path.endswith("/stats"):
            if self.forbidden:
                raise AuthorizationException(403, "security_exception", {})
            predicted = {w: {"predict": {"ml_action_request_count": n}} for w, n in self.counts.items()}
            return {"nodes": {worker: {"models": {"m": counted}} for worker, counted in predicted.items()}}
        assert "/_predict/" in path
        self.counts["a"] += self.others
        self.counts[next(self._turns)] += 1
        self.asked["text" if body["text_docs"][0] is not None else "image"] += 1
        return {"inference_results": [{"output": [{"data": [1.0, 0.5]}]}]}


def ask(cluster: Cluster, spec: SageMakerText | SageMakerClip = TEXTS, workers: tuple[str, ...] = WORKERS) -> int:
    """Number of answers."""
    client = cast(OpenSearch, type("Client", (), {"transport": cluster}))
    return len(list(_through_all(client, Model("model/x", spec, "search", ("v",), "m"), workers)))


def test_one_question_a_worker_is_enough_when_nobody_else_asks() -> None:
    cluster = Cluster()
    assert ask(cluster) == 3
    assert cluster.counts == {"a": 8, "b": 8, "c": 8}


def test_texts_and_pictures_go_through_every_worker_each() -> None:
    cluster = Cluster()
    assert ask(cluster, PICTURES) == 6
    assert cluster.asked == {"text": 3, "image": 3}


def test_two_workers_are_not_given_all_texts_and_all_pictures_each() -> None:
    cluster = Cluster(dead=frozenset("c"))
    assert ask(cluster, PICTURES, ("a", "b")) == 4
    assert cluster.counts == {"a": 9, "b": 9, "c": 7}


@pytest.mark.parametrize("cluster", [Cluster(others=5), Cluster(forbidden=True)], ids=["others ask", "forbidden"])
def test_without_proof_by_counters_each_worker_is_asked_several_times(cluster: Cluster) -> None:
    assert ask(cluster) == LEAST_ROUNDS * len(WORKERS)


def test_a_worker_that_never_answers_is_an_error_after_a_bounded_number_of_questions() -> None:
    cluster = Cluster(dead=frozenset("b"))
    with pytest.raises(ProvisionError, match=f"1 worker nodes answered none of {MOST_ROUNDS * 3} questions"):
        ask(cluster)


def check(name: str, ok: bool | None) -> Check:
    return Check(name, "index/products-1", ok, "found", "" if ok is not False else "apply")


@pytest.mark.parametrize(
    ("results", "ok"),
    [([True, True], True), ([True, None], True), ([True, False], False), ([None, False], False), ([], False)],
)
def test_a_verification_is_good_when_nothing_failed_and_something_was_looked_at(
    results: list[bool | None], ok: bool
) -> None:
    found = Verification("products-1", tuple(check(f"c{number}", result) for number, result in enumerate(results)))
    assert found.ok is ok
    shown: Mapping[str, Any] = found.as_dict()
    assert shown["ok"] is ok
    assert [c["ok"] for c in shown["checks"]] == results
    assert len(found.failures) == results.count(False)
