"""Specs to resources: names, addresses, secrets, what changes a fingerprint; where and with what a model is called."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr, TypeAdapter

from neuralshelf.connectors.policy import iam_policy, trusted_endpoints
from neuralshelf.connectors.resources import cluster_settings, connector_resources, model_address, model_group
from neuralshelf.connectors.runtime import Runtime
from neuralshelf.connectors.spec import ROLES, ConnectorSpec
from neuralshelf.errors import ConfigError
from neuralshelf.resource import Resource
from neuralshelf.settings import RuntimeConfig

AWS = Runtime(
    "eu-central-1",
    access_key=SecretStr("AKIAONE"),
    secret_key=SecretStr("one-secret"),
    session_token=SecretStr("one-token"),
)
ROLE_ARN = "arn:aws:iam::123456789012:role/models"
KINDS = {
    "text": {"kind": "sagemaker-text", "endpoint": "sentences", "dimension": 384},
    "picture": {"kind": "sagemaker-clip", "endpoint": "clip", "dimension": 512},
    "titan": {"kind": "bedrock-titan-multimodal", "dimension": 256},
}


def spec_of(logical: str, **changed: Any) -> ConnectorSpec:
    """A spec of one kind."""
    adapter: TypeAdapter[ConnectorSpec] = TypeAdapter(ConnectorSpec)
    return adapter.validate_python(KINDS[logical] | changed)


def made(logical: str, runtime: Runtime = AWS, **changed: Any) -> dict[str, Resource]:
    """Resources by address."""
    found = connector_resources(
        logical, spec_of(logical, **changed), runtime=runtime, prefix="shop-test", group="shop-test-models"
    )
    return {resource.address: resource for resource in found}


@pytest.mark.parametrize("logical", KINDS)
def test_each_role_has_a_connector_and_a_model_that_uses_it(logical: str) -> None:
    found = made(logical)
    assert len(found) == 4
    for role in ROLES:
        model = found[model_address("shop-test", logical, role)]
        group = model_group("shop-test").address
        assert set(model.depends_on) == {f"connector/shop-test-{logical}-{role}", group}
        assert set(model.depends_on) <= {*found, group}


@pytest.mark.parametrize("logical", KINDS)
def test_names_and_descriptions_hold_only_what_ml_commons_takes(logical: str) -> None:
    for resource in [*made(logical).values(), model_group("shop-test")]:
        assert resource.body["name"] == resource.name
        for key in ("name", "description"):
            assert re.fullmatch(r"[A-Za-z0-9\s.,!?():@\-_'/\"]+", resource.body[key])


@pytest.mark.parametrize("logical", KINDS)
def test_credentials_are_secrets_of_the_connectors_and_stand_in_no_body_and_no_repr(logical: str) -> None:
    for address, resource in made(logical).items():
        text = json.dumps(resource.body) + repr(resource)
        assert not any(word in text for word in ("AKIAONE", "one-secret", "one-token"))
        keys = {"credential.access_key", "credential.secret_key", "credential.session_token"}
        assert set(resource.secrets) == (keys if address.startswith("connector/") else set())
    assert "one-secret" not in repr(AWS)
    assert "one-token" not in repr(AWS)


def test_a_role_takes_the_place_of_keys() -> None:
    connector = made("text", Runtime("us-east-1", role_arn=ROLE_ARN))["connector/shop-test-text-search"]
    assert connector.body["credential"] == {"roleArn": ROLE_ARN}
    assert not connector.secrets


def test_a_runtime_without_credentials_is_refused_with_the_next_step() -> None:
    with pytest.raises(ConfigError, match="the runtime has no credentials") as caught:
        made("text", Runtime("us-east-1"))
    assert "runtime.access_key" in caught.value.hint


@pytest.mark.parametrize(
    ("changed", "runtime"),
    [
        ({"endpoint": "others"}, AWS),
        ({"batch_size": 4}, AWS),
        ({"search": {"read_timeout": 4}}, AWS),
        ({}, replace(AWS, region="us-east-1")),
        ({}, replace(AWS, secret_key=SecretStr("another"))),
        ({}, replace(AWS, session_token=SecretStr("another"))),
        ({}, AWS.at("http://127.0.0.1:9", "AKIAONE", SecretStr("one-secret"))),
    ],
    ids=["endpoint", "batch-size", "tuning", "region", "secret-key", "session-token", "url"],
)
def test_what_changes_how_a_model_is_called_changes_the_fingerprint(changed: dict[str, Any], runtime: Runtime) -> None:
    address = "connector/shop-test-text-search"
    assert made("text", runtime, **changed)[address].fingerprint != made("text")[address].fingerprint


def test_search_tuning_leaves_the_ingest_connector_alone() -> None:
    address = "connector/shop-test-text-ingest"
    assert made("text", search={"read_timeout": 4})[address].fingerprint == made("text")[address].fingerprint


@pytest.mark.parametrize(
    ("logical", "url"),
    [
        ("text", "https://runtime.sagemaker.eu-central-1.amazonaws.com/endpoints/sentences/invocations"),
        ("picture", "https://runtime.sagemaker.eu-central-1.amazonaws.com/endpoints/clip/invocations"),
        (
            "titan",
            "https://bedrock-runtime.eu-central-1.amazonaws.com/model/amazon.titan-embed-image-v1/invoke",
        ),
    ],
)
def test_aws_is_called_at_its_own_hosts(logical: str, url: str) -> None:
    called = made(logical)[f"connector/shop-test-{logical}-search"].body["actions"][0]["url"]
    assert called == url


@pytest.mark.parametrize("given", ["http://127.0.0.1:8181", "http://127.0.0.1:8181/", "http://models.internal"])
def test_a_server_of_our_own_is_called_and_trusted_at_any_port_of_its_host(given: str) -> None:
    runtime = AWS.at(given, "AKIA", SecretStr("s"))
    called = made("picture", runtime)["connector/shop-test-picture-search"].body["actions"][0]["url"]
    assert called == given.rstrip("/") + "/endpoints/clip/invocations"
    (ours,) = trusted_endpoints(runtime)
    assert re.match(ours, called)
    assert re.match(ours, re.sub(r":\d+/|(?<=internal)/", ":9999/", called))


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.10:80/x", "http://127a0.0.1/x", "https://127.0.0.1/x", "http://127.0.0.1.evil.org/", "http://127.0.0.1@evil.org/"],
)  # fmt: skip
def test_no_other_host_is_trusted_by_the_pattern_of_ours(url: str) -> None:
    ours = trusted_endpoints(AWS.at("http://127.0.0.1:8181", "AKIA", SecretStr("s")))[0]
    assert not re.match(ours, url)


def test_a_cluster_that_calls_aws_keeps_its_settings() -> None:
    assert cluster_settings(AWS).body == {"persistent": {}}


def test_private_addresses_are_allowed_for_a_server_of_our_own_only() -> None:
    local = cluster_settings(AWS.at("http://127.0.0.1:8181", "AKIA", SecretStr("s"))).body["persistent"]
    assert local["plugins.ml_commons.connector.private_ip_enabled"] is True


def test_a_runtime_is_read_from_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_KEY", "AKIATWO")
    monkeypatch.setenv("MODEL_SECRET", "two-secret")
    given = {"provider": "aws", "access_key": {"env": "MODEL_KEY"}, "secret_key": {"env": "MODEL_SECRET"}}
    runtime = Runtime.from_config(RuntimeConfig.parse(given, "aws.yaml"))
    assert runtime.secrets() == {"credential.access_key": "AKIATWO", "credential.secret_key": "two-secret"}
    assert runtime.base_url("bedrock") == "https://bedrock-runtime.us-east-1.amazonaws.com"


def test_the_policy_allows_the_endpoints_and_models_and_nothing_else() -> None:
    specs = [spec_of("text"), spec_of("picture"), spec_of("picture", endpoint="Clip"), spec_of("titan")]
    policy = iam_policy(specs, region="us-gov-west-1", account="123456789012")
    assert {tuple(statement["Resource"]) for statement in policy["Statement"]} == {
        ("arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/amazon.titan-embed-image-v1",),
        (
            "arn:aws-us-gov:sagemaker:us-gov-west-1:123456789012:endpoint/clip",
            "arn:aws-us-gov:sagemaker:us-gov-west-1:123456789012:endpoint/sentences",
        ),
    }
    assert "*" not in json.dumps(policy)


def test_a_policy_without_bedrock_does_not_name_it() -> None:
    policy = iam_policy([spec_of("text")], region="us-east-1", account="123456789012")
    assert [statement["Action"] for statement in policy["Statement"]] == ["sagemaker:InvokeEndpoint"]
