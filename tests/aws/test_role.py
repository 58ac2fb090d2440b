"""No id is copied: connectors name the role that deploy has made."""

from pathlib import Path

import pytest

from neuralshelf.deployment import Deployment
from neuralshelf.local.stack import Stack
from neuralshelf.resource import Kind
from neuralshelf.settings import Folders
from tests.aws.account import ACCOUNT, client
from tests.aws.authorization import check
from tests.aws.shop import Shop
from tests.aws.wiretap import Wiretap, nothing


@pytest.mark.parametrize("account", [None, ACCOUNT])
def test_connectors_name_the_deployed_role(shop: Shop, tap: Wiretap, tmp_path: Path, account: str | None) -> None:
    shop.environment["hosting"]["account"] = account
    shop.write()
    shop.deployer().deploy()
    tap.calls.clear()
    file = shop.folder / "neuralshelf.yaml"
    deployment = Deployment.load(file, "aws")
    runtime = Stack(file, "aws", Folders.default(tmp_path)).runtime(deployment)
    assert [name for _, name, _ in tap.calls] == ([] if account else ["GetCallerIdentity"])
    connectors = [found for found in deployment.resources(runtime) if found.kind is Kind.CONNECTOR]
    assert connectors
    for connector in connectors:
        role = connector.body["credential"]["roleArn"]
        assert client("iam").get_role(RoleName=role.rpartition("/")[2])["Role"]["Arn"] == role
        assert not connector.secrets


def test_no_role_is_made_where_the_environment_has_credentials(shop: Shop, tap: Wiretap) -> None:
    shop.environment["runtime"]["role_arn"] = f"arn:aws:iam::{ACCOUNT}:role/theirs"
    shop.environment["hosting"]["role_arn"] = f"arn:aws:iam::{ACCOUNT}:role/containers"
    shop.write()
    deployer = shop.deployer()
    tap.before = lambda *call: check(deployer.desired.policies["deployer"], *call)
    deployer.deploy()
    tap.before = nothing
    assert client("iam").list_roles()["Roles"] == []
    (first, *_) = client("sagemaker").list_models()["Models"]
    model = client("sagemaker").describe_model(ModelName=first["ModelName"])
    assert model["ExecutionRoleArn"] == f"arn:aws:iam::{ACCOUNT}:role/containers"
