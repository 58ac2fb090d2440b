"""verify on a real engine: a healthy deployment passes every check, and each seeded mismatch is named by one."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from opensearchpy import OpenSearch

from neuralshelf.client import connect
from neuralshelf.engine import Engine
from neuralshelf.provision.spaces import encode, read_spaces
from neuralshelf.provision.verify import Verification, verify
from tests.engine.conftest import ServedModels
from tests.engine.provision.mismatches import MISMATCHES
from tests.engine.provision.verify_shop import Shop, fill, two_models


@pytest.fixture(scope="module")
def shop(client: OpenSearch, engine: Engine, serve_models: Callable[..., ServedModels]) -> Iterator[Shop]:
    with two_models(client, engine, serve_models) as (project, text, picture, elsewhere):
        made = Shop(project, text, picture, elsewhere)
        fill(made)
        yield made


def named(verification: Verification) -> set[str]:
    """Names of the failed checks; each says what is there and what to do."""
    for check in verification.failures:
        assert check.found
        assert check.remedy, check
        assert "\n" not in check.found + check.remedy
    return {check.name for check in verification.failures}


def test_a_healthy_deployment_passes_every_check(shop: Shop) -> None:
    found = shop.verify()
    assert found.failures == ()
    assert found.ok
    assert all(check.ok for check in found.checks), [check for check in found.checks if not check.ok]
    assert {check.name for check in found.checks} == {
        "index",
        "alias",
        "vector-field",
        "space",
        "index-default",
        "ingest-pipeline",
        "search-pipeline",
        "search-template",
        "search",
        "model-deployed",
        "model-answers",
        "document-to-vector",
        "query-to-vector",
        "kept-vectors",
    }
    assert json.loads(json.dumps(found.as_dict()))["ok"] is True


def test_verify_sends_no_write(shop: Shop) -> None:
    wire = shop.project.wire
    wire.clear()
    deployment = shop.project.deployment()
    verify(connect(deployment.environment.cluster), deployment, shop.project.runtime())
    assert wire.requests
    assert [request for request in wire.writes if not request.path.endswith("/_simulate")] == []


@pytest.mark.parametrize("mismatch", MISMATCHES)
def test_a_seeded_mismatch_is_named(shop: Shop, mismatch: str) -> None:
    seed, name, words = MISMATCHES[mismatch]
    with seed(shop):
        found = shop.verify()
        assert not found.ok
        assert name in named(found), found.failures
        told = [check for check in found.failures if check.name == name]
        assert any(words in check.found for check in told), told


@pytest.mark.parametrize(
    ("mismatch", "names"),
    [
        (
            "the ingest model is pointed at another model of the same dimension",
            {"model-answers", "document-to-vector", "kept-vectors"},
        ),
        ("the search model is pointed at another model of the same dimension", {"model-answers", "query-to-vector"}),
        (
            "the ingest pipeline embeds once more by another model",
            {"ingest-pipeline", "document-to-vector", "kept-vectors"},
        ),
        ("the enricher names the model of pictures for texts", {"search-pipeline", "query-to-vector"}),
        ("the search pipeline has no enricher", {"search-pipeline", "query-to-vector"}),
    ],
)
def test_what_the_books_say_wrongly_is_seen_from_end_to_end_as_well(shop: Shop, mismatch: str, names: set[str]) -> None:
    with MISMATCHES[mismatch][0](shop):
        assert named(shop.verify()) == names


def test_after_all_that_the_deployment_is_healthy_again(shop: Shop) -> None:
    assert shop.verify().failures == ()


@pytest.fixture
def emptied(shop: Shop) -> Iterator[Callable[[Callable[[Any], None]], None]]:
    """The index made anew by hand, without documents; at the end it is what it was."""
    body = shop.client.indices.get(index=shop.index)[shop.index]
    settings = body["settings"]["index"]
    kept = {
        key: settings[key] for key in ("knn", "number_of_shards", "number_of_replicas", "default_pipeline", "search")
    }
    wanted = {"settings": {"index": kept}, "mappings": body["mappings"], "aliases": body["aliases"]}

    def make(change: Callable[[Any], None]) -> None:
        made = json.loads(json.dumps(wanted))
        change(made)
        shop.client.indices.delete(index=shop.index, ignore_unavailable=True)
        shop.client.indices.create(index=shop.index, body=made)

    with ExitStack() as stack:
        stack.callback(lambda: fill(shop))
        stack.callback(lambda: make(lambda _: None))
        yield make


def _field(**changes: Any) -> Callable[[Any], None]:
    def change(body: Any) -> None:
        vector = body["mappings"]["properties"]["text_vector"]
        vector.pop("space_type", None)
        vector["method"].pop("space_type", None)
        vector.update({"space_type": "cosinesimil"} | changes)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_field(space_type="l2"), "compares by l2"),
        (_field(dimension=256), "takes vectors of 256, its models give 384"),
        (lambda body: body["mappings"]["properties"].update(text_vector={"type": "float"}), "no knn_vector"),
    ],
    ids=["l2", "dimension", "type"],
)
def test_an_index_made_by_hand_with_another_vector_field_is_named(
    shop: Shop, emptied: Callable[[Callable[[Any], None]], None], change: Callable[[Any], None], words: str
) -> None:
    emptied(change)
    found = shop.verify()
    (check,) = [check for check in found.failures if check.name == "vector-field"]
    assert words in check.found
    assert check.remedy


def test_an_empty_index_passes_and_says_what_could_not_be_looked_at(
    shop: Shop, emptied: Callable[[Callable[[Any], None]], None]
) -> None:
    emptied(lambda _: None)
    found = shop.verify()
    assert found.ok
    skipped = {check.name for check in found.checks if check.ok is None}
    assert skipped == {"query-to-vector", "kept-vectors"}
    assert {check.found for check in found.checks if check.name == "query-to-vector"} == {
        "no document has this vector: nothing to score"
    }


def test_a_lost_index_is_named_before_all_else(shop: Shop, emptied: Callable[[Callable[[Any], None]], None]) -> None:
    shop.client.indices.delete(index=shop.index)
    found = shop.verify()
    assert found.failures[0].name == "index"
    assert "alias" in named(found)


def test_spaces_written_back_by_hand_are_read_as_they_were(shop: Shop) -> None:
    spaces = read_spaces(shop.client, shop.index)
    with shop.meta(lambda meta: meta.update(spaces=encode(spaces))):
        assert shop.verify().ok
