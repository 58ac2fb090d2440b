"""The stacks of models and access, made and taken away again by moto's CloudFormation."""

import ast
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from neuralshelf.deploy.stacks import Stacks
from tests.stack_deployments import deployments

REGION = "us-east-1"


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield


def client(service: Any) -> Any:
    return boto3.client(service, region_name=REGION)


def held() -> dict[str, list[str]]:
    """What the account holds, by kind."""
    iam, sagemaker = client("iam"), client("sagemaker")
    return {
        "buckets": [each["Name"] for each in client("s3").list_buckets()["Buckets"]],
        "roles": [each["RoleName"] for each in iam.list_roles()["Roles"]],
        "policies": [each["PolicyName"] for each in iam.list_policies(Scope="Local")["Policies"]],
        "models": [each["ModelName"] for each in sagemaker.list_models()["Models"]],
        "configs": [each["EndpointConfigName"] for each in sagemaker.list_endpoint_configs()["EndpointConfigs"]],
        "endpoints": [each["EndpointName"] for each in sagemaker.list_endpoints()["Endpoints"]],
    }


@pytest.mark.filterwarnings("ignore:Tried to parse AWS..S3..BucketPolicy:UserWarning")  # moto has none in stacks
@pytest.mark.parametrize("ready", ["false", "true"])
def test_models_are_made_when_archives_are_there_and_nothing_is_left(ready: str) -> None:
    cloudformation, text = client("cloudformation"), Stacks(deployments()["quick"]).texts()["models.yaml"]
    assert not any(held().values())
    parameters: Any = [{"ParameterKey": "CreateEndpoints", "ParameterValue": ready}]
    words: Any = {"TemplateBody": text, "Capabilities": ["CAPABILITY_IAM"], "Parameters": parameters}
    cloudformation.create_stack(StackName="models", **words)
    made = 2 if ready == "true" else 0
    assert {kind: len(names) for kind, names in held().items()} == {
        **{"buckets": 1, "roles": 1, "policies": 0},
        **{"models": made, "configs": made, "endpoints": made},
    }
    for name in held()["models"]:
        container = client("sagemaker").describe_model(ModelName=name)["PrimaryContainer"]
        assert container["ModelDataUrl"].startswith("s3://shop-models/sample-shop-aws/models/")
        assert container["Environment"]["SAGEMAKER_PROGRAM"] == "inference.py"
    cloudformation.delete_stack(StackName="models")
    assert not any(held().values())


def test_access_lets_opensearch_call_the_endpoints_and_nothing_is_left() -> None:
    cloudformation, text = client("cloudformation"), Stacks(deployments()["quick"]).texts()["access.yaml"]
    cloudformation.create_stack(StackName="access", TemplateBody=text, Capabilities=["CAPABILITY_IAM"])
    (stack,) = cloudformation.describe_stacks(StackName="access")["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    (role,) = held()["roles"]
    assert outputs["RoleArn"] == client("iam").get_role(RoleName=role)["Role"]["Arn"]
    document = client("iam").get_role_policy(RoleName=role, PolicyName="invoke")["PolicyDocument"]
    # as a stack of moto's has it: Python in place of JSON
    assert ast.literal_eval(document)["Statement"][0]["Resource"] == [
        f"arn:aws:sagemaker:{REGION}:123456789012:endpoint/neuralshelf-{name}" for name in ("clip", "minilm")
    ]
    provision = client("iam").get_policy_version(PolicyArn=outputs["ProvisionPolicyArn"], VersionId="v1")
    assert outputs["RoleArn"] in [each["Resource"] for each in provision["PolicyVersion"]["Document"]["Statement"]]
    assert len(held()["policies"]) == 2
    cloudformation.delete_stack(StackName="access")
    left = held()
    assert len(left.pop("policies")) == 2  # moto's stacks never take managed policies away; CloudFormation does
    assert not any(left.values())
