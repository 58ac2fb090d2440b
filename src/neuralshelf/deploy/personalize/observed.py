"""What Amazon Personalize has of one deployment now. Only reads."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from neuralshelf.deploy.calls import Aws
from neuralshelf.deploy.desired import Desired
from neuralshelf.deploy.observed import RoleState, role_state
from neuralshelf.deploy.personalize.wanted import Wanted
from neuralshelf.errors import DeployError

Json = Any


@dataclass(frozen=True)
class Thing:
    """Something on Personalize.

    Attributes:
        noun: as names of operations have it, `DatasetGroup`.
        status: as Personalize says it, `CREATE IN_PROGRESS`; "" of a schema, which has none.
        created: aware; None when Personalize doesn't say.
        reason: why it failed.
    """

    noun: str
    arn: str
    name: str
    status: str = ""
    created: datetime | None = None
    reason: str = ""

    @classmethod
    def of(cls, noun: str, found: Json) -> Self:
        """Of a description or of a line of a listing."""
        key = argument(noun)
        update = found.get("latestCampaignUpdate") or {}
        status = found.get("status", "")
        if status == "ACTIVE" and _moves(update.get("status", "")):
            status = f"UPDATE {update['status'].split()[-1]}"
        return cls(
            noun,
            found[key],
            found.get("name") or found.get("jobName") or found[key].rsplit("/", 1)[-1],
            status,
            found.get("creationDateTime"),
            found.get("failureReason") or update.get("failureReason") or "",
        )

    @property
    def subject(self) -> str:
        """`campaign/NAME`, the end of its ARN."""
        return self.arn.split(":", 5)[5]

    @property
    def moving(self) -> bool:
        """Whether its state passes by itself; nothing can be done to it meanwhile."""
        return _moves(self.status)

    @property
    def failed(self) -> bool:
        """Whether it is of no use."""
        return self.status.endswith(("FAILED", "STOPPED"))


@dataclass(frozen=True)
class Observed:
    """All of it.

    Attributes:
        bucket: whether it is there.
        statements: of the bucket's own policy; None when it has none.
        objects: keys in our place of the bucket.
        imports, versions, deletions: the oldest first.
        foreign: what stands on ours and is not ours, a text each.
        tracking: id for PutEvents; "" without a tracker.
    """

    bucket: bool
    statements: Json
    objects: frozenset[str]
    role: RoleState | None
    schemas: tuple[Thing, ...]
    group: Thing | None
    datasets: tuple[Thing, ...]
    trackers: tuple[Thing, ...]
    imports: tuple[Thing, ...]
    solution: Thing | None
    versions: tuple[Thing, ...]
    campaign: Thing | None
    deletions: tuple[Thing, ...]
    foreign: tuple[str, ...]
    tracking: str

    @property
    def things(self) -> tuple[Thing, ...]:
        """All that have a state, in the order of their making."""
        data = (self.group, *self.datasets, *self.trackers, *self.imports)
        found = (*data, self.solution, *self.versions, self.campaign, *self.deletions)
        return tuple(each for each in found if each)

    @property
    def dataset(self) -> Thing | None:
        """The one of interactions; an event tracker may have brought another."""
        return next((each for each in self.datasets if each.arn.endswith("/INTERACTIONS")), None)

    @property
    def imported(self) -> Thing | None:
        """The import job whose data is in the dataset: the newest of this dataset that did not fail."""
        dataset = self.dataset
        fit = [each for each in self.imports if not each.failed and dataset and not _older(each, dataset)]
        return fit[-1] if fit else None

    @property
    def version(self) -> Thing | None:
        """The newest version of the solution that has seen that data and did not fail."""
        job = self.imported
        fit = [each for each in self.versions if not each.failed and job and not _older(each, job)]
        return fit[-1] if fit else None


def observe(aws: Aws, wanted: Wanted) -> Observed:
    """Look at everything that `personalize` may make or delete.

    Raises:
        DeployError: AWS refuses, or something with a name that we need belongs to somebody else.
    """
    arns, bucket = wanted.arns, wanted.bucket
    there = aws.ask("s3", "HeadBucket", Bucket=bucket, ExpectedBucketOwner=wanted.names.account) is not None
    policy = aws.ask("s3", "GetBucketPolicy", Bucket=bucket) if there else None
    objects = aws.pages("s3", "ListObjectsV2", "Contents", Bucket=bucket, Prefix=wanted.place) if there else ()
    group = _owned(aws, wanted, "DatasetGroup", arns["group"])
    within = {"datasetGroupArn": arns["group"]}
    solution = _owned(aws, wanted, "Solution", arns["solution"]) if group else None
    campaign = _owned(aws, wanted, "Campaign", arns["campaign"])
    trackers = _listed(aws, "EventTracker", **within) if group else ()
    tracker = describe(aws, "EventTracker", trackers[0].arn) if trackers else None
    return Observed(
        bucket=there,
        statements=json.loads(policy["Policy"])["Statement"] if policy else None,
        objects=frozenset(item["Key"] for item in objects),
        role=role_state(aws, wanted.names, wanted.names.personalize_role),
        schemas=tuple(_schemas(aws, wanted)),
        group=group,
        datasets=_listed(aws, "Dataset", **within) if group else (),
        trackers=trackers,
        imports=tuple(each for each in _listed(aws, "DatasetImportJob") if wanted.is_import(each.name)),
        solution=solution,
        versions=_listed(aws, "SolutionVersion", solutionArn=arns["solution"]) if solution else (),
        campaign=campaign,
        deletions=_listed(aws, "DataDeletionJob", **within) if group else (),
        foreign=tuple(_foreign(aws, wanted, solution)) if group else (),
        tracking=str((tracker or {}).get("trackingId", "")),
    )


def standing(aws: Aws, desired: Desired) -> list[str]:
    """What `personalize` has made and `undeploy` leaves, and how it goes: it costs by the hour."""
    ranking = desired.deployment.config.ranking
    if ranking is None or not ranking.is_named:
        return []
    arns = Wanted.of(desired).arns
    found = [look(aws, noun, arns[key]) for noun, key in (("Campaign", "campaign"), ("DatasetGroup", "group"))]
    return [f"{each.subject}: neuralshelf personalize down deletes it" for each in found if each]


def describe(aws: Aws, noun: str, arn: str) -> Json:
    """As Personalize describes it; None when it is not there."""
    found = aws.ask("personalize", f"Describe{noun}", **{argument(noun): arn})
    return found[_small(noun)] if found else None


def look(aws: Aws, noun: str, arn: str) -> Thing | None:
    """How it is now; None when it is not there."""
    found = describe(aws, noun, arn)
    return Thing.of(noun, found) if found else None


def argument(noun: str) -> str:
    """Name of the parameter with its ARN: `DatasetGroup` → `datasetGroupArn`."""
    return f"{_small(noun)}Arn"


def _small(noun: str) -> str:
    return noun[0].lower() + noun[1:]


def _moves(status: str) -> bool:
    return status.endswith(("PENDING", "IN_PROGRESS", "STOPPING"))


def _older(thing: Thing, other: Thing) -> bool:
    return bool(thing.created and other.created and thing.created < other.created)


def _owned(aws: Aws, wanted: Wanted, noun: str, arn: str) -> Thing | None:
    """Something with one of our names.

    Raises:
        DeployError: it belongs to somebody else.
    """
    found = look(aws, noun, arn)
    if found is None:
        return None
    tags = aws.ask("personalize", "ListTagsForResource", resourceArn=arn)
    if tags is None:  # gone meanwhile
        return None
    if not wanted.names.owns({tag["tagKey"]: tag["tagValue"] for tag in tags["tags"]}):
        hint = (
            "give ranking.campaign another name" if noun == "Campaign" else "rename or delete it, or rename the project"
        )
        raise DeployError(f"{found.subject} is there and not of {wanted.names.prefix}", hint=hint)
    return found


def _listed(aws: Aws, noun: str, **parameters: Json) -> tuple[Thing, ...]:
    """All there are, the oldest first."""
    found = [Thing.of(noun, each) for each in _pages(aws, noun, **parameters)]
    return tuple(sorted(found, key=lambda each: (each.created.timestamp() if each.created else 0.0, each.arn)))


def _pages(aws: Aws, noun: str, **parameters: Json) -> Iterator[Json]:
    """By hand: boto3 has no paginator for deletion jobs."""
    while True:
        answer = aws.ask("personalize", f"List{noun}s", **parameters) or {}
        yield from answer.get(f"{_small(noun)}s", [])
        if not answer.get("nextToken"):
            return
        parameters["nextToken"] = answer["nextToken"]


def _schemas(aws: Aws, wanted: Wanted) -> Iterator[Thing]:
    for found in _pages(aws, "Schema"):
        if found["name"].startswith(f"{wanted.names.stem}-interactions-"):
            whole = describe(aws, "Schema", found["schemaArn"])
            if whole and wanted.is_schema(whole["name"], whole["schema"]):
                yield Thing.of("Schema", whole)


def _foreign(aws: Aws, wanted: Wanted, solution: Thing | None) -> Iterator[str]:
    """Solutions in our group, and campaigns of our solution, that somebody else has made: they keep ours from going."""
    arns = wanted.arns
    for each in _listed(aws, "Solution", datasetGroupArn=arns["group"]):
        if each.arn != arns["solution"]:
            yield each.subject
    for each in _listed(aws, "Campaign", solutionArn=arns["solution"]) if solution else ():
        if each.arn != arns["campaign"]:
            yield each.subject
