"""Every action in the rendered policies is needed: without any one of them a named test fails, or a table says why."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from neuralshelf.deploy.desired import Desired
from neuralshelf.deploy.preflight import preflight
from neuralshelf.deployment import Config, Deployment
from neuralshelf.settings import Environment
from tests.aws.account import ACCOUNT, REGION, client, everything
from tests.aws.authorization import allows, check, needed
from tests.aws.conftest import account
from tests.aws.shop import BUCKET, CONFIG, ENVIRONMENT, Shop
from tests.aws.wiretap import tapped

Json = Any

DOCS = Path(__file__).parents[2] / "docs" / "deploy.md"
OTHER = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
"""Somebody's idea of who may take a role on."""
ELSEWHERE = "s3://elsewhere/clip.tar.gz"


def rendered() -> dict[str, Json]:
    """All policies of the shop, one archive of which lies in another bucket."""
    environment = copy.deepcopy(dict(ENVIRONMENT))
    environment["hosting"]["endpoints"]["shop-clip"]["model"] = ELSEWHERE
    deployment = Deployment(Config.parse(CONFIG, "config"), Environment.parse(environment, "environment"))
    return Desired.of(deployment, ACCOUNT, Path()).policies


def pairs(policy: Json) -> Iterator[tuple[str, str]]:
    """Statement and action, one of each."""
    for statement in policy["Statement"]:
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            yield statement.get("Sid", ""), action


def without(policy: Json, sid: str, action: str) -> Json:
    """A policy that lacks one action of one statement."""
    left: Json = {"Statement": []}
    for statement in policy["Statement"]:
        actions = [pair[1] for pair in pairs({"Statement": [statement]})]
        kept = [a for a in actions if (statement.get("Sid", ""), a) != (sid, action)]
        left["Statement"] += [statement | {"Action": kept}] if kept else []
    return left


def justified() -> set[tuple[str, str, str]]:
    """Policy, statement and action of each row of the table in docs/deploy.md."""
    rows = re.findall(r"^\| ([a-z-]+) \| (\w+) \| (`[^|]+`) \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    return {(policy, sid, action) for policy, sid, listed in rows for action in re.findall(r"`([\w:]+)`", listed)}


def checked(policy: str) -> list[tuple[str, str]]:
    """What the tests below must need of a policy: all that the table does not speak for."""
    spoken_for = {(sid, action) for name, sid, action in justified() if name == policy}
    return [pair for pair in pairs(rendered()[policy]) if pair not in spoken_for]


def test_the_table_speaks_only_for_what_is_there() -> None:
    there = {(name, *pair) for name, policy in rendered().items() for pair in pairs(policy)}
    assert justified() <= there


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """Actions and resources that a deployer's life needs; each call is refused that the policy does not allow.

    From nothing to nothing, with a change, an endpoint that failed, a trust policy that somebody edited, and an upload
    that was broken off.
    """
    policy = rendered()["deployer"]
    seen: set[tuple[str, str]] = set()
    with account(tmp_path_factory.mktemp("aws")), tapped() as tap:
        shop = Shop(tmp_path_factory.mktemp("shop"))
        shop.endpoints["shop-clip"]["model"] = ELSEWHERE
        shop.write()
        shop.pack("minilm", b"first")
        client("s3").create_bucket(Bucket="elsewhere")
        client("s3").put_object(Bucket="elsewhere", Key="clip.tar.gz", Body=b"1")

        def look(service: str, operation: str, parameters: dict[str, Json]) -> None:
            check(policy, service, operation, parameters)
            seen.update(needed(service, operation, parameters))

        def by_hand(service: str, operation: str, **parameters: Json) -> None:
            tap.before = lambda service, operation, parameters: None
            getattr(client(service), operation)(**parameters)
            tap.before = look

        tap.before = look
        deployer = shop.deployer()
        found = preflight(deployer.aws, deployer.desired, "me")
        assert not [check.found for check in found.checks if "not looked at" in check.found]
        deployer.deploy()
        role = {"RoleName": "shop-aws-opensearch-invoke", "PolicyDocument": json.dumps(OTHER)}
        by_hand("iam", "update_assume_role_policy", **role)
        by_hand("s3", "create_multipart_upload", Bucket=BUCKET, Key="shop-aws/models/broken-off")
        shop.pack("minilm", b"second")
        shop.deployer().deploy()
        shop.deployer().undeploy()
        tap.before = lambda service, operation, parameters: None
        assert everything() == {"bucket elsewhere", "object elsewhere/clip.tar.gz 1"}
    return seen


@pytest.mark.parametrize(("sid", "action"), checked("deployer"))
def test_the_deployer_needs(asked: set[tuple[str, str]], sid: str, action: str) -> None:
    left = without(rendered()["deployer"], sid, action)
    assert [need for need in asked if not allows(left, *need)]


def test_the_deployers_reach_ends_at_its_own_things() -> None:
    policy = rendered()["deployer"]
    for action, resource in [
        ("s3:DeleteObject", f"arn:aws:s3:::{BUCKET}/theirs"),
        ("s3:DeleteBucket", "arn:aws:s3:::other"),
        ("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/admin"),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/admin"),
        ("sagemaker:DeleteEndpoint", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/theirs"),
        ("sagemaker:DeleteModel", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model/theirs"),
        ("sagemaker:InvokeEndpoint", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/shop-clip"),
    ]:
        assert not allows(policy, action, resource), (action, resource)


INVOKED = {
    ("sagemaker:InvokeEndpoint", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/shop-clip"),
    ("sagemaker:InvokeEndpoint", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/shop-minilm"),
    ("bedrock:InvokeModel", f"arn:aws:bedrock:{REGION}::foundation-model/amazon.titan-embed-image-v1"),
}
CONTAINER = {
    ("s3:GetObject", f"arn:aws:s3:::{BUCKET}/shop-aws/models/x/minilm.tar.gz"),
    ("s3:GetObject", f"arn:aws:s3:::{BUCKET}/batch/shop-aws/input/1.jsonl"),
    ("s3:GetObject", "arn:aws:s3:::elsewhere/clip.tar.gz"),
    ("s3:PutObject", f"arn:aws:s3:::{BUCKET}/batch/shop-aws/output/1.jsonl.out"),
}


@pytest.mark.parametrize(
    ("policy", "needs"),
    [("opensearch-invoke", INVOKED), ("endpoint-execution", CONTAINER)],
    ids=["invoke", "container"],
)
def test_a_role_may_do_its_own_work_and_every_action_is_needed_for_it(policy: str, needs: set[tuple[str, str]]) -> None:
    whole = rendered()[policy]
    assert all(allows(whole, *need) for need in needs)
    for sid, action in checked(policy):
        assert [need for need in needs if not allows(without(whole, sid, action), *need)], action


@pytest.mark.parametrize(
    ("policy", "action", "resource"),
    [
        ("opensearch-invoke", "sagemaker:InvokeEndpoint", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/shop-clip-2"),
        ("opensearch-invoke", "bedrock:InvokeModel", f"arn:aws:bedrock:{REGION}::foundation-model/other"),
        ("endpoint-execution", "s3:GetObject", f"arn:aws:s3:::{BUCKET}/theirs"),
        ("endpoint-execution", "s3:PutObject", f"arn:aws:s3:::{BUCKET}/shop-aws/models/x/minilm.tar.gz"),
        ("ingest", "s3:GetObject", f"arn:aws:s3:::{BUCKET}/shop-aws/models/x/minilm.tar.gz"),
        ("ingest", "es:ESHttpPost", f"arn:aws:es:{REGION}:{ACCOUNT}:domain/other/_bulk"),
    ],
)
def test_a_role_may_do_no_more(policy: str, action: str, resource: str) -> None:
    assert not allows(rendered()[policy], action, resource)


@pytest.mark.parametrize("role", ["opensearch-invoke", "endpoint-execution"])
def test_only_the_service_takes_a_role_on_and_only_for_this_account(role: str) -> None:
    (statement,) = rendered()[f"{role}-trust"]["Statement"]
    services = {"opensearch-invoke": "opensearchservice", "endpoint-execution": "sagemaker"}
    assert statement["Principal"] == {"Service": f"{services[role]}.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
    source = statement["Condition"]["ArnLike"]["aws:SourceArn"]
    ours = {
        "opensearch-invoke": f"arn:aws:es:{REGION}:{ACCOUNT}:domain/shop",
        "endpoint-execution": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:*",
    }
    assert source == ours[role]
