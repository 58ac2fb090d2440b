"""deploy and undeploy on an account: what they make, that they make it once, what they leave."""

import json
from pathlib import Path

import pytest

from neuralshelf.errors import DeployError
from tests.aws.account import ACCOUNT, client, everything, set_endpoint
from tests.aws.shop import BUCKET, Shop
from tests.aws.wiretap import Wiretap

Capture = pytest.CaptureFixture[str]


def test_an_empty_account_gets_all_and_a_second_run_changes_nothing(shop: Shop, tap: Wiretap, capsys: Capture) -> None:
    first = shop.json(capsys, "deploy")
    made = everything()
    assert {line.split()[0] for line in made} == {
        *("bucket", "object", "role", "policy", "model", "endpoint-config", "endpoint")
    }
    assert sum(line.endswith("InService") for line in made) == 2
    assert first["role_arn"] == f"arn:aws:iam::{ACCOUNT}:role/shop-aws-opensearch-invoke"
    tap.calls.clear()
    assert shop.json(capsys, "deploy")["calls"] == []
    assert tap.writes == []
    assert shop.run("deploy") == 0
    assert "no change" in capsys.readouterr().out
    assert everything() == made


def test_undeploy_leaves_an_empty_account_and_may_be_repeated(shop: Shop, tap: Wiretap, capsys: Capture) -> None:
    assert shop.run("deploy") == 0
    assert shop.run("undeploy", "--yes") == 0
    assert everything() == set()
    tap.calls.clear()
    assert shop.json(capsys, "undeploy", "--yes") == {"format_version": 1, "calls": [], "left": []}
    assert tap.writes == []


def test_undeploy_asks(shop: Shop, capsys: Capture) -> None:
    assert shop.run("deploy") == 0
    before = everything()
    assert shop.run("undeploy") == 2
    assert "give --yes" in capsys.readouterr().err
    assert everything() == before


def test_a_bucket_is_closed_encrypted_owned_and_tagged_and_mended(shop: Shop) -> None:
    def state() -> list[object]:
        s3 = client("s3")
        block = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
        rules = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
        owner = s3.get_bucket_ownership_controls(Bucket=BUCKET)["OwnershipControls"]["Rules"]
        tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"]}
        (lifecycle,) = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
        return [block, rules[0]["ApplyServerSideEncryptionByDefault"], owner[0], tags, lifecycle["Status"]]

    shop.deployer().deploy()
    made = state()
    assert made == [
        dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True),
        {"SSEAlgorithm": "AES256"},
        {"ObjectOwnership": "BucketOwnerEnforced"},
        {"managed-by": "neuralshelf", "project": "shop", "environment": "aws"},
        "Enabled",
    ]
    client("s3").delete_public_access_block(Bucket=BUCKET)
    client("s3").delete_bucket_lifecycle(Bucket=BUCKET)
    calls = [call.operation for call in shop.deployer().deploy()]
    assert calls == ["PutPublicAccessBlock", "PutBucketLifecycleConfiguration"]
    assert state() == made


def test_a_changed_model_is_served_without_a_gap_and_the_old_one_goes_last(shop: Shop, tap: Wiretap) -> None:
    shop.deployer().deploy()
    before = everything()
    shop.pack("clip", b"clip, second")
    tap.calls.clear()
    shop.deployer().deploy()
    assert tap.writes == [
        "s3:PutObject",
        *("sagemaker:CreateModel", "sagemaker:CreateEndpointConfig", "sagemaker:UpdateEndpoint"),
        *("sagemaker:DeleteEndpointConfig", "sagemaker:DeleteModel"),
        "s3:DeleteObjects",
    ]
    assert len(everything()) == len(before)
    assert sum(line.startswith("endpoint shop-minilm") for line in everything() & before) == 1
    assert not any(line.startswith("endpoint shop-clip") for line in everything() & before)
    shop.deployer().undeploy()
    assert everything() == set()


@pytest.mark.parametrize(
    ("changed", "operations"),
    [
        ({"instances": 2}, {"CreateEndpointConfig", "UpdateEndpoint", "DeleteEndpointConfig"}),
        (
            {"batching": {"size": 8, "delay_ms": 5}},
            {"CreateModel", "CreateEndpointConfig", "UpdateEndpoint", "DeleteEndpointConfig", "DeleteModel"},
        ),
    ],
    ids=["instances", "batching"],
)
def test_only_what_changed_is_made_anew(shop: Shop, changed: dict[str, object], operations: set[str]) -> None:
    shop.deployer().deploy()
    shop.endpoints["shop-clip"] |= changed
    shop.write()
    assert {call.operation for call in shop.deployer().deploy()} == operations
    assert shop.deployer().deploy() == ()


def test_a_failed_endpoint_says_why_and_the_next_deploy_mends_it(shop: Shop, tap: Wiretap) -> None:
    def fail(service: str, operation: str, parameters: dict[str, str]) -> None:
        if operation == "CreateEndpoint" and parameters["EndpointName"] == "shop-clip":
            set_endpoint("shop-clip", "Failed", "The primary container did not pass the ping health check.")

    tap.after = fail
    with pytest.raises(DeployError, match=r"endpoint shop-clip: Failed: .*ping health check") as caught:
        shop.deployer().deploy()
    assert "/aws/sagemaker/Endpoints/shop-clip" in caught.value.hint
    tap.after = lambda service, operation, parameters: None
    calls = [f"{call.operation} {call.subject}" for call in shop.deployer().deploy()]
    assert calls == ["DeleteEndpoint endpoint/shop-clip", "CreateEndpoint endpoint/shop-clip"]
    assert shop.deployer().deploy() == ()


def test_an_update_that_was_rolled_back_is_told(shop: Shop, tap: Wiretap) -> None:
    shop.deployer().deploy()
    config = client("sagemaker").describe_endpoint(EndpointName="shop-clip")["EndpointConfigName"]

    def roll_back(service: str, operation: str, parameters: dict[str, str]) -> None:
        if operation == "UpdateEndpoint":
            from moto.sagemaker.models import sagemaker_backends

            sagemaker_backends[ACCOUNT]["us-east-1"].endpoints["shop-clip"].endpoint_config_name = config
            set_endpoint("shop-clip", "InService", "out of memory")

    tap.after = roll_back
    shop.pack("clip", b"clip, second")
    with pytest.raises(DeployError, match=f"rolled back to {config}: out of memory"):
        shop.deployer().deploy()
    assert config in {line.split()[1] for line in everything() if line.startswith("endpoint-config")}
    tap.after = lambda service, operation, parameters: None
    assert next(call.operation for call in shop.deployer().deploy()) == "UpdateEndpoint"


def test_an_endpoint_that_is_changing_is_waited_for_and_a_wait_has_an_end(shop: Shop, tap: Wiretap) -> None:
    shop.deployer().deploy()
    set_endpoint("shop-clip", "Updating")
    with pytest.raises(DeployError, match="shop-clip is Updating") as caught:
        shop.deployer(timeout=0.05).deploy()
    assert "--timeout" in caught.value.hint
    looks = []

    def end(service: str, operation: str, parameters: dict[str, str]) -> None:
        looks.append(operation)
        if looks.count("DescribeEndpoint") > 4:
            set_endpoint("shop-clip", "InService")

    tap.after = end
    seen: list[dict[str, str]] = []
    assert shop.deployer(watch=lambda states, seconds: seen.append(states)).deploy() == ()
    assert {"shop-clip": "Updating"} in seen


def test_what_the_configuration_names_no_more_goes(shop: Shop) -> None:
    shop.deployer().deploy()
    del shop.endpoints["shop-clip"], shop.config["connectors"]["picture"]
    shop.write()
    shop.deployer().deploy()
    assert not any("clip" in line for line in everything())
    assert shop.deployer().deploy() == ()


@pytest.mark.parametrize("kind", ["endpoint", "role", "bucket"])
def test_what_belongs_to_others_is_refused_or_left(shop: Shop, kind: str) -> None:
    if kind == "role":
        client("iam").create_role(RoleName="shop-aws-endpoint-execution", AssumeRolePolicyDocument="{}")
    elif kind == "bucket":
        client("s3").create_bucket(Bucket=BUCKET)
        client("s3").put_object(Bucket=BUCKET, Key="theirs", Body=b"1")
    else:
        sagemaker = client("sagemaker")
        container = {"Image": "i", "ModelDataUrl": "s3://b/k"}
        role = f"arn:aws:iam::{ACCOUNT}:role/theirs"
        sagemaker.create_model(ModelName="theirs", PrimaryContainer=container, ExecutionRoleArn=role)
        variant = {"VariantName": "a", "ModelName": "theirs", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        sagemaker.create_endpoint_config(EndpointConfigName="theirs", ProductionVariants=[variant])
        sagemaker.create_endpoint(EndpointName="shop-clip", EndpointConfigName="theirs")
    theirs = everything()
    if kind == "bucket":
        shop.deployer().deploy()
        shop.deployer().undeploy()
        assert shop.deployer().left() == [f"bucket {BUCKET}: not made by shop-aws"]
    else:
        with pytest.raises(DeployError, match="is there and not of shop-aws"):
            shop.deployer().deploy()
    assert everything() == theirs


def test_foreign_objects_in_our_bucket_stay_and_are_named(shop: Shop, capsys: Capture) -> None:
    shop.deployer().deploy()
    client("s3").put_object(Bucket=BUCKET, Key="zebra.jpg", Body=b"1")
    assert shop.run("undeploy", "--yes") == 0
    assert f"left: bucket {BUCKET}: holds zebra.jpg" in capsys.readouterr().out
    assert everything() == {f"bucket {BUCKET}", f"object {BUCKET}/zebra.jpg 1"}


def test_another_environment_of_the_same_project_is_left_alone(shop: Shop, tmp_path: Path) -> None:
    """Its prefix begins like ours."""
    other = Shop(tmp_path / "other")
    other.config["project"] = "shop-aws"
    other.environment["hosting"] |= {"bucket": "other-models"}
    hosted = {"package": "clip", "model": "build/clip.tar.gz", "mode": "serverless"}
    other.environment["hosting"]["endpoints"] = {"other": hosted}
    other.write()
    other.pack("clip", b"other")
    other.deployer().deploy()
    theirs = everything()
    shop.deployer().deploy()
    shop.deployer().undeploy()
    assert everything() == theirs


def test_several_models_share_an_endpoint_and_are_told_apart(shop: Shop) -> None:
    shop.endpoints.clear()
    shop.endpoints["shop-models"] = {
        "package": "clip",
        "model": "build/clip.tar.gz",
        "mode": "multi-model",
        "instance_type": "ml.m5.large",
        "targets": {"minilm": "build/minilm.tar.gz"},
    }
    for name, target in (("picture", "clip.tar.gz"), ("text", "minilm.tar.gz")):
        shop.config["connectors"][name] |= {"endpoint": "shop-models", "target_model": target}
    shop.write()
    shop.deployer().deploy()
    (model,) = client("sagemaker").list_models()["Models"]
    container = client("sagemaker").describe_model(ModelName=model["ModelName"])["PrimaryContainer"]
    assert container["Mode"] == "MultiModel"
    place = container["ModelDataUrl"].removeprefix(f"s3://{BUCKET}/")
    keys = {item["Key"].removeprefix(place) for item in client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]}
    assert keys == {"clip.tar.gz", "minilm.tar.gz"}
    shop.pack("minilm", b"minilm, second")
    assert "UpdateEndpoint" in {call.operation for call in shop.deployer().deploy()}
    assert len(client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]) == 2


def test_a_dry_run_prints_the_calls_and_makes_none(shop: Shop, tap: Wiretap, capsys: Capture) -> None:
    assert shop.run("deploy", "--dry-run") == 0
    printed = [line.split(" ", 1) for line in capsys.readouterr().out.splitlines()]
    assert tap.writes == []
    assert everything() == set()
    for _, parameters in printed:
        json.loads(parameters)
    shop.deployer().deploy()
    sent = [f"{service}:{name}" for service, name, _ in tap.calls]
    assert [name for name, _ in printed] == [name for name in sent if name in tap.writes]
    tap.calls.clear()
    planned = shop.json(capsys, "undeploy", "--dry-run")["calls"]
    assert tap.writes == []
    shop.deployer().undeploy()
    assert [call["call"] for call in planned] == tap.writes


def test_a_login_of_another_account_is_refused(shop: Shop, capsys: Capture) -> None:
    shop.environment["hosting"]["account"] = "999999999999"
    shop.write()
    assert shop.run("deploy") == 1
    assert f"logged in to account {ACCOUNT}, hosting.account is 999999999999" in capsys.readouterr().err
    assert everything() == set()


def test_policies_are_written_without_a_login_when_the_account_is_known(
    shop: Shop, tap: Wiretap, tmp_path: Path, capsys: Capture
) -> None:
    shop.environment["hosting"]["account"] = ACCOUNT
    shop.write()
    found = shop.json(capsys, "deploy", "--policies", str(tmp_path / "iam"))
    assert {Path(file).stem for file in found["files"]} == {
        *("opensearch-invoke-trust", "opensearch-invoke", "endpoint-execution-trust", "endpoint-execution"),
        *("deployer", "ingest"),
    }
    assert tap.calls == []
