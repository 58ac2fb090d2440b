"""What personalize needs, and no more: without any action of these statements, a call of its life is refused."""

import copy
from pathlib import Path
from typing import Any

import pytest

from neuralshelf.deploy.desired import Desired
from neuralshelf.deployment import Config, Deployment
from neuralshelf.settings import Environment
from tests.aws.account import ACCOUNT, REGION, client, everything
from tests.aws.authorization import allows, check, needed
from tests.aws.conftest import account
from tests.aws.personalize import PERSONALIZE
from tests.aws.ranked import CAMPAIGN, data, provisioner, ranked
from tests.aws.shop import BUCKET, CONFIG, ENVIRONMENT, Shop
from tests.aws.test_policies import pairs, without
from tests.aws.wiretap import Killed, tapped

Json = Any

HERE = f"arn:aws:personalize:{REGION}:{ACCOUNT}:"


def rendered(**ranking: Json) -> dict[str, Json]:
    """All policies of a shop that ranks."""
    config = copy.deepcopy(dict(CONFIG))
    config["index"]["fields"]["kind"] = "keyword"
    config["ranking"] = {"campaign": CAMPAIGN, "item": "kind"} | ranking
    deployment = Deployment(Config.parse(config, "config"), Environment.parse(dict(ENVIRONMENT), "environment"))
    return Desired.of(deployment, ACCOUNT, Path()).policies


def statements() -> list[tuple[str, str]]:
    """Of the deployer, what Personalize brings."""
    return [pair for pair in pairs(rendered()["deployer"]) if "Personalize" in pair[0]]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """Actions and resources of a whole life; each call is refused that the policy does not allow.

    Up, a person forgotten, new data, a training that is stopped, down; the dataset group failed once.
    """
    policy = rendered()["deployer"]
    seen: set[tuple[str, str]] = set()
    with account(tmp_path_factory.mktemp("aws")), tapped() as tap:
        shop = Shop(tmp_path_factory.mktemp("shop"))
        ranked(shop)
        client("s3").create_bucket(Bucket=BUCKET)
        empty = everything()

        def look(service: str, operation: str, parameters: dict[str, Json]) -> None:
            check(policy, service, operation, parameters)
            seen.update(needed(service, operation, parameters))

        def end(service: str, operation: str, parameters: dict[str, Json]) -> None:
            if operation == "CreateSolutionVersion":
                raise Killed

        tap.before = look
        provisioner(shop).up(data(shop))
        provisioner(shop).forget("user-1")
        provisioner(shop).up(data(shop))
        PERSONALIZE.slow, tap.after = 5, end
        with pytest.raises(Killed):
            provisioner(shop).up(data(shop, kind="vase"))
        tap.after = lambda *call: None
        provisioner(shop).down()
        tap.before = lambda *call: None
        assert everything() == empty
    return seen


@pytest.mark.parametrize(("sid", "action"), statements())
def test_the_deployer_needs(asked: set[tuple[str, str]], sid: str, action: str) -> None:
    left = without(rendered()["deployer"], sid, action)
    assert [need for need in asked if not allows(left, *need)]


@pytest.mark.parametrize(
    ("policy", "action", "resource"),
    [
        ("deployer", "personalize:DeleteCampaign", f"{HERE}campaign/theirs"),
        ("deployer", "personalize:DeleteDatasetGroup", f"{HERE}dataset-group/theirs"),
        ("deployer", "personalize:DeleteSolution", f"{HERE}solution/shop-aws-rankings"),
        ("deployer", "personalize:GetPersonalizedRanking", f"{HERE}campaign/{CAMPAIGN}"),
        ("opensearch-invoke", "personalize:GetPersonalizedRanking", f"{HERE}campaign/{CAMPAIGN}2"),
        ("opensearch-invoke", "personalize:GetRecommendations", f"{HERE}campaign/{CAMPAIGN}"),
        ("personalize-import", "s3:GetObject", f"arn:aws:s3:::{BUCKET}/shop-aws/models/x/minilm.tar.gz"),
        ("personalize-import", "s3:PutObject", f"arn:aws:s3:::{BUCKET}/personalize/shop-aws/a.csv"),
        ("endpoint-execution", "s3:GetObject", f"arn:aws:s3:::{BUCKET}/personalize/shop-aws/a.csv"),
    ],
)
def test_nobody_may_do_more(policy: str, action: str, resource: str) -> None:
    assert not allows(rendered()[policy], action, resource)


def test_opensearch_may_ask_exactly_the_campaign() -> None:
    theirs = "arn:aws:personalize:eu-west-1:999999999999:campaign/theirs"
    for campaign, arn in ((CAMPAIGN, f"{HERE}campaign/{CAMPAIGN}"), (theirs, theirs)):
        policy = rendered(campaign=campaign)["opensearch-invoke"]
        assert allows(policy, "personalize:GetPersonalizedRanking", arn)
        left = without(policy, "", "personalize:GetPersonalizedRanking")
        assert not allows(left, "personalize:GetPersonalizedRanking", arn)


def test_personalize_may_read_interactions_and_needs_both() -> None:
    policy = rendered()["personalize-import"]
    needs = [
        ("s3:GetObject", f"arn:aws:s3:::{BUCKET}/personalize/shop-aws/a.csv"),
        ("s3:ListBucket", f"arn:aws:s3:::{BUCKET}"),
    ]
    assert all(allows(policy, *need) for need in needs)
    for sid, action in pairs(policy):
        assert [need for need in needs if not allows(without(policy, sid, action), *need)], action


def test_only_personalize_takes_the_role_on_and_only_for_this_account() -> None:
    (statement,) = rendered()["personalize-import-trust"]["Statement"]
    assert statement["Principal"] == {"Service": "personalize.amazonaws.com"}
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"{HERE}*"},
    }


def test_without_a_campaign_of_ours_nobody_may_anything_there() -> None:
    policies = rendered(campaign=f"{HERE}campaign/theirs")
    assert not {name for name in policies if name.startswith("personalize")}
    assert not [pair for pair in pairs(policies["deployer"]) if "ersonalize" in "".join(pair)]
