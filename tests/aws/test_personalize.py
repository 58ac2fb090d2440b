"""personalize up, status, down, forget: from an empty account to an empty account, and what fails between."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from neuralshelf.deploy.personalize.data import Data
from neuralshelf.deploy.stacks import Stacks
from neuralshelf.deployment import Deployment
from neuralshelf.errors import ConfigError, DeployError, InputError
from neuralshelf.local.interactions import opened
from neuralshelf.local.stack import Stack
from neuralshelf.model_packages.ranker.store import Interaction
from neuralshelf.settings import Folders
from neuralshelf.templates import parse_stack
from tests.aws.account import ACCOUNT, REGION, client, everything
from tests.aws.personalize import PERSONALIZE
from tests.aws.ranked import CAMPAIGN, COLUMNS, data, provisioner, ranked, write
from tests.aws.shop import BUCKET, Shop
from tests.aws.wiretap import Wiretap

CHAIN = [
    *("iam:CreateRole", "iam:PutRolePolicy", "s3:PutBucketPolicy"),
    *("personalize:CreateSchema", "personalize:CreateDatasetGroup", "personalize:CreateDataset"),
    *("personalize:CreateEventTracker", "s3:PutObject", "personalize:CreateDatasetImportJob"),
    *("personalize:CreateSolution", "personalize:CreateSolutionVersion", "personalize:CreateCampaign"),
    "s3:DeleteObjects",
]


@pytest.fixture
def taste(shop: Shop) -> Shop:
    """The shop with its bucket and nothing of Personalize."""
    client("s3").create_bucket(Bucket=BUCKET)
    return ranked(shop)


def test_from_nothing_to_nothing(taste: Shop, tap: Wiretap) -> None:
    empty = everything()
    tap.calls.clear()
    provisioner(taste).up(data(taste))
    assert tap.writes == CHAIN
    found = provisioner(taste).observe()
    assert {each.status for each in found.things} == {"ACTIVE"}
    assert found.objects == frozenset(), "personal data is left in the bucket"
    tap.calls.clear()
    assert provisioner(taste).up(data(taste)) == ()
    assert tap.writes == []
    provisioner(taste).down()
    assert everything() == empty
    tap.calls.clear()
    assert provisioner(taste).down() == ()
    assert tap.writes == []


def test_a_dry_run_says_exactly_what_is_sent(taste: Shop, tap: Wiretap) -> None:
    planned = provisioner(taste).plan_up(data(taste))
    assert tap.writes == []
    assert provisioner(taste).up(data(taste)) == planned
    sent = [parameters for _, name, parameters in tap.calls if not name.startswith(("Get", "List", "Head", "Describe"))]
    for call, parameters in zip(planned, sent, strict=True):
        assert dict(call.parameters).items() <= parameters.items()
    assert provisioner(taste).plan_down() == provisioner(taste).down()


def test_new_data_is_imported_and_learned_from_and_old_data_again(taste: Shop, tap: Wiretap) -> None:
    provisioner(taste).up(data(taste))
    for kind in ("vase", "mug"):
        tap.calls.clear()
        provisioner(taste).up(data(taste, kind=kind))
        assert [name.split(":")[1] for name in tap.writes] == [
            *("PutObject", "CreateDatasetImportJob", "CreateSolutionVersion", "DeleteObjects"),
        ]
        assert provisioner(taste).up(data(taste, kind=kind)) == ()
    jobs = [each.name for each in provisioner(taste).observe().imports]
    assert jobs[2] == f"{jobs[0]}-2"


def test_after_down_the_names_of_old_jobs_are_in_nobodys_way(taste: Shop) -> None:
    provisioner(taste).up(data(taste))
    provisioner(taste).down()
    provisioner(taste).up(data(taste))
    found = provisioner(taste).observe()
    assert [each.name for each in found.imports] == [found.imports[0].name, f"{found.imports[0].name}-2"]
    assert found.imported == found.imports[1]


@pytest.mark.parametrize(
    "noun", ["DatasetGroup", "Dataset", "EventTracker", "DatasetImportJob", "Solution", "SolutionVersion", "Campaign"]
)
def test_what_fails_says_why_and_is_made_anew(taste: Shop, noun: str) -> None:
    empty = everything()
    PERSONALIZE.failing[noun] = "the reason that Personalize gives"
    gives = noun not in ("Dataset", "EventTracker", "Solution")  # their descriptions have no room for one
    why = "the reason that Personalize gives" if gives else "Personalize gives no reason"
    with pytest.raises(DeployError, match=f"CREATE FAILED: {why}") as told:
        provisioner(taste).up(data(taste))
    assert "do it again" in told.value.hint
    provisioner(taste).up(data(taste))
    assert provisioner(taste).up(data(taste)) == ()
    provisioner(taste).down()
    assert everything() == empty


def test_too_long_a_wait_says_what_is_waited_for(taste: Shop) -> None:
    PERSONALIZE.slow = 3
    with pytest.raises(DeployError, match="dataset-group/shop-aws is CREATE"):
        provisioner(taste, timeout=0.0).up(data(taste))
    provisioner(taste).up(data(taste))
    assert provisioner(taste).up(data(taste)) == ()


def test_a_new_role_that_is_not_known_everywhere_yet_is_waited_for(taste: Shop, tap: Wiretap) -> None:
    refusals = [2]

    def refuse(service: str, operation: str, parameters: dict[str, Any]) -> None:
        if operation == "CreateDatasetImportJob" and refusals[0]:
            refusals[0] -= 1
            said = {"Code": "InvalidInputException", "Message": "Unable to assume the given role."}
            raise ClientError({"Error": said}, operation)  # type: ignore[typeddict-item]

    tap.before = refuse
    provisioner(taste).up(data(taste))
    refusals[0] = 1  # now the role is old
    with pytest.raises(DeployError, match="Unable to assume"):
        provisioner(taste).up(data(taste, kind="vase"))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"rows": 999}, "999 interactions: Amazon Personalize wants 1,000"),
        ({"people": 24}, "24 people with two interactions or more: Amazon Personalize wants 25"),
        ({"events": 11}, "11 kinds of events: Amazon Personalize takes 10"),
    ],
)
def test_too_little_is_refused_before_anything_is_made(
    taste: Shop, tap: Wiretap, capsys: pytest.CaptureFixture[str], values: dict[str, int], said: str
) -> None:
    tap.calls.clear()
    file = write(taste.folder / "few.csv", **values)  # type: ignore[arg-type]
    assert taste.run("personalize", "up", "--data", str(file)) == 1
    assert said in capsys.readouterr().err
    assert tap.writes == []


@pytest.mark.parametrize(
    "text", ["", "USER_ID,ITEM_ID\na,b\n", f"{','.join(COLUMNS)}\na,b\n", f"{','.join(COLUMNS)}\n,b,1,c,\n"]
)
def test_another_file_is_one_line(taste: Shop, tmp_path: Path, text: str) -> None:
    file = tmp_path / "other.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"other\.csv"):
        Data.read(file, COLUMNS)


def test_without_a_bucket_nothing_is_made(shop: Shop, tap: Wiretap) -> None:
    with pytest.raises(DeployError, match=f"bucket {BUCKET} is not there") as told:
        provisioner(ranked(shop)).up(data(shop))
    assert "neuralshelf deploy" in told.value.hint
    assert tap.writes == []


def test_what_bears_our_name_without_our_tags_is_refused(taste: Shop, tap: Wiretap) -> None:
    client("personalize").create_dataset_group(name="shop-aws")
    tap.calls.clear()
    with pytest.raises(DeployError, match="dataset-group/shop-aws is there and not of shop-aws"):
        provisioner(taste).up(data(taste))
    with pytest.raises(DeployError, match="dataset-group/shop-aws is there and not of shop-aws"):
        provisioner(taste).down()
    assert tap.writes == []


def test_what_others_have_put_on_ours_keeps_down_from_beginning(taste: Shop, tap: Wiretap) -> None:
    provisioner(taste).up(data(taste))
    group = provisioner(taste).wanted.arns["group"]
    client("personalize").create_solution(
        name="theirs", datasetGroupArn=group, recipeArn="arn:aws:personalize:::recipe/r"
    )
    tap.calls.clear()
    with pytest.raises(DeployError, match="solution/theirs is not of shop-aws and stands on what is"):
        provisioner(taste).down()
    assert tap.writes == []


def test_a_training_is_stopped_before_its_solution_goes(taste: Shop, tap: Wiretap) -> None:
    empty = everything()

    def interrupt(service: str, operation: str, parameters: dict[str, Any]) -> None:
        if operation == "CreateSolutionVersion":
            raise KeyboardInterrupt

    tap.after, PERSONALIZE.slow = interrupt, 5
    with pytest.raises(KeyboardInterrupt):
        provisioner(taste).up(data(taste))
    tap.after = lambda *call: None
    tap.calls.clear()
    provisioner(taste).down()
    assert tap.writes[0] == "personalize:StopSolutionVersionCreation"
    assert everything() == empty


def test_the_statements_of_others_in_the_buckets_policy_stay(taste: Shop) -> None:
    theirs = {
        "Sid": "Theirs",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": f"arn:aws:s3:::{BUCKET}/x",
    }
    client("s3").put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [theirs]}))
    provisioner(taste).up(data(taste))
    held = json.loads(client("s3").get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
    assert held[0] == theirs
    assert len(held) == 3
    provisioner(taste).down()
    assert json.loads(client("s3").get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"] == [theirs]


def test_one_person_is_forgotten(taste: Shop, tap: Wiretap) -> None:
    with pytest.raises(DeployError, match="has no interactions"):
        provisioner(taste).forget("user-1")
    provisioner(taste).up(data(taste))
    tap.calls.clear()
    provisioner(taste).forget('user "1"')
    assert tap.writes == ["s3:PutObject", "personalize:CreateDataDeletionJob"]
    assert provisioner(taste).forget('user "1"') == (), "it is being forgotten already"
    (key,) = provisioner(taste).observe().objects
    assert client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read() == b'USER_ID\n"user ""1"""\n'
    provisioner(taste).up(data(taste))  # waits for it
    found = provisioner(taste).observe()
    assert [each.status for each in found.deletions] == ["COMPLETED"]
    assert found.objects == frozenset()
    provisioner(taste).forget('user "1"')
    assert provisioner(taste).observe().deletions[1].name == f"{found.deletions[0].name}-2"


def test_a_campaign_by_its_arn_is_somebody_elses(shop: Shop) -> None:
    with pytest.raises(ConfigError, match="ARN of a campaign that is there already"):
        provisioner(ranked(shop, campaign=f"arn:aws:personalize:{REGION}:{ACCOUNT}:campaign/theirs"))
    del shop.config["ranking"]
    shop.write()
    assert shop.run("personalize", "status") == 2


def test_the_verb_in_words_and_in_json(taste: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(write(taste.folder / "interactions.csv"))
    assert taste.run("personalize", "status") == 1
    assert "next: neuralshelf personalize up" in capsys.readouterr().out
    planned = json_of(taste, capsys, "up", "--data", file, "--dry-run")
    assert [call["call"] for call in planned["calls"]] == CHAIN
    assert json_of(taste, capsys, "status", code=1)["served"] is False
    provisioner(taste).up(data(taste))
    done = json_of(taste, capsys, "up", "--data", file)
    assert done["calls"] == []
    assert done["campaign_arn"] == f"arn:aws:personalize:{REGION}:{ACCOUNT}:campaign/{CAMPAIGN}"
    state = json_of(taste, capsys, "status")
    assert state["tracking_id"] == done["tracking_id"] != ""
    assert {each["status"] for each in state["things"]} == {"ACTIVE"}
    assert taste.run("personalize", "status") == 0
    assert re.search(r"^ACTIVE +campaign/shop-taste$", capsys.readouterr().out, re.MULTILINE)
    assert taste.run("personalize", "down") == 2, "asked nobody"
    assert len(json_of(taste, capsys, "down", "--dry-run")["calls"]) == 9
    assert state == json_of(taste, capsys, "status")


def json_of(shop: Shop, capsys: pytest.CaptureFixture[str], part: str, *words: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert shop.run("personalize", part, *words, "--json") == code
    found = json.loads(capsys.readouterr().out)
    assert found["format_version"] == 1
    return found


def test_ctrl_c_says_that_it_goes_on(taste: Shop, tap: Wiretap, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(service: str, operation: str, parameters: dict[str, object]) -> None:
        if operation == "CreateDatasetGroup":
            raise KeyboardInterrupt

    tap.before = interrupt
    assert taste.run("personalize", "up", "--data", str(write(taste.folder / "i.csv"))) == 130
    assert "do it again: it goes on" in capsys.readouterr().err


def test_undeploy_says_what_it_leaves_and_down_needs_no_bucket(taste: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    provisioner(taste).up(data(taste))
    assert taste.run("undeploy", "--yes") == 0
    said = capsys.readouterr().out
    for thing in (f"campaign/{CAMPAIGN}", "dataset-group/shop-aws"):
        assert f"left: {thing}: neuralshelf personalize down deletes it" in said
    client("s3").delete_bucket(Bucket=BUCKET)
    provisioner(taste).down()
    assert everything() == set()


def test_what_a_stack_has_made_is_gone_on_with(taste: Shop) -> None:
    made = Stacks(Deployment.load(taste.folder / "neuralshelf.yaml", "aws")).texts()
    schema, group, dataset = [
        each["Properties"] for each in parse_stack(made["personalize.yaml"])["Resources"].values()
    ]
    policy = parse_stack(made["models.yaml"])["Resources"]["BucketPolicy"]["Properties"]["PolicyDocument"]
    known = json.dumps(policy).replace("${AWS::AccountId}", ACCOUNT)
    plain = re.sub(r'\{"Fn::Sub": ("[^"]*")\}', r"\1", known)
    client("s3").put_bucket_policy(Bucket=BUCKET, Policy=plain)
    personalize, wanted = client("personalize"), provisioner(taste).wanted
    personalize.create_schema(name=schema["Name"], schema=schema["Schema"])
    tags = [{"tagKey": tag["Key"], "tagValue": tag["Value"]} for tag in group["Tags"]]
    arn = personalize.create_dataset_group(name=group["Name"], tags=tags)["datasetGroupArn"]
    while personalize.describe_dataset_group(datasetGroupArn=arn)["datasetGroup"]["status"] != "ACTIVE":
        pass
    arns = {"datasetGroupArn": arn, "schemaArn": wanted.arns["schema"]}
    personalize.create_dataset(name=dataset["Name"], datasetType=dataset["DatasetType"], **arns)
    there = {"s3:PutBucketPolicy", *(f"personalize:Create{noun}" for noun in ("Schema", "DatasetGroup", "Dataset"))}
    planned = [call.name for call in provisioner(taste).plan_up(data(taste))]
    assert planned == [name for name in CHAIN if name not in there]


def test_what_this_machine_keeps_is_learned_from_and_forgotten(
    taste: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURALSHELF_STATE", str(taste.folder / "state"))
    assert taste.run("personalize", "up", "--dry-run") == 1
    assert "there are no interactions to export" in capsys.readouterr().err
    stack = Stack(taste.folder / "neuralshelf.yaml", "aws", Folders.default(taste.folder / "aws"))
    liked = [Interaction(f"user-{row % 25}", f"mug-{row % 7}", "view", 1_700_000_000 + row) for row in range(1_100)]
    with opened(stack) as store:
        store.add([*liked, Interaction("user-1", "mug-1", "dislike", 1_700_000_000)])
    planned = json_of(taste, capsys, "up", "--dry-run")
    assert [call["call"] for call in planned["calls"]] == CHAIN
    provisioner(taste).up(data(taste))
    done = json_of(taste, capsys, "forget", "user-1", "--yes")
    assert done["deleted_here"] == 45
    assert [call["call"] for call in done["calls"]] == ["s3:PutObject", "personalize:CreateDataDeletionJob"]
    with opened(stack) as store:
        assert store.summary().users == 24
