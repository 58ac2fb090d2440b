"""Transform jobs: what one is told, by which name it is found again, and which models can be run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from neuralshelf.deploy.batch.calls import asking
from neuralshelf.deploy.batch.job import MAX_NAME, Task, TransformJobs, task_name
from neuralshelf.deploy.batch.model import deployed_model
from neuralshelf.errors import ConfigError, ServerError
from tests.unit.picture_sources import pretended_aws

ROLE = "arn:aws:iam::123456789012:role/endpoints"


@pytest.fixture
def sagemaker(tmp_path: Path) -> Iterator[Any]:
    """SageMaker's books."""
    with pretended_aws(tmp_path):
        yield boto3.client("sagemaker", region_name="eu-central-1")


def task(name: str = "shop-aws-text-0123456789ab", largest: int = 1000, *, pictures: bool = False) -> Task:
    where = "s3://models/batch/shop"
    return Task(name, "shop-aws", "minilm", f"{where}/manifest.json", where, largest, "ml.c6i.xlarge", 2, pictures)


def test_a_job_is_told_how_to_cut_filter_and_join_lines() -> None:
    assert task().body(3) == {
        "TransformJobName": "shop-aws-text-0123456789ab-3",
        "ModelName": "minilm",
        "BatchStrategy": "SingleRecord",
        "MaxPayloadInMB": 2,
        "MaxConcurrentTransforms": 8,
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": 300, "InvocationsMaxRetries": 3},
        "TransformInput": {
            "DataSource": {
                "S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": "s3://models/batch/shop/manifest.json"}
            },
            "CompressionType": "None",
            "ContentType": "application/json",
            "SplitType": "Line",
        },
        "DataProcessing": {
            "InputFilter": "$.input",
            "JoinSource": "Input",
            "OutputFilter": "$['id','vector','from','SageMakerOutput']",
        },
        "TransformOutput": {
            "S3OutputPath": "s3://models/batch/shop/shop-aws-text-0123456789ab-3",
            "Accept": "application/json",
            "AssembleWith": "Line",
        },
        "TransformResources": {"InstanceType": "ml.c6i.xlarge", "InstanceCount": 2},
        "Tags": [{"Key": "managed-by", "Value": "neuralshelf"}, {"Key": "deployment", "Value": "shop-aws"}],
    }


def test_a_job_of_pictures_takes_them_whole() -> None:
    body = task(pictures=True).body(1)
    assert (body["TransformInput"]["ContentType"], body["TransformInput"]["SplitType"]) == (
        "application/x-image",
        "None",
    )
    assert body["TransformOutput"]["AssembleWith"] == "None"
    assert "DataProcessing" not in body


@pytest.mark.parametrize("pictures", [False, True])
def test_the_request_fits_the_api(sagemaker: Any, pictures: bool) -> None:
    sagemaker.create_transform_job(**task(pictures=pictures).body(1))


@pytest.mark.parametrize(
    ("largest", "payload", "at_once"), [(100, 2, 8), (6_000_000, 8, 8), (12_500_000, 14, 7), (60_000_000, 62, 1)]
)
def test_records_fit_and_all_that_are_sent_at_once_too(largest: int, payload: int, at_once: int) -> None:
    made = task(largest=largest)
    assert (made.payload_mb, made.concurrency) == (payload, at_once)
    assert made.payload_mb * made.concurrency <= 100


def test_names_are_as_short_as_sagemaker_wants_them() -> None:
    name = task_name("p" * 41 + "-" + "e" * 31, "picture-pictures", "ab" * 32)
    assert name.endswith("-abababababab")
    assert len(f"{name}-99") <= MAX_NAME
    assert task_name("shop-aws", "text", "0123456789abcdef") == "shop-aws-text-0123456789ab"
    assert "--" not in task_name("p" * 44 + "-aws", "text", "ab" * 32)


def test_the_last_attempt_is_found_and_the_next_one_made(sagemaker: Any) -> None:
    jobs = TransformJobs(sagemaker)
    assert jobs.latest(task()) is None
    jobs.start(task(), 1)
    jobs.start(task(), 2)
    found = jobs.latest(task())
    assert found is not None
    assert (found.number, found.status, found.over) == (2, "Completed", True)
    assert jobs.latest(task("shop-aws-text-ffffffffffff")) is None


def test_a_job_that_another_run_has_just_made_is_ours(sagemaker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(code: str) -> None:
        def create(**said: Any) -> None:
            raise ClientError({"Error": {"Code": code, "Message": "why"}}, "CreateTransformJob")

        monkeypatch.setattr(sagemaker, "create_transform_job", create)

    refuse("ResourceInUse")
    assert TransformJobs(sagemaker).start(task(), 1).status == "InProgress"
    refuse("ResourceLimitExceeded")
    with pytest.raises(ServerError, match="ResourceLimitExceeded: why; next: check quotas"):
        TransformJobs(sagemaker).start(task(), 1)
    refuse("AccessDeniedException")
    with pytest.raises(ConfigError, match="allow sagemaker:CreateTransformJob"):
        TransformJobs(sagemaker).start(task(), 1)


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("ListObjectsV2", "s3:ListBucket"),
        ("HeadObject", "s3:GetObject"),
        ("GetObject", "s3:GetObject"),
        ("PutObject", "s3:PutObject"),
        ("CreateMultipartUpload", "s3:PutObject"),
        ("UploadPart", "s3:PutObject"),
        ("DeleteObjects", "s3:DeleteObject"),
        ("DescribeEndpoint", "sagemaker:DescribeEndpoint"),
    ],
)
def test_what_is_forbidden_names_the_action_to_allow(operation: str, action: str) -> None:
    with pytest.raises(ConfigError, match=f"allow {action} to"), asking("it"):
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, operation)


def endpoint(sagemaker: Any, models: dict[str, Any]) -> None:
    variants: Any = []
    for name, container in models.items():
        sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
        variants.append(
            {"VariantName": name, "ModelName": name, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        )
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=variants)
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")


def test_the_model_behind_an_endpoint_is_found(sagemaker: Any) -> None:
    with pytest.raises(ConfigError, match="endpoint e does not exist in eu-central-1; next: neuralshelf deploy"):
        deployed_model(sagemaker, "e")
    endpoint(sagemaker, {"m": {"Image": "i"}})
    assert deployed_model(sagemaker, "e") == "m"


def test_several_models_behind_one_endpoint_are_refused(sagemaker: Any) -> None:
    endpoint(sagemaker, {"a": {"Image": "i"}, "b": {"Image": "i"}})
    with pytest.raises(ConfigError, match="serves 2 models"):
        deployed_model(sagemaker, "e")


def test_a_multi_model_endpoint_is_refused(sagemaker: Any) -> None:
    endpoint(sagemaker, {"m": {"Image": "i", "Mode": "MultiModel"}})
    with pytest.raises(ConfigError, match="multi-model"):
        deployed_model(sagemaker, "e")
