"""Stacks: what cfn-lint says, what hostile values do, and that Terraform gets the same."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from neuralshelf.cli import main
from neuralshelf.deploy.stacks import ACCOUNT, Stacks, in_stack
from neuralshelf.deploy.terraform import VARIABLES, terraform_files
from neuralshelf.errors import ConfigError, InputError
from neuralshelf.files import write_files
from neuralshelf.templates import parse_stack
from tests.stack_deployments import deployment, deployments

Json = Any

ROOT = Path(__file__).parents[2]
NAMES = sorted(deployments())
PLACES = {
    "opensearch-invoke-trust": ("access", "InvokeRole", "AssumeRolePolicyDocument"),
    "opensearch-invoke": ("access", "InvokeRole", "Policies"),
    "provision": ("access", "ProvisionPolicy", "PolicyDocument"),
    "ingest": ("access", "IngestPolicy", "PolicyDocument"),
    "domain-logs": ("domain", "LogPolicy", "PolicyDocument"),
    "bucket": ("models", "BucketPolicy", "PolicyDocument"),
    "endpoint-execution-trust": ("models", "ExecutionRole", "AssumeRolePolicyDocument"),
    "endpoint-execution": ("models", "ExecutionRole", "Policies"),
}
HOSTILE = (
    """it's "so" }}: {{ 7 * 7 }} {% raw %} ${AWS::Region} - !Ref Bucket\n  Evil: &a {b: *a} # é 😀 \x85\u2028 %{ if }"""
)


def stacks(name: str) -> dict[str, Json]:
    """File without suffix -> stack."""
    return {file.removesuffix(".yaml"): parse_stack(text) for file, text in Stacks(deployments()[name]).texts().items()}


def faults(text: str, region: str) -> list[str]:
    """What cfn-lint says of a stack."""
    return [f"{each.rule.id} {each.message}" for each in lint(text, config=ManualArgs(regions=[region]))]


def resolved(value: Json, words: Mapping[str, str]) -> Json:
    """The value with `Fn::Sub` carried out."""
    if isinstance(value, dict) and set(value) == {"Fn::Sub"}:
        return re.sub(r"\$\{(!?)([^}]*)\}", lambda f: f"${{{f[2]}}}" if f[1] else words[f[2]], value["Fn::Sub"])
    if isinstance(value, dict):
        return {key: resolved(each, words) for key, each in value.items()}
    return [resolved(each, words) for each in value] if isinstance(value, list) else value


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_cfn_lint_finds_nothing(name: str) -> None:
    found = deployments()[name]
    for file, text in Stacks(found).texts().items():
        if file == "domain.yaml" and name not in ("quick", "government"):
            continue  # the same but for its default name
        assert faults(text, found.environment.runtime.region) == [], file


def test_cfn_lint_would_find_something() -> None:
    text = Stacks(deployments()["quick"]).texts()["access.yaml"]
    assert any("E3002" in each for each in faults(text.replace("PolicyDocument:", "PolicyPaper:"), "us-east-1"))


@pytest.mark.parametrize("name", NAMES)
def test_every_resource_says_what_becomes_of_it(name: str) -> None:
    kept = set()
    for stack in stacks(name).values():
        for logical, resource in stack["Resources"].items():
            assert {resource["DeletionPolicy"], resource["UpdateReplacePolicy"]} <= {"Delete", "Retain"}, logical
            kept |= {(logical, key) for key in ("DeletionPolicy", "UpdateReplacePolicy") if resource[key] == "Retain"}
    replaced = {("Domain", "UpdateReplacePolicy")} | ({("Bucket", "UpdateReplacePolicy")} if name != "titan" else set())
    role = {("ServiceLinkedRole", key) for key in ("DeletionPolicy", "UpdateReplacePolicy")}
    assert kept == replaced | role


@pytest.mark.parametrize("file", ["domain", "quickstart"])
def test_a_domain_is_encrypted_and_lets_nobody_in_unasked(file: str) -> None:
    domain = stacks("quick")[file]["Resources"]["Domain"]["Properties"]
    assert domain["EncryptionAtRestOptions"] == domain["NodeToNodeEncryptionOptions"] == {"Enabled": True}
    options = {"EnforceHTTPS": True, "TLSSecurityPolicy": "Policy-Min-TLS-1-2-PFS-2023-10"}
    assert domain["DomainEndpointOptions"] == options
    assert domain["AdvancedSecurityOptions"]["Enabled"] is True
    assert domain["EBSOptions"]["VolumeType"] == "gp3"
    assert set(domain["LogPublishingOptions"]) == {
        "ES_APPLICATION_LOGS",
        "SEARCH_SLOW_LOGS",
        "INDEX_SLOW_LOGS",
        "AUDIT_LOGS",
    }


def test_only_the_user_of_the_secret_comes_unsigned() -> None:
    statement = stacks("quick")["domain"]["Resources"]["Domain"]["Properties"]["AccessPolicies"]["Statement"][0]
    assert statement["Principal"] == {"AWS": {"Fn::If": ["MasterIsSecret", "*", {"Ref": "MasterUserArn"}]}}


@pytest.mark.parametrize(("name", "ready"), [("quick", "false"), ("real-time", "true"), ("multi-model", "false")])
def test_endpoints_wait_for_their_archives(name: str, ready: str) -> None:
    models = stacks(name)["models"]
    assert models["Parameters"]["CreateEndpoints"]["Default"] == ready
    made = [each for each in models["Resources"].values() if each["Type"].startswith("AWS::SageMaker::")]
    assert made
    assert all(each["Condition"] == "MakeEndpoints" for each in made)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"titan"}))
def test_archives_may_only_be_where_the_role_may_read(name: str) -> None:
    made = Stacks(deployments()[name])
    for endpoint in made.endpoints():
        assert re.search(endpoint.pattern, endpoint.data)
        assert not re.search(endpoint.pattern, "s3://of-somebody-else/model.tar.gz")
        assert not re.search(endpoint.pattern, f"s3://x/{endpoint.data}")


def test_the_quick_start_has_serverless_endpoints_alone() -> None:
    resources = stacks("real-time")["quickstart"]["Resources"].values()
    configs = [each["Properties"] for each in resources if each["Type"] == "AWS::SageMaker::EndpointConfig"]
    assert len(configs) == 2
    assert all("ServerlessConfig" in each["ProductionVariants"][0] for each in configs)


def test_the_quick_start_gives_what_an_environment_needs() -> None:
    for name in NAMES:
        assert {"Url", "Region", "RoleArn"} <= set(stacks(name)["quickstart"]["Outputs"])


def test_hostile_values_stay_data() -> None:
    image = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/a:{HOSTILE}"
    hosted = {"package": "clip", "model": f"s3://elsewhere/{HOSTILE}.tar.gz", "image": image, "mode": "serverless"}
    plain = hosted | {"model": "s3://elsewhere/a.tar.gz", "image": image.removesuffix(HOSTILE)}
    made, shape = [
        Stacks(deployment({"region": "us-east-1", "hosting": {"bucket": "shop-models", "endpoints": {"a-b": each}}}))
        for each in (hosted, plain)
    ]
    for file, text in made.texts().items():
        stack, expected = parse_stack(text), parse_stack(shape.texts()[file])
        assert {part: list(stack[part]) for part in stack if isinstance(stack[part], dict)} == {
            part: list(expected[part]) for part in expected if isinstance(expected[part], dict)
        }
        if file in ("models.yaml", "quickstart.yaml"):
            assert stack["Resources"]["ABModel"]["Properties"]["PrimaryContainer"]["Image"] == image
            assert stack["Parameters"]["ABModelData"]["Default"] == hosted["model"]
            assert text.isascii()
            policy = stack["Resources"]["ExecutionRole"]["Properties"]["Policies"][0]["PolicyDocument"]
            assert f"arn:aws:s3:::elsewhere/{HOSTILE}.tar.gz" in policy["Statement"][0]["Resource"]
    for file, text in terraform_files(made).items():
        assert json.loads(text), file


def test_what_looks_like_a_variable_is_none() -> None:
    assert in_stack([f"{ACCOUNT}/${{a}}", "${a}"]) == [{"Fn::Sub": "${AWS::AccountId}/${!a}"}, "${a}"]
    assert resolved(in_stack(f"{ACCOUNT}/${{a}}"), {"AWS::AccountId": "1"}) == "1/${a}"


@pytest.mark.parametrize("name", NAMES)
def test_terraform_gets_the_policies_of_the_stacks(name: str) -> None:
    found, given = stacks(name), terraform_files(Stacks(deployments()[name]))
    words = {"AWS::AccountId": "1", "DomainName": "2", "InvokeRole.Arn": "3"}
    variables = {"${account_id}": "1", "${domain_name}": "2", "${invoke_role_arn}": "3"}
    policies = {Path(file).stem: text for file, text in given.items() if file.startswith("policies/")}
    assert set(policies) == set(PLACES) - (
        {"bucket", "endpoint-execution", "endpoint-execution-trust"} if name == "titan" else set()
    )
    for policy, text in policies.items():
        for variable, word in variables.items():
            text = text.replace(variable, word)
        file, logical, key = PLACES[policy]
        if logical == "ExecutionRole" and name == "own-role":
            assert logical not in found[file]["Resources"]
            continue
        document = resolved(found[file]["Resources"][logical]["Properties"][key], words)
        document = document[0]["PolicyDocument"] if key == "Policies" else document
        assert json.loads(text) == (json.loads(document) if isinstance(document, str) else document), policy


@pytest.mark.parametrize("name", NAMES)
def test_terraform_gets_the_endpoints_of_the_stacks(name: str) -> None:
    values = json.loads(terraform_files(Stacks(deployments()[name]))[VARIABLES])["neuralshelf"]
    stack = stacks(name).get("models", {"Resources": {}})
    made = [
        each["Properties"]["EndpointName"] for each in stack["Resources"].values() if "Endpoint" in each["Type"][-8:]
    ]
    assert sorted(values["endpoints"]) == sorted(made)
    for endpoint, given in values["endpoints"].items():
        logical = "".join(part.capitalize() for part in endpoint.split("-"))
        container = stack["Resources"][f"{logical}Model"]["Properties"]["PrimaryContainer"]
        (variant,) = stack["Resources"][f"{logical}Config"]["Properties"]["ProductionVariants"]
        assert {given["image"], given["mode"]} == {container["Image"], container["Mode"]}
        assert given["environment"] == container["Environment"]
        assert given["model_data_url"] == stack["Parameters"][f"{logical}ModelData"]["Default"]
        assert given["instance_type"] == variant.get("InstanceType")
        assert given["memory_size_in_mb"] == variant.get("ServerlessConfig", {}).get("MemorySizeInMB")
    assert bool(values["bedrock_models"]) == (name == "titan")
    personalize = r"^https://personalize\-runtime\.us\-east\-1\.amazonaws\.com/.*$"
    assert values["trusted_connector_endpoints_regex"] == ([personalize] if name == "ranked" else [])


def test_every_action_of_a_policy_is_explained() -> None:
    documented = re.findall(r"^\| `([a-z-]+)` \| `([A-Za-z0-9:*]+)` \| \S", docs("cloudformation.md"), re.MULTILINE)
    used = set()
    for found in deployments().values():
        for policy, document in Stacks(found).policies().items():
            for statement in document["Statement"]:
                actions = statement["Action"]
                used |= {(policy, action) for action in ([actions] if isinstance(actions, str) else actions)}
    assert set(documented) == used
    assert len(documented) == len(used)


def test_only_two_actions_are_for_everything() -> None:
    wide = set()
    for found in deployments().values():
        for document in Stacks(found).policies().values():
            wide |= {str(each["Action"]) for each in document["Statement"] if each.get("Resource") == "*"}
    assert wide == {"ecr:GetAuthorizationToken", "cloudwatch:PutMetricData"}


def test_endpoints_that_differ_by_dashes_alone_are_refused() -> None:
    hosted = {"package": "clip", "model": "s3://a/b.tar.gz"}
    hosting = {"bucket": "shop-models", "endpoints": {"a1": hosted, "a-1": hosted}}
    with pytest.raises(ConfigError, match="a1 and a-1 differ by dashes and capitals only"):
        Stacks(deployment({"region": "us-east-1", "hosting": hosting})).texts()


def test_an_archive_of_two_endpoints_goes_to_both_places() -> None:
    assert list(Stacks(deployments()["multi-model"]).uploads().values()).count("build/clip.tar.gz") == 2


def test_a_long_project_has_a_domain_with_a_short_name() -> None:
    values = {"region": "us-east-1"}
    assert Stacks(deployment(values, project="shop" + "-x" * 18)).domain_name == "shop" + "-x" * 12


def test_a_folder_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="can't be written"):
        write_files({"a.yaml": ""}, tmp_path / "file")


@pytest.mark.parametrize("text", ["a: 1\na: 2", "a: &x 1\nb: *x", "a: !!python/object:os.system {}", "a: {"])
def test_what_cloudformation_refuses_is_no_stack(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        parse_stack(text)


def test_short_tags_are_functions() -> None:
    text = "a: !Ref B\nb: !GetAtt C.D.E\nc: !If [F, !Sub '${G}', 2012-10-17]\nd: !Condition H"
    assert parse_stack(text) == {
        "a": {"Ref": "B"},
        "b": {"Fn::GetAtt": ["C", "D.E"]},
        "c": {"Fn::If": ["F", {"Fn::Sub": "${G}"}, "2012-10-17"]},
        "d": {"Condition": "H"},
    }


def command(*words: str) -> int:
    return main(["stacks", "--config", str(ROOT / "neuralshelf.yaml"), "--environment", "aws", *words])


def test_the_verb_writes_files_and_names_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--out", str(tmp_path / "a"), "--terraform", str(tmp_path / "b")) == 0
    lines = capsys.readouterr().out.splitlines()
    written = [Path(line) for line in lines if not line.startswith("before ")]
    assert all(file.is_file() for file in written)
    assert {file.name for file in written} >= {"quickstart.yaml", VARIABLES}
    assert "aws s3 cp build/clip.tar.gz s3://" in lines[-1]


def test_the_verb_says_it_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--out", str(tmp_path), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["format_version"] == 1
    assert len(found["files"]) == 4
    assert all(url.startswith("s3://") for url in found["uploads"])


def test_the_verb_wants_to_know_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert command() == 2
    assert "give --out DIR" in capsys.readouterr().err


def docs(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")
