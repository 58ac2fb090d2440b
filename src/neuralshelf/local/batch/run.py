"""What `batch` does: requests → S3 → transform jobs → answers → index → S3 cleared. Killed anywhere, a run goes on.

Nothing is noted down to go on by. Requests that are made again are the same, so their digest finds the job, what is
uploaded, and what is downloaded.
"""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from neuralshelf.aws import service_client
from neuralshelf.connectors.spec import BedrockTitanMultimodal
from neuralshelf.deploy.batch.folder import S3Folder
from neuralshelf.deploy.batch.job import Task, TransformJobs, task_name
from neuralshelf.deploy.batch.model import deployed_model
from neuralshelf.deployment import Config, Deployment
from neuralshelf.engine.locks import try_lock
from neuralshelf.errors import ConfigError, InputError, LockedError
from neuralshelf.ingestion.admission import picture_limits
from neuralshelf.ingestion.vectors.objects import owners, picture_fields
from neuralshelf.ingestion.vectors.transform import Tally
from neuralshelf.local.backfill import Backfilled, Vectors, backfill_catalogue, request_catalogue
from neuralshelf.local.batch.parts import MANIFEST, OUTPUT, Part, PictureSet, Requests
from neuralshelf.local.batch.steps import Ran, Step, by_cluster, by_ourselves, run
from neuralshelf.local.loading import Options, open_catalogue
from neuralshelf.local.stack import Stack

FILES = 100
"""Files of requests at least, where rows suffice: a line that fails costs the answers to its whole file."""


@dataclass(frozen=True)
class BatchOptions:
    """How to run it.

    Attributes:
        only: connectors, or endpoints of connectors; none means all that SageMaker has.
        from_s3: folder in S3 with the pictures that rows name: they are embedded as they lie there.
        minutes: the most to wait for the jobs.
        keep: leave requests and answers in S3 and on this machine.
        through_opensearch: the cluster starts the jobs, with the credentials of its connectors.
    """

    only: Sequence[str] = ()
    from_s3: str | None = None
    instance_type: str = "ml.c6i.xlarge"
    instances: int = 1
    minutes: float = 24 * 60
    keep: bool = False
    through_opensearch: bool = False


@dataclass(frozen=True)
class Batched:
    """What a batch did.

    Attributes:
        requests: written, and rows of which none could be made.
        calls: what would be asked of SageMaker (`--dry-run`).
        filled: the answers in the index; None for a dry run.
    """

    requests: Tally
    jobs: tuple[Ran, ...] = ()
    calls: tuple[dict[str, Any], ...] = ()
    filled: Backfilled | None = None

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        found = {"requests": self.requests.as_dict(), "jobs": [asdict(job) for job in self.jobs]}
        return found | ({"calls": list(self.calls)} if self.filled is None else self.filled.as_dict())


def batch_catalogue(stack: Stack, deployment: Deployment, path: Path, options: Options, batch: BatchOptions) -> Batched:
    """Embed a catalogue with transform jobs of the models behind its endpoints, and index it.

    Raises:
        ConfigError: no bucket, no such connector or endpoint, or AWS does not let this login do it.
        LockedError: this batch is being run already.
        ServerError: a job failed, was stopped or is not over in time; nothing is indexed then.
        NeuralshelfError: as `backfill_catalogue`.
    """
    environment = deployment.environment
    if environment.hosting is None:
        raise ConfigError(
            f"environment {environment.name} has no section hosting",
            hint=f"write hosting: {{bucket: …, endpoints: …}} into environments/{environment.name}.yaml",
        )
    fields = _fields(deployment.config, batch.only)
    place = {"profile": environment.runtime.profile, "region": environment.runtime.region}
    sagemaker = service_client("sagemaker", "batch", **place)
    models = {}
    for connector in dict.fromkeys(fields.values()):
        models[connector] = deployed_model(sagemaker, _endpoint(deployment.config, connector))
    with _work_folder(stack, path) as work:
        s3 = service_client("s3", "batch", **place)
        if batch.from_s3 is not None:
            options = replace(options, pictures=batch.from_s3)
        requests, parts = _parts(deployment, path, options, batch, fields, work, s3)
        root = S3Folder(s3, environment.hosting.bucket, f"batch/{deployment.prefix}")
        steps = [_step(part, deployment.prefix, models[part.connector], batch, root, work) for part in parts]
        jobs = TransformJobs(sagemaker)
        if options.dry_run:
            latest = [jobs.latest(step.task) for step in steps]
            numbers = [job.number if job else 1 for job in latest]
            calls = [step.task.body(number) for step, number in zip(steps, numbers, strict=True)]
            return Batched(requests, calls=tuple(calls))
        start = by_cluster(stack, deployment, steps) if batch.through_opensearch else by_ourselves(jobs)
        ran = run(jobs, steps, start, batch.minutes)
        answers = [step.into / job.name for step, job in zip(steps, ran, strict=True)]
        filled = backfill_catalogue(stack, deployment, path, Vectors(answers), options)
        if not batch.keep:
            for step in steps:
                step.folder.clear()
            _remove(work)
    return Batched(requests, tuple(ran), filled=filled)


def _parts(
    deployment: Deployment,
    path: Path,
    options: Options,
    batch: BatchOptions,
    fields: dict[str, str],
    work: Path,
    s3: Any,
) -> tuple[Tally, list[Part]]:
    """The inputs of all jobs; requests are written now."""
    config = deployment.config
    parts: list[Part] = []
    requested = dict(fields)
    if batch.from_s3 is not None:
        pictured = {name: fields[name] for name in picture_fields(config.index) if name in fields}
        if not pictured:
            raise ConfigError("no chosen vector is made of a picture alone", hint="leave out --from-s3")
        source = S3Folder.of(s3, batch.from_s3)
        limit = picture_limits(config.connectors, config.index).max_encoded // 4 * 3
        for connector in dict.fromkeys(pictured.values()):
            mine = [name for name, its in pictured.items() if its == connector]
            whose = owners(open_catalogue(deployment, path, options).rows(), config.index, mine)
            parts.append(PictureSet.of(connector, source, whose, limit))
        requested = {name: connector for name, connector in fields.items() if name not in pictured}
    tally = Tally()
    if requested:
        folder = work / "requests"
        shutil.rmtree(folder, ignore_errors=True)
        tally = request_catalogue(deployment, path, folder, options, only=requested, files=FILES)
        parts += [Requests(connector, folder / connector) for connector in tally.made]
    if not parts:
        why = f": {tally.examples[0]}" if tally.examples else ""
        raise InputError(f"{path} has nothing to embed{why}", hint="neuralshelf ingest FILE --dry-run")
    return tally, parts


def _step(part: Part, deployment: str, model: str, batch: BatchOptions, root: S3Folder, work: Path) -> Step:
    name = task_name(deployment, part.label, part.digest(model))
    folder = root / name
    task = Task(
        name=name,
        deployment=deployment,
        model=model,
        manifest=f"{folder.address}/{MANIFEST}",
        output=f"{folder.address}/{OUTPUT}",
        largest=part.largest,
        instance_type=batch.instance_type,
        instances=batch.instances,
        pictures=part.pictures,
    )
    return Step(part, task, folder, work / "answers")


def _fields(config: Config, only: Sequence[str]) -> dict[str, str]:
    """Vector field -> connector, for those that a transform job is to make."""
    found = {
        name: vector.connector
        for name, vector in config.index.vectors.items()
        if not isinstance(config.connectors[vector.connector], BedrockTitanMultimodal)
    }
    if not found:
        raise ConfigError("batch transform is of SageMaker, and the models are Bedrock's", hint="neuralshelf ingest")
    known = {connector: _endpoint(config, connector) for connector in found.values()}
    for name in only:
        if name not in known and name not in known.values():
            named = ", ".join(f"{connector} ({endpoint})" for connector, endpoint in known.items())
            raise ConfigError(f"{name!r} is no SageMaker connector of the index", hint=f"choose one of {named}")
    return {name: c for name, c in found.items() if not only or c in only or known[c] in only}


def _endpoint(config: Config, connector: str) -> str:
    spec = config.connectors[connector]
    assert not isinstance(spec, BedrockTitanMultimodal)
    return spec.endpoint


@contextmanager
def _work_folder(stack: Stack, path: Path) -> Iterator[Path]:
    """This catalogue's folder, held against another run."""
    work = stack.folders.state / "batch" / hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    held = try_lock(work.with_suffix(".lock"))
    if held is None:
        raise LockedError(f"a batch of {path} is under way on this machine", hint="wait for its end")
    with held:
        work.mkdir(parents=True, exist_ok=True)
        yield work


def _remove(work: Path) -> None:
    """All at once, so that no half of the answers is left."""
    gone = work.with_suffix(".done")
    shutil.rmtree(gone, ignore_errors=True)
    work.replace(gone)
    shutil.rmtree(gone, ignore_errors=True)
