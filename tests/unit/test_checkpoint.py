"""What is on disk while an ingest runs: never more than what is settled."""

import os
import random
from pathlib import Path

import pytest

from neuralshelf.errors import InputError
from neuralshelf.ingestion.checkpoint import Checkpoint, Frontier, Progress


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    path = tmp_path / "catalogue.jsonl"
    path.write_text("{}\n")
    return path


def test_a_row_counts_when_all_rows_before_it_are_settled() -> None:
    frontier = Frontier(Progress())
    for row, documents in ((1, 1), (2, 3), (5, 1)):
        frontier.add(row, documents)
    frontier.done(5, dead=True)
    frontier.done(2, dead=False)
    assert frontier.progress == Progress(0, 0, 0)
    frontier.done(1, dead=False)
    assert frontier.progress == Progress(1, 1, 0)
    frontier.done(2, dead=False)
    frontier.done(2, dead=True)
    assert frontier.progress == Progress(5, 3, 2)


def test_whatever_the_order_nothing_is_counted_twice_or_left_out() -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    frontier = Frontier(Progress(10, 7, 3))
    under_way: list[int] = []
    wanted = Progress(10, 7, 3)
    for row in range(11, 400):
        frontier.add(row, count := chance.randrange(1, 4))
        under_way += [row] * count
        chance.shuffle(under_way)
        while under_way and chance.random() < 0.7:
            dead = chance.random() < 0.2
            frontier.done(under_way.pop(), dead=dead)
            wanted = Progress(0, wanted.indexed + (not dead), wanted.dead_letters + dead)
    for row in under_way:
        frontier.done(row, dead=False)
    left = len(under_way)
    assert frontier.progress == Progress(399, wanted.indexed + left, wanted.dead_letters), f"seed {seed}"


def test_what_was_saved_is_loaded_for_the_same_catalogue_and_index_alone(tmp_path: Path, catalogue: Path) -> None:
    folder = tmp_path / "state"
    progress = Progress(12, 9, 3)
    saved = Checkpoint(folder, catalogue, "uuid-1").open()
    assert saved.save(progress, force=True)
    assert Checkpoint(folder, catalogue, "uuid-1").load() == progress
    assert Checkpoint(folder, catalogue, "uuid-2").load() == Progress()
    os.utime(catalogue, ns=(1, 1))
    assert Checkpoint(folder, catalogue, "uuid-1").load() == Progress()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"progress": 3}', '{"progress": {"row": 1, "more": 2}}', "\0"])
def test_a_damaged_one_means_the_beginning(tmp_path: Path, catalogue: Path, content: str) -> None:
    checkpoint = Checkpoint(tmp_path, catalogue, "uuid").open()
    checkpoint.path.write_text(content)
    assert checkpoint.load() == Progress()


def test_it_is_saved_once_a_second_and_whenever_it_is_forced(tmp_path: Path, catalogue: Path) -> None:
    checkpoint = Checkpoint(tmp_path, catalogue, "uuid").open()
    checkpoint.save(Progress(1, 1, 0))
    assert checkpoint.load() == Progress()
    checkpoint.save(Progress(2, 2, 0), force=True)
    assert checkpoint.load() == Progress(2, 2, 0)
    checkpoint.remove()
    assert checkpoint.load() == Progress()


def test_a_full_disk_leaves_the_old_one(tmp_path: Path, catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Checkpoint(tmp_path, catalogue, "uuid").open()
    assert checkpoint.save(Progress(1, 1, 0), force=True)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert not checkpoint.save(Progress(2, 2, 0), force=True)
    assert checkpoint.load() == Progress(1, 1, 0)
    assert [file.name for file in tmp_path.glob("*.new")] == []


def test_a_folder_that_cannot_be_made_is_said_at_the_beginning(tmp_path: Path, catalogue: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be written"):
        Checkpoint(tmp_path / "file" / "below", catalogue, "uuid").open()
