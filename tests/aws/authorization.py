"""Which actions a call needs, on which resources: the Service Authorization Reference of AWS, as far as we call it.

moto's own evaluator decides whether a policy allows them. moto checks requests, too, but takes names of operations for
names of actions and `*` for the resource of most; so it is asked here, with the names and ARNs that AWS uses.
"""

import json
from collections.abc import Iterator
from typing import Any

from moto.iam.access_control import IAMPolicy, PermissionResult

from tests.aws.account import ACCOUNT, REGION

Json = Any
Needed = Iterator[tuple[str, str]]


class Refused(Exception):
    """The policy does not allow an action."""


def check(policy: Json, service: str, operation: str, parameters: dict[str, Json]) -> None:
    """Raise Refused when the policy does not allow a call."""
    for action, resource in needed(service, operation, parameters):
        if not allows(policy, action, resource):
            raise Refused(f"{action} on {resource}")


def allows(policy: Json, action: str, resource: str) -> bool:
    """Whether a policy allows an action; conditions are not looked at."""
    statements = [{key: value for key, value in s.items() if key != "Condition"} for s in policy["Statement"]]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    return IAMPolicy(document).is_action_permitted(action, resource) is PermissionResult.PERMITTED


def needed(service: str, operation: str, parameters: dict[str, Json]) -> Needed:
    """Actions and resources of a call.

    Raises:
        KeyError: a call that is not known here.
    """
    yield from {"s3": _s3, "iam": _iam, "sagemaker": _sagemaker, "personalize": _personalize, "sts": _nothing}.get(
        service, _others
    )(service, operation, parameters)


_BUCKET = {
    "HeadBucket": ["ListBucket"],
    "ListObjectsV2": ["ListBucket"],
    "ListMultipartUploads": ["ListBucketMultipartUploads"],
    "GetBucketTagging": ["GetBucketTagging"],
    "GetPublicAccessBlock": ["GetBucketPublicAccessBlock"],
    "GetBucketEncryption": ["GetEncryptionConfiguration"],
    "GetBucketLifecycleConfiguration": ["GetLifecycleConfiguration"],
    "CreateBucket": ["CreateBucket", "PutBucketOwnershipControls", "TagResource"],
    "PutPublicAccessBlock": ["PutBucketPublicAccessBlock"],
    "PutBucketEncryption": ["PutEncryptionConfiguration"],
    "PutBucketLifecycleConfiguration": ["PutLifecycleConfiguration"],
    "DeleteBucket": ["DeleteBucket"],
    "GetBucketPolicy": ["GetBucketPolicy"],
    "PutBucketPolicy": ["PutBucketPolicy"],
    "DeleteBucketPolicy": ["DeleteBucketPolicy"],
}
_OBJECT = {"HeadObject": "GetObject", "PutObject": "PutObject", "AbortMultipartUpload": "AbortMultipartUpload"}


def _s3(service: str, operation: str, parameters: dict[str, Json]) -> Needed:
    bucket = f"arn:aws:s3:::{parameters['Bucket']}"
    if operation == "DeleteObjects":
        for item in parameters["Delete"]["Objects"]:
            yield "s3:DeleteObject", f"{bucket}/{item['Key']}"
    elif operation in _OBJECT:
        yield f"s3:{_OBJECT[operation]}", f"{bucket}/{parameters['Key']}"
    else:
        for action in _BUCKET[operation]:
            yield f"s3:{action}", bucket


def _iam(service: str, operation: str, parameters: dict[str, Json]) -> Needed:
    name = parameters["RoleName"]
    path = "aws-service-role/opensearchservice.amazonaws.com/" if name.startswith("AWSServiceRole") else ""
    role = f"arn:aws:iam::{ACCOUNT}:role/{path}{name}"
    yield f"iam:{operation}", role
    if "Tags" in parameters:
        yield "iam:TagRole", role


_KINDS = {"EndpointConfigName": "endpoint-config", "ModelName": "model", "EndpointName": "endpoint"}


def _sagemaker(service: str, operation: str, parameters: dict[str, Json]) -> Needed:
    action = f"sagemaker:{operation}"
    if operation == "ListTags":
        yield action, parameters["ResourceArn"]
        return
    names = [(kind, parameters[key].lower()) for key, kind in _KINDS.items() if key in parameters]
    if not names:
        yield action, "*"
        return
    for kind, name in names:  # of an endpoint and of its configuration
        yield action, f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"
    if "Tags" in parameters:
        kind, name = names[-1]
        yield "sagemaker:AddTags", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"
    if "ExecutionRoleArn" in parameters:
        yield "iam:PassRole", parameters["ExecutionRoleArn"]


def _personalize(service: str, operation: str, parameters: dict[str, Json]) -> Needed:
    action = f"personalize:{operation}"
    if operation.startswith("List") and operation != "ListTagsForResource":
        yield action, "*"
        return
    if operation == "CreateSolutionVersion" or not operation.startswith("Create"):
        (resource,) = [value for key, value in parameters.items() if key.endswith("Arn") and key != "roleArn"]
    else:
        noun = operation.removeprefix("Create")
        kind = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in noun).removeprefix("-")
        name = parameters.get("name") or parameters["jobName"]
        path = f"{parameters['datasetGroupArn'].split('/')[1]}/INTERACTIONS" if noun == "Dataset" else name
        resource = f"arn:aws:personalize:{REGION}:{ACCOUNT}:{kind}/{path}"
    yield action, resource
    if parameters.get("tags"):
        yield "personalize:TagResource", resource
    if "roleArn" in parameters:
        yield "iam:PassRole", parameters["roleArn"]


def _others(service: str, operation: str, parameters: dict[str, Json]) -> Needed:
    if service == "bedrock":
        model = parameters.get("modelIdentifier") or parameters["modelId"]
        yield f"bedrock:{operation}", f"arn:aws:bedrock:{REGION}::foundation-model/{model}"
    elif service == "service-quotas":
        yield f"servicequotas:{operation}", "*"
    else:
        raise KeyError(f"{service}:{operation}")


def _nothing(service: str, operation: str, parameters: dict[str, Json]) -> Needed:
    """GetCallerIdentity needs no permission."""
    yield from ()
