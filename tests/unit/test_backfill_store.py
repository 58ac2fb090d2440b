"""Given vectors on disk: found by id, whatever the order of lines."""

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from neuralshelf.errors import InputError
from neuralshelf.ingestion.vectors.files import Faulty, Given
from neuralshelf.ingestion.vectors.store import VectorStore

SIZES = {"text_vector": 3, "image_vector": 2}


@pytest.fixture
def store() -> Iterator[VectorStore]:
    with VectorStore(SIZES) as made:
        yield made


def given(number: int, field: str = "text_vector") -> Given:
    vector = np.full(SIZES[field], number, np.float32)
    return Given("f", number, f"id{number}", field, vector, f"stamp {number}")


def test_shuffled_vectors_are_found_by_their_ids_bit_for_bit(store: VectorStore) -> None:
    lines = [given(number, field) for number in range(1, 3000) for field in SIZES]
    random.Random(1).shuffle(lines)
    store.fill(lines)
    for number in (1, 7, 1500, 2999):
        found = {line.field: line for line in store.of(f"id{number}") if isinstance(line, Given)}
        assert set(found) == set(SIZES)
        for field, line in found.items():
            assert line.vector.tolist() == [number] * SIZES[field]
            assert (line.made_from, line.line) == (f"stamp {number}", number)
    assert store.of("id0") == []


def test_faults_repetitions_and_unknown_ids_are_told_apart(store: VectorStore) -> None:
    nobody = Faulty("f", 9, None, None, "BadVectorLine", "not JSON \ud800")
    somebody = Faulty("f", 8, "id2", "text_vector", "ZeroVector", "zero")
    store.fill([given(1), given(1), given(1, "image_vector"), somebody, nobody, given(3)])
    assert store.counts() == {"vectors": 4, "repeated": 1, "faulty": 2, "nobodys": 1}
    assert store.fields("id1") == {"text_vector", "image_vector"}
    assert store.fields("id2") == set()
    assert store.of("id2") == [somebody]
    assert [fault.cause for fault in store.faulty(nobodys=True)] == ["not JSON ?"]
    assert [fault.cause for fault in store.faulty()] == ["zero", "not JSON ?"]
    store.met(["id1", "id1", "else"])
    assert store.unknown(1) == (2, ["id2"])
    assert store.unknown(9) == (2, ["id2", "id3"])


def test_ids_may_hold_anything_that_is_unicode(store: VectorStore) -> None:
    odd = ["a\0b", "a\0c", "É", "e\u0301", "'; DROP TABLE lines; --", "😀", " a", "a"]
    lines = [Given("f", n, name, "image_vector", np.array([n, 1], np.float32)) for n, name in enumerate(odd)]
    store.fill(lines)
    for number, name in enumerate(odd):
        (line,) = store.of(name)
        assert isinstance(line, Given)
        assert line.vector.tolist() == [number, 1]


def test_nothing_stays_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with VectorStore(SIZES) as store:
        store.fill([given(number) for number in range(1, 5000)])
        assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line_that_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with VectorStore(SIZES) as store, store._numbers, Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(store, "_numbers", full)
        with pytest.raises(InputError, match="No space left") as fault:
            store.fill([given(number) for number in range(1, 5000)])
        assert "TMPDIR" in fault.value.hint
