"""The index of dead letters: written, repeated, settled, listed and dropped; and what happens when it can't be."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import ConnectionTimeout, OpenSearch, TransportError

from neuralshelf.errors import EngineError
from neuralshelf.ingestion.letters.deadletters import MOST_KNOWN, DeadLetters, Letter
from neuralshelf.pipelines.deadletters import deadletters_resource
from neuralshelf.provision.objects import OBJECTS, Writing
from neuralshelf.provision.provisioner import drift
from neuralshelf.resource import Kind
from neuralshelf.settings import VectorStore
from tests.engine.provision.conftest import MakeProject
from tests.engine.provision.deployment import SMALL

PREFIX = "undelivered-test"
SHOP = "undelivered"


@pytest.fixture
def letters(client: OpenSearch) -> Iterator[DeadLetters]:
    """An empty index of letters as `apply` makes it, beside an index of documents without models."""
    made = deadletters_resource(PREFIX, VectorStore())
    client.indices.create(index=f"{SHOP}-1", body={"aliases": {SHOP: {}}, "settings": {"number_of_replicas": 0}})
    OBJECTS[Kind.INDEX].write(Writing(client, PREFIX), made, None)
    yield DeadLetters(client, made.name, SHOP)
    client.indices.delete(index=f"{SHOP}-1,{made.name}", ignore_unavailable=True)


def letter(identity: str | None = "p1", code: str = "C", **values: Any) -> Letter:
    given: dict[str, Any] = {"cause": "refused", "attempts": 2, "source": "c.jsonl", "line": 1}
    return Letter(identity, code, **(given | values))


def only(letters: DeadLetters) -> Letter:
    (found,) = letters.find(documents=True)
    return found


@contextmanager
def resident() -> Iterator[Callable[[], int]]:
    """By how many bytes this process was larger inside than before, at most."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _peak()
    yield lambda: _peak() - before


def _peak() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@contextmanager
def requests(client: OpenSearch, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Method and path of each request."""
    sent: list[str] = []
    perform = client.transport.perform_request

    def noted(method: str, url: str, *rest: Any, **more: Any) -> Any:
        sent.append(f"{method} {url}")
        return perform(method, url, *rest, **more)

    with monkeypatch.context() as patched:
        patched.setattr(client.transport, "perform_request", noted)
        yield sent


def test_a_letter_that_comes_again_keeps_its_beginning_and_adds_its_attempts_up(letters: DeadLetters) -> None:
    letters.put([letter(document={"title": "old"})])
    before = only(letters)
    letters.put([letter(code="D", cause="refused\nonce more", attempts=3, line=5, document={"title": "new"})])
    after = only(letters)
    assert after.first == before.first == before.last
    assert after.last is not None
    assert before.last is not None
    assert after.last > before.last
    assert (after.attempts, after.code, after.cause) == (5, "D", "refused once more")
    assert (after.document, after.line) == ({"title": "new"}, 5)


def test_of_one_bulk_each_failure_of_a_document_counts(letters: DeadLetters) -> None:
    letters.put([letter(line=9), letter(code="D", line=9), letter(None), letter(None), letter(None, line=2)])
    assert letters.count() == 3
    assert {found.name: found.attempts for found in letters.find()} == {"p1": 4, "c.jsonl:1": 4, "c.jsonl:2": 2}


def test_a_row_whose_id_can_be_read_now_has_its_documents_letter_alone(letters: DeadLetters) -> None:
    letters.put([letter(None, "BadLine", line=1), letter(None, "BadLine", line=2)])
    DeadLetters(letters._client, letters.name, SHOP).put([letter("p1", "TruncatedPicture", line=1)])
    assert {found.name for found in letters.find()} == {"p1", "c.jsonl:2"}


def test_letters_are_found_by_code_and_by_document(letters: DeadLetters) -> None:
    letters.put([letter(f"p{n}", "even" if n % 2 == 0 else "odd") for n in range(5)])
    letters.put([letter(None, "BadLine", line=2)])
    assert letters.codes() == {"even": 3, "odd": 2, "BadLine": 1}
    assert {found.document_id for found in letters.find(code="odd")} == {"p1", "p3"}
    assert [found.code for found in letters.find(document_id="p4")] == ["even"]
    assert [found.code for found in letters.find(document_id="c.jsonl:2")] == ["BadLine"]
    assert sorted(letters.ids()) == ["p0", "p1", "p2", "p3", "p4"]
    assert letters.count(code="even") == 3
    assert letters.drop(code="even") == 3
    assert letters.drop() == 3
    assert letters.codes() == {}


def test_documents_that_are_in_lose_their_letters_and_nothing_is_sent_for_others(
    letters: DeadLetters, client: OpenSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters.put([letter("a"), letter("b"), letter(None, line=7)])
    assert letters.settled(["a", "x"]) == 1
    assert list(letters.ids()) == ["b"]
    assert letters.settled(source="other.jsonl", lines=[7]) == 0
    assert letters.settled(source="c.jsonl", lines=[6, 7]) == 1
    with requests(client, monkeypatch) as sent:
        assert letters.settled([f"p{n}" for n in range(1000)]) == 0
    assert sent == []
    letters.put([letter("c")])
    assert letters.settled(["b", "c"]) == 2
    assert letters.count() == 0


def test_with_too_many_letters_to_know_settled_documents_lose_them_too(
    letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters.put([letter(f"p{n}") for n in range(12)])
    monkeypatch.setattr("neuralshelf.ingestion.letters.deadletters.MOST_KNOWN", 10)
    assert letters.settled([f"p{n}" for n in range(12, 0, -1)]) == 11
    assert list(letters.ids()) == ["p0"]
    assert MOST_KNOWN > 10


def test_a_letter_remembers_what_the_index_held(letters: DeadLetters, client: OpenSearch) -> None:
    client.index(index=SHOP, id="held", body={"title": "old"})
    letters.put([letter(n, document={"title": "new"}) for n in ("held", "none")] + [letter("no document")])
    fences = {found.document_id: found.fence for found in letters.find()}
    held, none = fences["held"], fences["none"]
    assert held is not None
    assert (held.index, held.seq_no, held.primary_term) == (f"{SHOP}-1", 0, 1)
    assert none is not None
    assert none.absent
    assert fences["no document"] is None


def test_hostile_documents_and_ids_reach_their_letters_or_are_left_out(letters: DeadLetters) -> None:
    documents: dict[str, Any] = {
        "names": {"": 1, "a..b": 2, ".": {"..": 3}},
        "numbers": {"large": 10**300, "small": 5e-324, "precise": 0.1, "whole": 2**63},
        "text": {"title": '\x00\x01"\\\u2028\u200e😀 {{x}} ${y}'},
        "\x1b[31m \t{{id}}/%2e%2e/é": {"title": "a"},
        "digits": {"n": 10**3000},
        "long name": {"k" * 60_000: 1},
        "\ud800": {"title": "a"},
    }
    letters.put([letter(identity, document=document) for identity, document in documents.items()])
    found = {kept.document_id: kept for kept in letters.find(documents=True)}
    assert len(found) == len(documents)
    left_out = {identity for identity, kept in found.items() if kept.left_out}
    assert left_out == {"digits", "long name", "?"}
    for identity in found.keys() - left_out:
        assert found[identity].document == documents[identity or ""]
    assert letters.settled(documents) == len(documents)


def test_letters_with_large_documents_are_not_held_together(letters: DeadLetters) -> None:
    letters.put(letter(f"p{n}", document={"title": "x" * 900_000}) for n in range(60))
    letters.count()
    with resident() as grown:
        assert (
            sum(len(found.document["title"]) for found in letters.find(documents=True) if found.document) == 54_000_000
        )
    assert grown() < 100_000_000


def test_ten_thousand_letters_are_listed_page_by_page(letters: DeadLetters) -> None:
    letters.put(letter(f"p{n}", cause="x" * 400, document={"title": "x" * 1000}) for n in range(10_000))
    assert letters.count() == 10_000
    with resident() as grown:
        assert len({found.key for found in letters.find(newest_first=True)}) == 10_000
        assert sum(1 for _ in letters.ids()) == 10_000
    assert grown() < 20_000_000
    assert letters.drop() == 10_000


ACTIONS: Mapping[str, Callable[[DeadLetters], object]] = {
    "put": lambda letters: letters.put([letter("b")]),
    "settled": lambda letters: letters.settled(["a"]),
    "drop": lambda letters: letters.drop(),
    "find": lambda letters: list(letters.find()),
    "count": lambda letters: letters.count(),
}


def refused(letters: DeadLetters, *actions: str, hint: str) -> None:
    """Each of the actions is refused in words that name the index and the next step."""
    for action in actions:
        with pytest.raises(EngineError) as fault:
            ACTIONS[action](DeadLetters(letters._client, letters.name, SHOP))
        assert letters.name in str(fault.value)
        assert hint in str(fault.value)


def test_without_the_index_nothing_is_written_and_no_other_one_is_made(
    letters: DeadLetters, client: OpenSearch
) -> None:
    client.indices.delete(index=letters.name)
    refused(letters, *ACTIONS, hint="neuralshelf apply")
    assert not client.indices.exists(index=letters.name)
    client.indices.create(index=letters.name, body={"settings": {"number_of_replicas": 0}})
    refused(letters, "put", hint=f"DELETE /{letters.name}")


def test_an_index_that_takes_no_writes_keeps_its_letters(letters: DeadLetters, client: OpenSearch) -> None:
    letters.put([letter("a")])
    client.indices.close(index=letters.name)
    refused(letters, *ACTIONS, hint=f"POST /{letters.name}/_open")
    client.indices.open(index=letters.name)
    client.indices.put_settings(index=letters.name, body={"index.blocks.write": True})
    try:
        refused(letters, "put", "settled", "drop", hint="index.blocks")
        assert only(letters).document_id == "a"
    finally:
        client.indices.put_settings(index=letters.name, body={"index.blocks.write": None})


def test_a_letter_that_the_cluster_was_too_busy_for_is_written_later(
    letters: DeadLetters, client: OpenSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = [ConnectionTimeout("TIMEOUT", "too slow", Exception()), TransportError(429, "rejected_execution_exception")]
    bulk = client.bulk

    def answer(**words: Any) -> Any:
        if busy:
            raise busy.pop()
        return bulk(**words)

    monkeypatch.setattr("neuralshelf.bulk.FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(client, "bulk", answer)
    letters.put([letter("a")])
    assert only(letters).document_id == "a"


def test_apply_makes_the_index_once_drift_sees_it_go_and_destroy_takes_it(make_project: MakeProject) -> None:
    project = make_project(SMALL)
    name = f"{project.prefix}-deadletters"
    assert "neuralshelf apply" in project.run("deadletters", "list", code=1).err
    project.apply()
    body = project.client.indices.get(index=name)[name]
    assert body["mappings"]["dynamic"] == "strict"
    assert "spaces" not in body["mappings"]["_meta"]
    assert project.prefix in body["mappings"]["_meta"]["neuralshelf"]
    assert body["aliases"] == {}
    assert body["settings"]["index"]["hidden"] == "true"
    with project.provisioner() as made:
        project.wire.clear()
        again = made.plan()
        made.apply(again)
        assert (again.writes, again.notes, project.wire.writes) == ((), (), [])
        DeadLetters.of(project.client, project.deployment()).put([letter()])
        assert drift(made.plan()) == []
    assert project.run("deadletters", "list", "--json").json["count"] == 1
    project.edit("index.version", 2)
    with project.provisioner() as made:
        assert name not in json.dumps([change.as_dict() for change in made.plan().writes])
        project.client.indices.delete(index=name)
        assert name in json.dumps([change.as_dict() for change in drift(made.plan())])
    project.edit("index.version", 1)
    project.apply()
    project.run("destroy", "--yes")
    assert not project.client.indices.exists(index=name, expand_wildcards="all")
