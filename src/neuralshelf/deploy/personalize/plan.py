"""Wanted and observed to calls: pure, without network and clock."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from neuralshelf.deploy.calls import Call
from neuralshelf.deploy.names import digest
from neuralshelf.deploy.personalize.data import Data
from neuralshelf.deploy.personalize.observed import Observed, Thing, argument
from neuralshelf.deploy.personalize.wanted import Wanted
from neuralshelf.deploy.plan import object_deletions, role_calls, role_deletion, same
from neuralshelf.errors import DeployError

Json = Any


def plan_up(wanted: Wanted, found: Observed, data: Data) -> tuple[Call, ...]:
    """What is missing, in an order in which each call only needs what is finished before it.

    What failed is deleted and made anew; jobs and versions can't be deleted, so they get a successor. New data is
    imported in the place of the old and learned from; the campaign goes over to the new version by itself. An import
    leaves no data in the bucket.

    Raises:
        DeployError: there is no bucket.
    """
    if not found.bucket:
        raise DeployError(f"bucket {wanted.bucket} is not there", hint="neuralshelf deploy makes it; then once more")
    return (*_access(wanted, found), *_chain(wanted, found, data))


def plan_down(wanted: Wanted, found: Observed) -> tuple[Call, ...]:
    """Everything that is ours goes, what stands on something before that.

    Raises:
        DeployError: something of others stands on it.
    """
    if found.foreign:
        hint = "delete it first, or leave all of it"
        raise DeployError(f"{found.foreign[0]} is not of {wanted.names.prefix} and stands on what is", hint=hint)
    order = (found.campaign, *found.trackers, found.solution, *found.datasets, found.group, *found.schemas)
    calls = [_delete(thing) for thing in order if thing]
    calls += _statements(wanted, found, [])
    calls += object_deletions(wanted.bucket, set(found.objects))
    if found.role:
        calls += role_deletion(wanted.names.personalize_role, found.role)
    return tuple(calls)


def plan_stop(found: Observed) -> tuple[Call, ...]:
    """Trainings that need not end, since what they train is going to be deleted."""
    return tuple(
        Call("personalize", "StopSolutionVersionCreation", each.subject, {"solutionVersionArn": each.arn})
        for each in found.versions
        if each.status.startswith("CREATE") and each.moving and not each.status.endswith("STOPPING")
    )


def plan_forget(wanted: Wanted, found: Observed, user: str, file: Path) -> tuple[Call, ...]:
    """What makes Personalize delete all of one person.

    Args:
        file: with the person, which is uploaded.

    Returns:
        none when that is going on already.

    Raises:
        DeployError: there is nothing that knows anybody.
    """
    if found.dataset is None:
        hint = "nothing is to be forgotten there"
        raise DeployError(f"{wanted.group} has no interactions on Amazon Personalize", hint=hint)
    base = f"{wanted.names.stem}-forget-{digest(user)}"
    if any(each.moving and each.name.startswith(base) for each in found.deletions):
        return ()
    job = _free(base, [each.name for each in found.deletions])
    key = f"{wanted.place}{job}.csv"
    return (
        *_access(wanted, found),
        _upload(wanted, key, file),
        Call("personalize", "CreateDataDeletionJob", f"data-deletion-job/{job}", wanted.forget(job, key)),
    )


def _access(wanted: Wanted, found: Observed) -> Iterator[Call]:
    """Role and leave to read the bucket."""
    yield from role_calls(wanted.role, found.role)
    yield from _statements(wanted, found, wanted.statements)


def _statements(wanted: Wanted, found: Observed, ours: list[Json]) -> Iterator[Call]:
    """Our statements in the bucket's own policy; those of others stay."""
    sids = {each["Sid"] for each in wanted.statements}
    there = found.statements or []
    others = [each for each in there if each.get("Sid") not in sids]
    if same([each for each in there if each.get("Sid") in sids], ours):
        return
    subject, parameters = f"bucket/{wanted.bucket}", {"Bucket": wanted.bucket}
    if others or ours:
        policy = json.dumps({"Version": "2012-10-17", "Statement": [*others, *ours]})
        yield Call("s3", "PutBucketPolicy", subject, {**parameters, "Policy": policy})
    else:
        yield Call("s3", "DeleteBucketPolicy", subject, parameters)


def _chain(wanted: Wanted, found: Observed, data: Data) -> Iterator[Call]:
    job = _free(f"{wanted.names.stem}-{data.mark}", [each.name for each in found.imports])
    key = f"{wanted.place}{data.sha256}.csv"
    bodies = wanted.calls(job, key)
    if not any(each.arn == wanted.arns["schema"] for each in found.schemas):
        yield _create("CreateSchema", f"schema/{wanted.schema}", bodies)
    yield from _made("DatasetGroup", f"dataset-group/{wanted.group}", found.group, bodies)
    yield from _made("Dataset", f"dataset/{wanted.group}/INTERACTIONS", found.dataset, bodies)
    tracker = found.trackers[0] if found.trackers else None
    yield from _made("EventTracker", f"event-tracker/{wanted.group}", tracker, bodies)
    new = found.imported is None or not wanted.is_import(found.imported.name, data.mark)
    if new:
        if key not in found.objects:
            yield _upload(wanted, key, data.file)
        yield _create("CreateDatasetImportJob", f"dataset-import-job/{job}", bodies)
    yield from _made("Solution", f"solution/{wanted.solution}", found.solution, bodies)
    if new or found.version is None:
        yield _create("CreateSolutionVersion", f"solution/{wanted.solution}", bodies)
    yield from _made("Campaign", f"campaign/{wanted.campaign}", found.campaign, bodies)
    yield from object_deletions(wanted.bucket, _done_with(wanted, found) | ({key} if new else set()))


def _done_with(wanted: Wanted, found: Observed) -> set[str]:
    """Objects that no job reads any more."""
    read = {f"{wanted.place}{each.name}.csv" for each in found.deletions if each.moving}
    return set(found.objects) - read


def _made(noun: str, subject: str, there: Thing | None, bodies: dict[str, Json]) -> Iterator[Call]:
    if there is not None and there.failed:
        yield _delete(there)
    if there is None or there.failed:
        yield _create(f"Create{noun}", subject, bodies)


def _free(base: str, taken: list[str]) -> str:
    """A name that no job has had: jobs stay, so a further one for the same has a number."""
    names = (base if number == 1 else f"{base}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def _create(operation: str, subject: str, bodies: dict[str, Json]) -> Call:
    return Call("personalize", operation, subject, bodies[operation])


def _delete(thing: Thing) -> Call:
    return Call("personalize", f"Delete{thing.noun}", thing.subject, {argument(thing.noun): thing.arn})


def _upload(wanted: Wanted, key: str, file: Path) -> Call:
    return Call("s3", "PutObject", f"s3://{wanted.bucket}/{key}", {"Bucket": wanted.bucket, "Key": key}, file)
