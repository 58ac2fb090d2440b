"""Desired and observed to calls: pure, without network and clock."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from neuralshelf.deploy.calls import Call
from neuralshelf.deploy.desired import Desired, Endpoint, Role, keys
from neuralshelf.deploy.observed import POLICY, EndpointState, Observed, RoleState

Json = Any

DELETE_AT_ONCE = 1000  # keys (S3, DeleteObjects)


@dataclass(frozen=True)
class Plan:
    """What to do, in this order.

    Attributes:
        failed: endpoints to delete, and to wait for their end, since nothing else can be done to a failed one.
        make: calls that make or change.
        serve: endpoints to wait for, with the configuration that they must have then.
        drop: endpoints to delete, and to wait for.
        clean: calls that delete what no endpoint needs any more.
    """

    failed: tuple[Call, ...] = ()
    make: tuple[Call, ...] = ()
    serve: tuple[tuple[str, str], ...] = ()
    drop: tuple[Call, ...] = ()
    clean: tuple[Call, ...] = ()

    @property
    def calls(self) -> tuple[Call, ...]:
        """All calls in order."""
        return (*self.failed, *self.make, *self.drop, *self.clean)


def plan_deploy(desired: Desired, observed: Observed) -> Plan:
    """What is missing, changed, or left over.

    A changed model is a new model, a new configuration and UpdateEndpoint, which serves the old one until the new one
    is up; the old ones go last. Endpoints, models and archives that the configuration names no more go, too.
    """
    make = [*_bucket(desired, observed), *_roles(desired, observed), *_uploads(desired, observed)]
    for endpoint in desired.endpoints:
        if endpoint.model["ModelName"] not in observed.models:
            make.append(_sagemaker("CreateModel", f"model/{endpoint.model['ModelName']}", endpoint.model))
    for endpoint in desired.endpoints:
        name = endpoint.config["EndpointConfigName"]
        if name not in observed.configs:
            make.append(_sagemaker("CreateEndpointConfig", f"endpoint-config/{name}", endpoint.config))
    failed = []
    for endpoint in desired.endpoints:
        state = observed.endpoints.get(endpoint.name)
        if state is not None and state.status == "Failed":
            failed.append(_delete_endpoint(endpoint.name))
            state = None
        make += _endpoint(endpoint, state)
    wanted = {endpoint.name for endpoint in desired.endpoints}
    gone = sorted(observed.endpoints.keys() - wanted)
    return Plan(
        failed=tuple(failed),
        make=tuple(make),
        serve=tuple((endpoint.name, endpoint.config["EndpointConfigName"]) for endpoint in desired.endpoints),
        drop=tuple(_delete_endpoint(name) for name in gone),
        clean=tuple(_left_over(desired, observed)),
    )


def plan_undeploy(desired: Desired, observed: Observed) -> Plan:
    """Everything goes; the bucket only where we made it and nobody else has put something in."""
    clean = [*_configs(observed, set()), *_models(observed, set())]
    bucket = observed.bucket
    if bucket is not None:
        name = desired.hosting.bucket
        for key, upload in bucket.uploads:
            parameters = {"Bucket": name, "Key": key, "UploadId": upload}
            clean.append(Call("s3", "AbortMultipartUpload", f"s3://{name}/{key}", parameters))
        clean += object_deletions(name, set(bucket.objects))
        if bucket.ours and not bucket.foreign:
            clean.append(Call("s3", "DeleteBucket", f"bucket/{name}", {"Bucket": name}))
    clean += _role_deletions(observed, set(observed.roles))
    return Plan(drop=tuple(_delete_endpoint(name) for name in sorted(observed.endpoints)), clean=tuple(clean))


def _bucket(desired: Desired, observed: Observed) -> Iterator[Call]:
    """All of it, or what is missing from one of ours; somebody else's is used as it is."""
    name = desired.hosting.bucket
    for number, (operation, parameters) in enumerate(desired.bucket.items()):
        if observed.bucket is None or (
            number > 0 and observed.bucket.ours and not observed.bucket.settings.get(operation, False)
        ):
            yield Call("s3", operation, f"bucket/{name}", parameters)


def _roles(desired: Desired, observed: Observed) -> Iterator[Call]:
    for role in desired.roles:
        yield from role_calls(role, observed.roles.get(role.name))


def role_calls(role: Role, there: RoleState | None) -> Iterator[Call]:
    """What makes a role, or changes it."""
    if there is None:
        yield Call("iam", "CreateRole", f"role/{role.name}", role.create)
    elif not same(there.trust, role.trust):
        parameters = {"RoleName": role.name, "PolicyDocument": json.dumps(role.trust)}
        yield Call("iam", "UpdateAssumeRolePolicy", f"role/{role.name}", parameters)
    if there is None or not same(there.policy, role.policy):
        yield Call("iam", "PutRolePolicy", f"role/{role.name}", _policy(role))


def _policy(role: Role) -> Json:
    return {"RoleName": role.name, "PolicyName": POLICY, "PolicyDocument": json.dumps(role.policy)}


def _uploads(desired: Desired, observed: Observed) -> Iterator[Call]:
    """An object appears when it is whole, and its key says what is inside: one that is there is right."""
    there = observed.bucket.objects if observed.bucket else frozenset()
    uploads = {key: archive for endpoint in desired.endpoints for key, archive in endpoint.uploads.items()}
    for key, archive in uploads.items():
        if key not in there:
            parameters = {"Bucket": desired.hosting.bucket, "Key": key}
            yield Call("s3", "PutObject", f"s3://{desired.hosting.bucket}/{key}", parameters, archive.file)


def _endpoint(endpoint: Endpoint, state: EndpointState | None) -> Iterator[Call]:
    subject = f"endpoint/{endpoint.name}"
    if state is None:
        yield _sagemaker("CreateEndpoint", subject, endpoint.create)
    elif state.config != endpoint.config["EndpointConfigName"] or state.status in {
        "OutOfService",
        "UpdateRollbackFailed",
    }:
        parameters = {key: value for key, value in endpoint.create.items() if key != "Tags"}
        yield _sagemaker("UpdateEndpoint", subject, parameters)


def _left_over(desired: Desired, observed: Observed) -> Iterator[Call]:
    yield from _configs(observed, {endpoint.config["EndpointConfigName"] for endpoint in desired.endpoints})
    yield from _models(observed, {endpoint.model["ModelName"] for endpoint in desired.endpoints})
    if observed.bucket:
        archives = {key for key in observed.bucket.objects if key.startswith(f"{desired.names.prefix}/models/")}
        yield from object_deletions(desired.hosting.bucket, archives - keys(desired.endpoints))
    if desired.hosting.role_arn:  # the role of OpenSearch stays: connectors use it until the next apply
        yield from _role_deletions(observed, {desired.names.execution_role} & set(observed.roles))


def _configs(observed: Observed, keep: set[str]) -> Iterator[Call]:
    for name in sorted(observed.configs.keys() - keep):
        yield _sagemaker("DeleteEndpointConfig", f"endpoint-config/{name}", {"EndpointConfigName": name})


def _models(observed: Observed, keep: set[str]) -> Iterator[Call]:
    for name in sorted(observed.models.keys() - keep):
        yield _sagemaker("DeleteModel", f"model/{name}", {"ModelName": name})


def object_deletions(bucket: str, found: set[str]) -> Iterator[Call]:
    """What deletes objects."""
    ordered = sorted(found)
    for first in range(0, len(ordered), DELETE_AT_ONCE):
        listed = [{"Key": key} for key in ordered[first : first + DELETE_AT_ONCE]]
        subject = f"s3://{bucket}/{listed[0]['Key']}" + (f" and {len(listed) - 1} more" if len(listed) > 1 else "")
        yield Call("s3", "DeleteObjects", subject, {"Bucket": bucket, "Delete": {"Objects": listed, "Quiet": True}})


def _role_deletions(observed: Observed, names: set[str]) -> Iterator[Call]:
    for name in sorted(names):
        yield from role_deletion(name, observed.roles[name])


def role_deletion(name: str, there: RoleState) -> Iterator[Call]:
    """What deletes a role."""
    if there.policy is not None:
        yield Call("iam", "DeleteRolePolicy", f"role/{name}", {"RoleName": name, "PolicyName": POLICY})
    yield Call("iam", "DeleteRole", f"role/{name}", {"RoleName": name})


def _delete_endpoint(name: str) -> Call:
    return _sagemaker("DeleteEndpoint", f"endpoint/{name}", {"EndpointName": name})


def _sagemaker(operation: str, subject: str, parameters: Json) -> Call:
    return Call("sagemaker", operation, subject, parameters)


def same(there: Json, wanted: Json) -> bool:
    """Whether two policy documents say the same; IAM gives a list of one back as its only element, or sorts it."""
    return bool(_plain(there) == _plain(wanted))


def _plain(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        found = sorted((_plain(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
        return found[0] if len(found) == 1 else found
    return value
