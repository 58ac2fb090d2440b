"""Transform jobs of SageMaker: what one is told, whether it is there already, and what became of it.

Jobs can't be deleted and their names can't be used again, so a name says what the job does:
`DEPLOYMENT-CONNECTOR-DIGEST-ATTEMPT`. DIGEST is of its input and its model: whoever runs the same batch again finds the
job that is under way or done. The next attempt is made when the last one failed or was stopped.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from neuralshelf.deploy.batch.calls import asking
from neuralshelf.deploy.batch.model import absent
from neuralshelf.errors import ServerError
from neuralshelf.templates import render

MAX_NAME = 63
MAX_ATTEMPTS = 99
MAX_PAYLOAD_MB = 100
"""Of a record, and of all records that are sent to an instance at once (CreateTransformJob, MaxPayloadInMB)."""

CONCURRENCY = 8
"""Requests to an instance at once: with TorchServe's one worker a core, one waits for each of four that work."""

POLL_SECONDS = 15.0
OVER = ("Completed", "Failed", "Stopped")


def task_name(deployment: str, label: str, digest: str) -> str:
    """`DEPLOYMENT-LABEL-DIGEST`, short enough for an attempt's number behind it."""
    room = MAX_NAME - len(f"-{digest[:12]}-{MAX_ATTEMPTS}")
    return f"{f'{deployment}-{label}'[:room].rstrip('-')}-{digest[:12]}"


@dataclass(frozen=True)
class Task:
    """What a job does, whichever attempt it is.

    Attributes:
        name: of `task_name`.
        deployment: `PROJECT-ENVIRONMENT`, a tag.
        model: the SageMaker model.
        manifest: address of the manifest of its input.
        output: address of a folder; each attempt gets one of its own in it.
        largest: bytes of the longest record.
        pictures: the input is pictures as they are, not lines of requests.
    """

    name: str
    deployment: str
    model: str
    manifest: str
    output: str
    largest: int
    instance_type: str
    instances: int
    pictures: bool = False

    @property
    def payload_mb(self) -> int:
        """A little more than the longest record takes."""
        return min(MAX_PAYLOAD_MB, self.largest // 1_000_000 + 2)

    @property
    def concurrency(self) -> int:
        """As many as fit: their payloads together may have 100 MB."""
        return max(1, min(CONCURRENCY, MAX_PAYLOAD_MB // self.payload_mb))

    def attempt(self, number: int) -> str:
        """Name of that attempt, from 1."""
        return f"{self.name}-{number}"

    def body(self, number: int) -> dict[str, Any]:
        """The request CreateTransformJob of an attempt."""
        name = self.attempt(number)
        found: dict[str, Any] = render(
            "batch/transform-job.json.j2", task=self, name=name, output=f"{self.output}/{name}"
        )
        return found


@dataclass(frozen=True)
class Job:
    """A job as SageMaker describes it.

    Attributes:
        number: of its attempt.
        status: InProgress, Stopping, or one of OVER.
        reason: why it failed, in SageMaker's words.
        seconds: for which each of its instances is paid; 0 until it has ended.
    """

    name: str
    number: int
    status: str
    reason: str = ""
    seconds: int = 0

    @property
    def over(self) -> bool:
        """It has ended."""
        return self.status in OVER


class TransformJobs:
    """The jobs of one account and region."""

    def __init__(self, sagemaker: Any) -> None:
        """`sagemaker`: a client of boto3."""
        self._sagemaker = sagemaker

    def latest(self, task: Task) -> Job | None:
        """The last attempt there is; None when there is none."""
        found = None
        for number in range(1, MAX_ATTEMPTS + 1):
            job = self.job(task, number)
            if job is None:
                break
            found = job
        return found

    def job(self, task: Task, number: int) -> Job | None:
        """One attempt; None when there is no such job."""
        from botocore.exceptions import ClientError

        name = task.attempt(number)
        with asking(f"transform job {name}"):
            try:
                said = self._sagemaker.describe_transform_job(TransformJobName=name)
            except ClientError as fault:
                if absent(fault):
                    return None
                raise
        begun, ended = said.get("TransformStartTime"), said.get("TransformEndTime")
        over = isinstance(begun, datetime) and isinstance(ended, datetime)
        seconds = round((ended - begun).total_seconds()) if over else 0
        return Job(name, number, said["TransformJobStatus"], said.get("FailureReason") or "", seconds)

    def start(self, task: Task, number: int) -> Job:
        """Create an attempt. One that another run has just created is taken as ours: its name says that it is the same.

        Raises:
            ConfigError: this login may not create jobs.
            ServerError: SageMaker refuses: a quota, an instance type, a role that can't read the bucket.
        """
        from botocore.exceptions import ClientError

        if number > MAX_ATTEMPTS:
            raise ServerError(f"transform job {task.name} has failed {MAX_ATTEMPTS} times", hint="look into its log")
        name = task.attempt(number)
        with asking(f"transform job {name}", "check quotas of the instance type for transform jobs, and the bucket"):
            try:
                self._sagemaker.create_transform_job(**task.body(number))
            except ClientError as fault:
                if fault.response.get("Error", {}).get("Code") != "ResourceInUse":
                    raise
        return Job(name, number, "InProgress")

    def wait(
        self,
        jobs: Sequence[tuple[Task, Job]],
        *,
        seconds: float,
        look: Callable[[], None] = lambda: None,
    ) -> list[Job]:
        """Wait until all have ended, and give them as they are then.

        Args:
            seconds: the most to wait.
            look: called after each look at the jobs.

        Raises:
            ServerError: one is not over by then. It goes on.
        """
        deadline = time.monotonic() + seconds
        while True:
            found = [job if job.over else self.job(task, job.number) or job for task, job in jobs]
            look()
            running = [job.name for job in found if not job.over]
            if not running:
                return found
            if time.monotonic() >= deadline:
                raise ServerError(
                    f"transform job {running[0]} is not over after {seconds / 60:.0f} minutes, and goes on",
                    hint=how_to_go_on(running),
                )
            jobs = [(task, job) for (task, _), job in zip(jobs, found, strict=True)]
            time.sleep(max(0.0, min(POLL_SECONDS, deadline - time.monotonic())))


def how_to_go_on(names: Sequence[str]) -> str:
    """What to do about jobs that run while nobody waits for them."""
    stop = "; ".join(f"aws sagemaker stop-transform-job --transform-job-name {name}" for name in names)
    return f"run the same command again to go on, or stop it: {stop}"
