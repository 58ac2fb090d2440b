"""What is on AWS now, as far as it concerns one deployment. Only reads."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from neuralshelf.deploy.calls import Aws, Denied
from neuralshelf.deploy.names import Names, from_tag_list
from neuralshelf.errors import DeployError

Json = Any

POLICY = "neuralshelf"
"""Name of the one policy inside of each role of ours."""

FEW = 5  # keys of others, for a message

MOVING = {"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"}
"""States of an endpoint that pass; nothing can be done to it meanwhile."""


@dataclass(frozen=True)
class Bucket:
    """A bucket that we may use.

    Attributes:
        ours: made by this deployment.
        settings: operation -> what it would set is there. Looked at only where it is ours.
        objects: keys below our prefix.
        uploads: key and id of uploads that were broken off there.
        foreign: some keys of others.
    """

    ours: bool
    settings: dict[str, bool] = field(default_factory=dict)
    objects: frozenset[str] = frozenset()
    uploads: tuple[tuple[str, str], ...] = ()
    foreign: tuple[str, ...] = ()


@dataclass(frozen=True)
class RoleState:
    """A role of ours: who may take it on, and what it may do (None: nothing yet)."""

    trust: Json
    policy: Json


@dataclass(frozen=True)
class EndpointState:
    """An endpoint of ours.

    Attributes:
        status: as SageMaker says it, `InService`.
        config: name of its configuration.
        reason: why it failed.
    """

    status: str
    config: str
    reason: str = ""


@dataclass(frozen=True)
class Observed:
    """All of it.

    Attributes:
        models, configs: names of ours -> the endpoint they are for.
    """

    bucket: Bucket | None
    roles: dict[str, RoleState]
    models: dict[str, str]
    configs: dict[str, str]
    endpoints: dict[str, EndpointState]


def observe(aws: Aws, names: Names, *, bucket: str, endpoints: Iterable[str]) -> Observed:
    """Look at everything that deploy may make or delete.

    Args:
        bucket, endpoints: as the configuration names them. Endpoints that it names no more are found by their
            configurations, which live longer.

    Raises:
        DeployError: AWS refuses, or something with a name that we need belongs to somebody else.
    """
    models = dict(_versioned(aws, names, "ListModels", "Models", "ModelName", "ModelArn"))
    configs = dict(
        _versioned(aws, names, "ListEndpointConfigs", "EndpointConfigs", "EndpointConfigName", "EndpointConfigArn")
    )
    found = {name: endpoint_state(aws, names, name) for name in sorted({*endpoints, *configs.values()})}
    roles = {name: role_state(aws, names, name) for name in (names.execution_role, names.invoke_role)}
    return Observed(
        bucket=observe_bucket(aws, names, bucket),
        roles={name: role for name, role in roles.items() if role},
        models=models,
        configs=configs,
        endpoints={name: state for name, state in found.items() if state},
    )


def endpoint_state(aws: Aws, names: Names, name: str) -> EndpointState | None:
    """How an endpoint is; None when there is none.

    Raises:
        DeployError: it belongs to somebody else.
    """
    found = aws.ask("sagemaker", "DescribeEndpoint", EndpointName=name)
    if found is None:
        return None
    if not names.owns(_tags(aws, found["EndpointArn"])):
        hint = "give yours another name in hosting.endpoints and in the connector"
        raise DeployError(f"endpoint {name} is there and not of {names.prefix}", hint=hint)
    return _state(found)


def ask_again(aws: Aws, name: str) -> EndpointState | None:
    """How an endpoint of ours is now; None when it has gone."""
    found = aws.ask("sagemaker", "DescribeEndpoint", EndpointName=name)
    return _state(found) if found else None


def observe_bucket(aws: Aws, names: Names, bucket: str) -> Bucket | None:
    """How the bucket is; None when its name is free.

    Raises:
        DeployError: it belongs to another account.
    """
    try:
        if aws.ask("s3", "HeadBucket", Bucket=bucket, ExpectedBucketOwner=names.account) is None:
            return None
    except Denied:
        hint = "choose another hosting.bucket, or allow s3:ListBucket on it"
        raise DeployError(f"bucket {bucket} is of another account, or closed to this login", hint=hint) from None
    tags = aws.ask("s3", "GetBucketTagging", Bucket=bucket) or {"TagSet": []}
    ours = names.owns(from_tag_list(tags["TagSet"]))
    listed: list[Json] = []
    uploads: list[Json] = []
    for place in names.places:
        listed += aws.pages("s3", "ListObjectsV2", "Contents", Bucket=bucket, Prefix=place)
        uploads += aws.pages("s3", "ListMultipartUploads", "Uploads", Bucket=bucket, Prefix=place)
    return Bucket(
        ours,
        settings=_settings(aws, bucket) if ours else {},
        objects=frozenset(item["Key"] for item in listed),
        uploads=tuple((item["Key"], item["UploadId"]) for item in uploads),
        foreign=_foreign(aws, bucket, names.places) if ours else (),
    )


def _settings(aws: Aws, bucket: str) -> dict[str, bool]:
    block = aws.ask("s3", "GetPublicAccessBlock", Bucket=bucket) or {"PublicAccessBlockConfiguration": {}}
    flags = block["PublicAccessBlockConfiguration"]
    return {
        "PutPublicAccessBlock": len(flags) == 4 and all(flags.values()),
        "PutBucketEncryption": aws.ask("s3", "GetBucketEncryption", Bucket=bucket) is not None,
        "PutBucketLifecycleConfiguration": aws.ask("s3", "GetBucketLifecycleConfiguration", Bucket=bucket) is not None,
    }


def _foreign(aws: Aws, bucket: str, places: tuple[str, ...]) -> tuple[str, ...]:
    """A few keys of others, without reading through ours: where ours begin, listing goes on behind them."""
    found: list[str] = []
    after: str | None = ""
    while after is not None and len(found) < FEW:
        answer = aws.ask("s3", "ListObjectsV2", Bucket=bucket, MaxKeys=FEW, StartAfter=after) or {}
        after = None
        for item in answer.get("Contents", []):
            ours = next((place for place in places if item["Key"].startswith(place)), None)
            if ours is not None:
                after = f"{ours}\U0010ffff"
                break
            found.append(item["Key"])
            after = item["Key"]
    return tuple(found)


def _state(found: Json) -> EndpointState:
    reason = str(found.get("FailureReason") or "")
    return EndpointState(found["EndpointStatus"], found.get("EndpointConfigName", ""), reason)


def role_state(aws: Aws, names: Names, name: str) -> RoleState | None:
    """How a role of ours is; None when there is none.

    Raises:
        DeployError: it belongs to somebody else.
    """
    found = aws.ask("iam", "GetRole", RoleName=name)
    if found is None:
        return None
    if not names.owns(from_tag_list(found["Role"].get("Tags", []))):
        hint = "rename or delete it, or rename the project"
        raise DeployError(f"role {name} is there and not of {names.prefix}", hint=hint)
    policy = aws.ask("iam", "GetRolePolicy", RoleName=name, PolicyName=POLICY)
    return RoleState(found["Role"]["AssumeRolePolicyDocument"], policy["PolicyDocument"] if policy else None)


def _versioned(aws: Aws, names: Names, operation: str, key: str, name: str, arn: str) -> Iterable[tuple[str, str]]:
    for item in aws.pages("sagemaker", operation, key, NameContains=names.stem):
        if names.is_versioned(item[name]):
            tags = _tags(aws, item[arn])
            if names.owns(tags):
                yield item[name], tags.get("endpoint", "")


def _tags(aws: Aws, arn: str) -> dict[str, str]:
    return from_tag_list(list(aws.pages("sagemaker", "ListTags", "Tags", ResourceArn=arn)))
