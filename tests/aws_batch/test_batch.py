"""`batch` from a catalogue to the index: every row ends there or with a letter, wherever a run is broken off."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from neuralshelf.connectors.resources import model_name
from neuralshelf.deploy.batch.cluster import start_by_cluster
from neuralshelf.deploy.batch.folder import S3Folder
from neuralshelf.deploy.batch.job import Task, TransformJobs
from neuralshelf.errors import ConfigError
from neuralshelf.local.batch import run as batch
from tests.aws_batch.conftest import BUCKET, BatchShop, MakeShop
from tests.aws_batch.transform import REGION
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


def test_a_catalogue_is_indexed_by_one_command_with_the_vectors_of_an_ingest(make_shop: MakeShop) -> None:
    shop = make_shop(30)
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


def test_the_outputs_are_found_wherever_sagemaker_puts_them(make_shop: MakeShop) -> None:
    shop = make_shop(6)
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
    "all downloaded": (batch, "run", 1),
    "indexed": (batch, "backfill_catalogue", 1),
    "half cleared": (S3Folder, "clear", 1),
    "all cleared": (S3Folder, "clear", 2),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_run_that_ends_after_any_step_is_gone_on_with(
    make_shop: MakeShop, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    shop = make_shop(12)
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


def test_the_same_batch_again_is_a_new_attempt_and_the_same_index(make_shop: MakeShop) -> None:
    shop = make_shop(8)
    shop.batch()
    before = vectors(shop)
    shop.batch()
    assert_complete(shop)
    assert vectors(shop) == before
    assert sorted(name[-2:] for name in shop.service.jobs) == ["-1", "-1", "-2", "-2"]


def test_a_record_that_its_model_refuses_costs_its_own_row_alone(make_shop: MakeShop) -> None:
    shop = make_shop(20)
    shop.rows[4]["title"] = "poison"
    shop.write()
    done = shop.batch_json(code=3)
    text = next(job for job in done["jobs"] if job["connector"] == "text")
    assert (text["status"], text["files"], text["unanswered"]) == ("Failed", 20, 1)
    assert "ClientError: See job logs" in text["reason"]
    assert "what 1 of 20 files hold is embedded online" in shop.err
    assert (done["indexed"], done["dead_letters"]) == (19, 1)
    assert letters(shop.project).keys() == {"p4"}
    del shop.rows[4]
    assert_complete(shop)


def test_lines_are_joined_by_id_and_what_is_wrong_with_one_is_its_letter(make_shop: MakeShop) -> None:
    shop = make_shop(20)

    def spoil(name: str, data: bytes) -> bytes:
        number = int(name[:5]) - 1
        row = json.loads(data)
        if row["vector"] == "image_vector":
            return data
        if number == 3:
            row["SageMakerOutput"] = {"code": 400, "message": "out of memory"}
        if number == 5:
            row["SageMakerOutput"] = [[0.0] * 384]
        if number == 7:
            return data + data
        if number == 9:
            return data + b"{torn\n"
        if number == 11:
            row["id"] = "stranger"
        return json.dumps(row).encode() + b"\n"

    shop.service.spoil = spoil
    done = shop.batch_json(code=3)
    found = {key: letter["code"] for key, letter in letters(shop.project).items()}
    assert found == {"p3": "ModelError", "p5": "ZeroVector", None: "BadVectorLine"}
    given = done["given"]
    assert (given["repeated"], given["nobodys"], given["unknown_ids"]) == (1, 1, ["stranger"])
    assert (done["documents"], done["indexed"], done["dead_letters"]) == (20, 18, 2)
    assert len(stored(shop.project)) == 18


def test_an_answer_that_is_missing_is_made_online(make_shop: MakeShop) -> None:
    shop = make_shop(20)
    shop.service.spoil = lambda name, data: None if name == "00004.jsonl" else data
    done = shop.batch_json()
    assert [(job["status"], job["unanswered"]) for job in done["jobs"]] == [("Completed", 1), ("Completed", 1)]
    assert_complete(shop)


def test_a_job_that_fails_as_a_whole_is_told_and_begun_anew(make_shop: MakeShop) -> None:
    shop = make_shop(6)
    good = [row["title"] for row in shop.rows]
    for row in shop.rows:
        row["title"] += " poison"
    shop.write()
    shop.batch("--connector", "text", code=1)
    assert "failed: ClientError: See job logs for more information; 0 of 6 files were answered" in shop.err
    assert "CloudWatch" in shop.err
    assert stored(shop.project) == {}
    shop.batch("--connector", "text", code=1)
    assert "Failed: ClientError: See job logs for more information; once more" in shop.err
    assert len(shop.service.jobs) == 2
    for row, title in zip(shop.rows, good, strict=True):
        row["title"] = title
    shop.write()
    shop.batch("--endpoint", "neuralshelf-minilm")
    assert len(shop.service.jobs) == 3
    assert set(stored(shop.project)) == {row["id"] for row in shop.rows}


def test_a_job_goes_on_without_us_and_one_that_was_stopped_is_begun_anew(
    make_shop: MakeShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop(6)
    shop.service.hold.set()
    shop.batch("--wait", "0", code=1)
    first = sorted(shop.service.jobs)
    for name in first:
        assert f"aws sagemaker stop-transform-job --transform-job-name {name}" in shop.err

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("neuralshelf.deploy.batch.job.time.sleep", interrupt)
        shop.batch(code=130)
    assert "go on without us" in shop.err
    assert shop.err.count("going on with transform job") == 2
    shop.service.stop(first[0])
    shop.batch("--wait", "0", code=1)
    assert f"transform job {first[0]} Stopped; once more" in shop.err
    shop.service.hold.clear()
    shop.batch()
    assert sorted(shop.service.jobs) == sorted([*first, f"{first[0][:-1]}2"])
    assert_complete(shop)


def test_a_job_that_is_stopped_while_we_wait_is_told(make_shop: MakeShop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = make_shop(2)
    shop.service.hold.set()
    monkeypatch.setattr(
        "neuralshelf.deploy.batch.job.time.sleep", lambda seconds: list(map(shop.service.stop, shop.service.jobs))
    )
    shop.batch(code=1)
    assert "was stopped; next: run it again: it begins anew" in shop.err


def test_nothing_is_sent_by_a_dry_run(make_shop: MakeShop) -> None:
    shop = make_shop(4)
    calls = shop.batch_json("--dry-run", "--instances", "2", "--instance-type", "ml.c5.xlarge")["calls"]
    assert [call["ModelName"] for call in calls] == ["minilm-model", "clip-model"]
    assert calls[0]["TransformResources"] == {"InstanceType": "ml.c5.xlarge", "InstanceCount": 2}
    assert calls[0]["DataProcessing"] == {
        "InputFilter": "$.input",
        "JoinSource": "Input",
        "OutputFilter": "$['id','vector','from','SageMakerOutput']",
    }
    assert (shop.keys(), shop.service.jobs, stored(shop.project)) == ([], {}, {})
    assert "CreateTransformJob" in shop.batch("--dry-run")


def test_what_is_kept_stays_and_is_used_again(make_shop: MakeShop) -> None:
    shop = make_shop(4)
    shop.batch("--keep")
    kept = shop.keys()
    assert sum(key.endswith(".out") for key in kept) == 4 + 2
    asked = len(shop.service.requests)
    shop.batch()
    assert len(shop.service.requests) == asked
    assert_complete(shop)


def test_what_can_not_be_run_is_said_before_anything_is_sent(make_shop: MakeShop) -> None:
    shop = make_shop(2)
    shop.batch("--connector", "nobody", code=2)
    assert "choose one of text (neuralshelf-minilm), picture (neuralshelf-clip)" in shop.err
    boto3.client("sagemaker", region_name=REGION).delete_endpoint(EndpointName="neuralshelf-clip")
    shop.batch(code=2)
    assert "endpoint neuralshelf-clip does not exist in us-east-1; next: neuralshelf deploy" in shop.err
    shop.s3.delete_bucket(Bucket=BUCKET)
    shop.batch("--connector", "text", code=1)
    assert "NoSuchBucket" in shop.err
    assert "hosting.bucket" in shop.err
    assert shop.service.jobs == {}


def test_the_cluster_can_start_the_jobs(make_shop: MakeShop) -> None:
    shop = make_shop(4)
    shop.batch("--through-opensearch")
    assert shop.err.count("the cluster follows") == 2
    assert sorted(job.model_name for job in shop.service.jobs.values()) == ["clip-model", "minilm-model"]
    assert_complete(shop)


def test_what_the_cluster_can_not_start_is_said(make_shop: MakeShop) -> None:
    shop = make_shop(2)
    shop.project.edit("connectors.text.batch", False)
    try:
        shop.batch("--through-opensearch", code=2)
    finally:
        shop.project.edit("connectors.text.batch", True)
    assert "connector text can't start jobs; next: write batch: true to connectors.text" in shop.err
    assert (shop.keys(), shop.service.jobs) == ([], {})
    client = shop.project.client
    name = model_name(shop.project.deployment().generation, "text", "search")  # its connector only predicts
    query = {"query": {"term": {"name.keyword": name}}}
    found = client.transport.perform_request("POST", "/_plugins/_ml/models/_search", body=query)
    (hit,) = found["hits"]["hits"]
    task = Task("job", "shop", "minilm-model", "s3://a/b", "s3://a/c", 1, "ml.c6i.xlarge", 1)
    with pytest.raises(ConfigError, match="the cluster's connector can't start jobs"):
        start_by_cluster(client, hit["_id"], task, 1)
    assert shop.service.jobs == {}
