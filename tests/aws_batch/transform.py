"""Batch transform as SageMaker documents it, for the jobs in moto's books: moto itself runs nothing.

Each input object is cut into records, each record is filtered and sent to the model's container over HTTP, answers are
joined and assembled, and an object's output is written only when all of its records succeeded (CreateTransformJob;
Amazon SageMaker AI developer guide, "Associate Prediction Results with Input Records").
"""

import http.client
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import boto3
from moto.sagemaker import models as sagemaker_models
from moto.sagemaker.models import FakeTransformJob

REGION = "us-east-1"
ACCOUNT = "123456789012"
_CHILDREN = re.compile(r"\$\[('\w+'(?:,'\w+')*)\]")


class _NewJob(FakeTransformJob):
    """A job that has not been worked on yet: moto's own is completed when it is created."""

    def __init__(self, **said: Any) -> None:
        super().__init__(**said)
        self.transform_job_status = "InProgress"
        self.transform_end_time = None  # type: ignore[assignment]


class TransformService:
    """Runs jobs in a thread.

    Attributes:
        containers: model -> host and port of its container.
        folder: what comes between S3OutputPath and the name of an output; SageMaker's documentation shows both "" and
            the last folder of the input's prefix.
        spoil: gets the name of an output and its bytes; what it returns is written, None means nothing is.
        hold: jobs wait while it is set.
        requests: bodies and content types that the containers got.
    """

    def __init__(self, containers: Mapping[str, tuple[str, int]]) -> None:
        self.containers = containers
        self.folder: Callable[[str], str] = lambda prefix: ""
        self.spoil: Callable[[str, bytes], bytes | None] = lambda name, data: data
        self.hold = threading.Event()
        self.requests: list[tuple[str, bytes]] = []
        self._s3 = boto3.client("s3", region_name=REGION)
        self._taken: set[str] = set()

    @property
    def jobs(self) -> dict[str, Any]:
        """All jobs on record, by name."""
        backend = sagemaker_models.sagemaker_backends[ACCOUNT][REGION]
        return dict(backend.transform_jobs)

    def stop(self, name: str) -> None:
        """StopTransformJob, which moto does not have."""
        self.jobs[name].transform_job_status = "Stopped"
        self._taken.add(name)

    @contextmanager
    def running(self) -> Iterator["TransformService"]:
        """Work on whatever is created meanwhile."""
        over = threading.Event()
        original = sagemaker_models.FakeTransformJob
        sagemaker_models.FakeTransformJob = _NewJob  # type: ignore[assignment,misc]
        thread = threading.Thread(target=self._work, args=(over,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            over.set()
            thread.join(30)
            sagemaker_models.FakeTransformJob = original  # type: ignore[misc]

    def _work(self, over: threading.Event) -> None:
        while not over.wait(0.02):
            for name, job in self.jobs.items():
                if name not in self._taken and not self.hold.is_set():
                    self._taken.add(name)
                    self._run(job)

    def _run(self, job: Any) -> None:
        begun = job.transform_start_time
        failed = None
        with ThreadPoolExecutor(job.max_concurrent_transforms) as senders:
            for bucket, prefix, name in self._input(job.transform_input["DataSource"]["S3DataSource"]):
                data = self._s3.get_object(Bucket=bucket, Key=f"{prefix}{name}")["Body"].read()
                try:
                    output: bytes | None = self._transform(job, data, senders)
                except ValueError as fault:
                    failed = failed or str(fault)
                    continue
                assert output is not None
                output = self.spoil(name, output)
                if output is not None:
                    self._write(job, f"{self.folder(prefix)}{name}.out", output)
        job.failure_reason = "ClientError: See job logs for more information" if failed else ""
        job.transform_end_time = begun + timedelta(seconds=2)
        job.transform_job_status = "Failed" if failed else "Completed"

    def _input(self, source: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
        """Bucket, prefix and name of each object that a manifest names."""
        assert source["S3DataType"] == "ManifestFile"
        bucket, key = _address(source["S3Uri"])
        head, *names = json.loads(self._s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        bucket, prefix = _address(head["prefix"])
        for name in names:
            yield bucket, prefix, name

    def _transform(self, job: Any, data: bytes, senders: ThreadPoolExecutor) -> bytes:
        """The output of one object.

        Raises:
            ValueError: a record failed.
        """
        lines = job.transform_input["SplitType"] == "Line"
        records = [record for record in data.split(b"\n") if record] if lines else [data]
        answers = list(senders.map(lambda record: self._answer(job, record), records))
        end = b"\n" if job.transform_output["AssembleWith"] == "Line" else b""
        return b"".join(answer + end for answer in answers)

    def _answer(self, job: Any, record: bytes) -> bytes:
        rules = job.data_processing or {}
        sent = record
        if rules.get("InputFilter"):
            sent = json.dumps(selected(json.loads(record), rules["InputFilter"]), ensure_ascii=False).encode()
        if len(record) > job.max_payload_in_mb * 1_000_000:
            raise ValueError(f"a record of {len(record)} bytes is larger than MaxPayloadInMB")
        answer = self._invoke(job, sent)
        if rules.get("JoinSource") != "Input":
            return answer
        joined = json.loads(record) | {"SageMakerOutput": json.loads(answer)}
        return json.dumps(selected(joined, rules["OutputFilter"]), ensure_ascii=False).encode()

    def _invoke(self, job: Any, body: bytes) -> bytes:
        """POST /invocations; what the server can't do just now is repeated, what the client did wrong is not."""
        media = job.transform_input["ContentType"]
        self.requests.append((media, body))
        said = b""
        for _ in range(1 + job.model_client_config["InvocationsMaxRetries"]):
            connection = http.client.HTTPConnection(
                *self.containers[job.model_name], timeout=job.model_client_config["InvocationsTimeoutInSeconds"]
            )
            headers = {"Content-Type": media, "Accept": job.transform_output["Accept"]}
            connection.request("POST", "/invocations", body, headers)
            answer = connection.getresponse()
            said = answer.read()
            connection.close()
            if answer.status == 200:
                return said
            if answer.status < 500 and answer.status != 429:
                break
            time.sleep(0.05)
        raise ValueError(said.decode())

    def _write(self, job: Any, name: str, data: bytes) -> None:
        bucket, prefix = _address(job.transform_output["S3OutputPath"])
        self._s3.put_object(Bucket=bucket, Key=f"{prefix}/{name}", Body=data)


def selected(value: Any, path: str) -> Any:
    """The JSONPath that our jobs use: `$`, `$.name` and `$['a','b']`."""
    if path == "$":
        return value
    if path.startswith("$."):
        return value[path[2:]]
    found = _CHILDREN.fullmatch(path)
    assert found is not None, path
    return {name: value[name] for name in found[1].replace("'", "").split(",") if name in value}


def _address(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
