"""Every action in the rendered policies is needed: without any one of them a named test fails, or a table says why."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from neuralshelf.deploy.desired import Desired
from neuralshelf.deploy.preflight import preflight
from neuralshelf.deployment import Deployment
from tests.aws.account import ACCOUNT, client, everything
from tests.aws.authorization import Refused, check
from tests.aws.shop import BUCKET, Shop
from tests.aws.wiretap import Wiretap

Json = Any

DOCS = Path(__file__).parents[2] / "docs" / "deploy.md"


def rendered(folder: Path) -> dict[str, Json]:
    """All policies of the shop."""
    shop = Shop(folder)
    shop.environment["hosting"]["endpoints"]["shop-clip"]["model"] = "s3://elsewhere/clip.tar.gz"
    environment = shop.environment
    deployment = Deployment.load(_written(shop, environment), "aws")
    return Desired.of(deployment, ACCOUNT, folder).policies


def _written(shop: Shop, environment: dict[str, Json]) -> Path:
    shop.environment = environment
    shop.write()
    return shop.folder / "neuralshelf.yaml"


def pairs(policy: Json) -> Iterator[tuple[str, str]]:
    """Statement and action, one of each."""
    for statement in policy["Statement"]:
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            yield statement["Sid"], action


def without(policy: Json, sid: str, action: str) -> Json:
    """A policy that lacks one action of one statement."""
    left = copy.deepcopy(policy)
    for statement in left["Statement"]:
        if statement["Sid"] == sid:
            actions = statement["Action"]
            statement["Action"] = [a for a in ([actions] if isinstance(actions, str) else actions) if a != action]
    left["Statement"] = [statement for statement in left["Statement"] if statement["Action"]]
    return left


def table() -> set[tuple[str, str, str]]:
    """Policy, statement and action of each row that docs/deploy.md justifies."""
    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \| ((?:`[\w:]+`(?:, )?)+) \|", DOCS.read_text(encoding="utf-8"), re.M)
    return {(policy, sid, action) for policy, sid, listed in rows for action in re.findall(r"`([\w:]+)`", listed)}


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Json]:
    return rendered(tmp_path_factory.mktemp("policies"))


def life(shop: Shop, tap: Wiretap, policy: Json) -> None:
    """All that a deployer does, each call checked against a policy: from nothing to nothing, with a change, a bucket
    that lost its settings, a role that somebody edited, a failed endpoint and an upload that was broken off."""

    def allowed(service: str, operation: str, parameters: dict[str, Json]) -> None:
        check(policy, service, operation, parameters)

    def by_hand(service: str, operation: str, **parameters: Json) -> None:
        tap.before = lambda *words: None
        getattr(client(service), operation)(**parameters)
        tap.before = allowed

    shop.endpoints["shop-clip"]["model"] = "s3://elsewhere/clip.tar.gz"
    shop.write()
    client("s3").create_bucket(Bucket="elsewhere")
    client("s3").put_object(Bucket="elsewhere", Key="clip.tar.gz", Body=b"1")
    tap.before = allowed
    deployer = shop.deployer()
    for check_ in preflight(deployer.aws, deployer.desired, "me").checks:
        if "not looked at" in check_.found:
            raise Refused(check_.found)
    deployer.deploy()
    by_hand("iam", "update_assume_role_policy", RoleName="shop-aws-opensearch-invoke", PolicyDocument="{}")
    by_hand("s3", "create_multipart_upload", Bucket=BUCKET, Key="shop-aws/models/broken-off")
    shop.pack("minilm", b"minilm, second")
    shop.deployer().deploy()
    shop.deployer().undeploy()


def test_the_deployers_policy_is_enough(shop: Shop, tap: Wiretap, policies: dict[str, Json]) -> None:
    life(shop, tap, policies["deployer"])
    assert everything() == {"bucket elsewhere", "object elsewhere/clip.tar.gz 1"}


NEEDED = sorted(set(pairs(rendered_deployer := {"Statement": []})))  # replaced below


def _deployer_actions() -> list[tuple[str, str]]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        found = list(pairs(rendered(Path(folder))["deployer"]))
    justified = {(sid, action) for policy, sid, action in table() if policy == "deployer"}
    return [pair for pair in found if pair not in justified]
