"""An AWS account of moto's, and what is in it."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import boto3
from moto.sagemaker.models import sagemaker_backends

from tests.aws.personalize import PERSONALIZE

REGION = "us-east-1"
ACCOUNT = "123456789012"


@cache
def client(service: str, url: str | None = None) -> Any:
    """A client of that service, at `url`; one a process, since making one takes a second."""
    return boto3.client(service, region_name=REGION, endpoint_url=url)  # type: ignore[call-overload]


def everything(url: str | None = None) -> set[str]:
    """All that stands in S3, IAM and SageMaker, and in this process in Personalize, a line each."""
    found = {*_s3(client("s3", url)), *_iam(client("iam", url)), *_sagemaker(client("sagemaker", url))}
    return found if url else found | PERSONALIZE.lines()


def _s3(s3: Any) -> Iterator[str]:
    for bucket in s3.list_buckets()["Buckets"]:
        yield f"bucket {bucket['Name']}"
        for item in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", []):
            yield f"object {bucket['Name']}/{item['Key']} {item['Size']}"
        for upload in s3.list_multipart_uploads(Bucket=bucket["Name"]).get("Uploads", []):
            yield f"upload {bucket['Name']}/{upload['Key']}"


def _iam(iam: Any) -> Iterator[str]:
    for role in iam.list_roles()["Roles"]:
        yield f"role {role['RoleName']} {sorted(role['AssumeRolePolicyDocument'])}"
        for name in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
            yield f"policy {role['RoleName']}/{name}"
    for policy in iam.list_policies(Scope="Local")["Policies"]:
        yield f"policy {policy['PolicyName']}"


def _sagemaker(sagemaker: Any) -> Iterator[str]:
    for model in sagemaker.list_models()["Models"]:
        yield f"model {model['ModelName']}"
    for config in sagemaker.list_endpoint_configs()["EndpointConfigs"]:
        yield f"endpoint-config {config['EndpointConfigName']}"
    for found in sagemaker.list_endpoints()["Endpoints"]:
        endpoint = sagemaker.describe_endpoint(EndpointName=found["EndpointName"])
        yield f"endpoint {endpoint['EndpointName']} {endpoint['EndpointConfigName']} {endpoint['EndpointStatus']}"


def set_endpoint(name: str, status: str, reason: str | None = None) -> None:
    """Bring an endpoint into a state that moto never comes to by itself."""
    endpoint: Any = sagemaker_backends[ACCOUNT][REGION].endpoints[name]
    endpoint.endpoint_status, endpoint.failure_reason = status, reason
