"""`batch` from a catalogue to the index: every row ends there or with a letter, wherever a run is broken off."""

from collections.abc import Callable
from typing import Any

import pytest

from neuralshelf.deploy.batch_folder import S3Folder
from neuralshelf.deploy.batch_job import TransformJobs
from neuralshelf.local import batch
from tests.aws_batch.conftest import BatchShop, MakeBatchShop
from tests.engine.ingestion.test_backfill import cosine
from tests.engine.ingestion.test_ingest import letters, stored

FIELDS = ("text_vector", "image_vector")


def vectors(shop: BatchShop) -> dict[str, dict[str, Any]]:
    """Document -> its vectors."""
    found = stored(shop.project)
    return {identity: {name: body[name] for name in FIELDS if name in body} for identity, body in found.items()}


def assert_complete(shop: BatchShop) -> None:
    """Every row is in the index with all its vectors, and nothing is left in S3 or on this machine."""
    expected = {row["id"]: {"text_vector"} | ({"image_vector"} if "image" in row else set()) for row in shop.rows}
    assert {identity: set(found) for identity, found in vectors(shop).items()} == expected
    assert shop.keys() == []
    assert not list((shop.project.folder / "state" / "batch").glob("*/*"))


def test_a_catalogue_is_indexed_by_one_command_with_the_vectors_of_an_ingest(make_batch_shop: MakeBatchShop) -> None:
    shop = make_batch_shop(30)
    done = shop.batch_json()
    assert done["requests"]["made"] == {"text": 30, "picture": 15}
    assert (done["indexed"], done["given"]["complete"], done["dead_letters"]) == (30, 30, 0)
    jobs = {job["connector"]: job for job in done["jobs"]}
    assert {name: (job["model"], job["files"], job["unanswered"]) for name, job in jobs.items()} == {
        "text": ("minilm-model", 30, 0),
        "picture": ("clip-model", 15, 0),
    }
    assert_complete(shop)
    assert all(media == "application/json" for media, _ in shop.service.requests)
    made = vectors(shop)
    shop.project.run("ingest", str(shop.catalogue), "--restart")
    online = vectors(shop)
    assert made.keys() == online.keys()
    for identity, found in made.items():
        for name, value in found.items():
            assert cosine(value, online[identity][name]) >= 0.9999


def test_the_outputs_are_found_wherever_sagemaker_puts_them(make_batch_shop: MakeBatchShop) -> None:
    shop = make_batch_shop(6)
    shop.service.folder = lambda prefix: prefix
    shop.batch()
    assert_complete(shop)


class Killed(BaseException):
    """Ends a run as a signal would: nothing may catch it."""


def _after(kind: Any, name: str, monkeypatch: pytest.MonkeyPatch, calls: int = 1) -> Callable[[], None]:
    """Let the run end after that call of a step; returns what takes it back."""
    original = getattr(kind, name)
    left = [calls]

    def step(*words: Any, **named: Any) -> Any:
        found = original(*words, **named)
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return found

    monkeypatch.setattr(kind, name, step)
    return lambda: monkeypatch.setattr(kind, name, original)


STEPS = {
    "requests written": (batch, "request_catalogue", 1),
    "some uploaded": (S3Folder, "upload", 7),
    "manifest uploaded": (S3Folder, "put", 1),
    "first job started": (TransformJobs, "start", 1),
    "both jobs started": (TransformJobs, "start", 2),
    "jobs over": (TransformJobs, "wait", 1),
    "some downloaded": (S3Folder, "download", 9),
    "all downloaded": (batch, "_ended", 2),
    "indexed": (batch, "backfill_catalogue", 1),
    "half cleared": (S3Folder, "clear", 1),
    "all cleared": (S3Folder, "clear", 2),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_run_that_ends_after_any_step_is_gone_on_with(
    make_batch_shop: MakeBatchShop, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    shop = make_batch_shop(12)
    kind, name, calls = STEPS[step]
    mend = _after(kind, name, monkeypatch, calls)
    with pytest.raises(Killed):
        shop.batch()
    mend()
    shop.batch()
    assert_complete(shop)
    assert len(shop.service.jobs) == 2
    assert len(shop.service.requests) == 12 + 6
    assert letters(shop.project) == {}


def test_the_same_batch_again_is_a_new_attempt_and_the_same_index(make_batch_shop: MakeBatchShop) -> None:
    shop = make_batch_shop(8)
    shop.batch()
    before = vectors(shop)
    shop.batch()
    assert_complete(shop)
    assert vectors(shop) == before
    assert sorted(name[-2:] for name in shop.service.jobs) == ["-1", "-1", "-2", "-2"]


def test_a_record_that_its_model_refuses_costs_its_own_row_alone(make_batch_shop: MakeBatchShop) -> None:
    shop = make_batch_shop(20)
    shop.service.spoil = lambda name, data: None if name == "00004.jsonl" else data
    done = shop.batch_json()
    assert [job["unanswered"] for job in done["jobs"]] == [1, 1]
    assert (done["indexed"], done["given"]["complete"] + done["given"]["partly"]) == (20, 19)
    assert_complete(shop)
    assert "what 1 of 20 files hold is embedded online" in shop.err
