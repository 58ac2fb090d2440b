"""The transform jobs of a batch: begun or found, waited for, their answers brought here."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from neuralshelf.deploy.batch.cluster import start_by_cluster
from neuralshelf.deploy.batch.folder import S3Folder
from neuralshelf.deploy.batch.job import Job, Task, TransformJobs, how_to_go_on
from neuralshelf.deployment import Deployment
from neuralshelf.errors import ConfigError, ServerError
from neuralshelf.local.backfill import models_of
from neuralshelf.local.batch.parts import OUTPUT, Part, quiet
from neuralshelf.local.provisioning import say
from neuralshelf.local.stack import Stack


@dataclass(frozen=True)
class Ran:
    """One transform job of a batch.

    Attributes:
        files: of its input; `unanswered` of them have no answer.
        seconds: for which each instance is paid.
    """

    name: str
    connector: str
    model: str
    status: str
    reason: str
    files: int
    unanswered: int
    seconds: int
    instance_type: str
    instances: int


@dataclass(frozen=True)
class Step:
    """One job to be: its input, what it is told, where its files are."""

    part: Part
    task: Task
    folder: S3Folder
    into: Path

    def collect(self, job: Job) -> set[str]:
        """Download its answers; names of files without one."""
        return self.part.collect(self.folder / OUTPUT / job.name, self.folder, self.into / job.name)


Start = Callable[[Step, int], Job]
"""Creates that attempt of a step's job."""


def by_ourselves(jobs: TransformJobs) -> Start:
    """Jobs are started with this login."""
    return lambda step, number: jobs.start(step.task, number)


def by_cluster(stack: Stack, deployment: Deployment, steps: Sequence[Step]) -> Start:
    """The cluster starts jobs; whoever waits for them asks SageMaker.

    Raises:
        ConfigError: a connector has no action for it.
    """
    for connector in dict.fromkeys(step.part.connector for step in steps):
        if not getattr(deployment.config.connectors[connector], "batch", False):
            raise ConfigError(
                f"connector {connector} can't start jobs",
                hint=f"write batch: true to connectors.{connector}, then neuralshelf apply",
            )
    client = stack.client(deployment)
    models = models_of(client, deployment)

    def start(step: Step, number: int) -> Job:
        task = start_by_cluster(client, models[step.part.connector], step.task, number)
        say(f"the cluster follows {step.task.attempt(number)} as its task {task}")
        return Job(step.task.attempt(number), number, "InProgress")

    return start


def run(jobs: TransformJobs, steps: Sequence[Step], start: Start, minutes: float) -> list[Ran]:
    """Start what is not there, wait for all, download the answers."""
    begun: list[tuple[Task, Job]] = []
    try:
        for step in steps:
            begun.append((step.task, _begin(jobs, step, start)))
        ended = _waited(jobs, steps, begun, minutes * 60)
    except KeyboardInterrupt:
        if names := [job.name for _, job in begun if not job.over]:
            say(f"the jobs go on without us; {how_to_go_on(names)}")
        raise
    return [_ended(step, job) for step, job in zip(steps, ended, strict=True)]


def _waited(jobs: TransformJobs, steps: Sequence[Step], begun: Sequence[tuple[Task, Job]], seconds: float) -> list[Job]:
    """The jobs when all are over. On a terminal a bar shows how many files have answers."""
    total = sum(len(step.part.names) for step in steps)
    outputs = [step.folder / OUTPUT / job.name for step, (_, job) in zip(steps, begun, strict=True)]
    with tqdm(total=total, desc="transform", unit="file", file=sys.stderr, disable=quiet()) as bar:

        def look() -> None:
            if not quiet():
                bar.update(sum(1 for output in outputs for _ in output.objects()) - bar.n)

        return jobs.wait(begun, seconds=seconds, look=look)


def _begin(jobs: TransformJobs, step: Step, start: Start) -> Job:
    """The job of this input: the one that is there, unless it came to nothing, else a new one."""
    latest = jobs.latest(step.task)
    if latest is not None and (not latest.over or _useful(latest, step)):
        say(f"going on with transform job {latest.name} ({latest.status})")
        return latest
    number = 1
    if latest is not None:
        say(f"transform job {latest.name} {latest.status}{f': {latest.reason}' if latest.reason else ''}; once more")
        number = latest.number + 1
    step.part.upload(step.folder)
    job = start(step, number)
    where = f"{step.task.instances} x {step.task.instance_type}"
    say(f"started transform job {job.name}: {len(step.part.names)} files, model {step.task.model}, {where}")
    return job


def _useful(job: Job, step: Step) -> bool:
    """A job that has ended has answers to most of its input."""
    return job.status != "Stopped" and 2 * len(step.collect(job)) <= len(step.part.names)


def _ended(step: Step, job: Job) -> Ran:
    """The job with its answers on this machine.

    Raises:
        ServerError: it has none to speak of.
    """
    if job.status == "Stopped":
        raise ServerError(f"transform job {job.name} was stopped", hint="run it again: it begins anew")
    missing, files = step.collect(job), len(step.part.names)
    why = f"{job.status.lower()}{f': {job.reason}' if job.reason else ''}"
    if 2 * len(missing) > files:
        raise ServerError(
            f"transform job {job.name} {why}; {files - len(missing)} of {files} files were answered",
            hint=f"see streams {job.name}/… of /aws/sagemaker/TransformJobs in CloudWatch; run again: it begins anew",
        )
    if missing:
        say(f"transform job {job.name} {why}; what {len(missing)} of {files} files hold is embedded online")
    task = step.task
    paid = (job.seconds, task.instance_type, task.instances)
    return Ran(job.name, step.part.connector, task.model, job.status, job.reason, files, len(missing), *paid)
