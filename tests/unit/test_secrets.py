"""Secrets by reference: files, variables, Secrets Manager and profiles; what is said when one isn't there."""

import json
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from pydantic import SecretStr

from neuralshelf.aws import Profile
from neuralshelf.connectors.resources import connector_resources
from neuralshelf.connectors.runtime import Runtime
from neuralshelf.connectors.spec import SageMakerText
from neuralshelf.errors import ConfigError, MissingDependencyError, NeuralshelfError
from neuralshelf.secrets import SecretRef
from neuralshelf.settings import RuntimeConfig

PLANTED = "PLANTED-SECRET-7f3a"

Shop = Callable[..., Path]


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """AWS files of this test alone; returns the config file."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / "config"


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Secrets Manager of eu-west-1, and the region in force."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield boto3.client("secretsmanager", region_name="eu-west-1")


def shown(fault: BaseException) -> str:
    """All that a person could get to see of an error."""
    return "".join(traceback.format_exception(fault)) + repr(fault) + str(fault)


def refused(act: Callable[[], object], kind: type[NeuralshelfError] = ConfigError) -> NeuralshelfError:
    """The error of `act`, which must be one line with a next step."""
    with pytest.raises(kind) as caught:
        act()
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    assert PLANTED not in shown(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ({}, "give one of"),
        ({"env": "A", "file": "b"}, "give one of"),
        ({"env": "A", "key": "b"}, "only for secretsmanager"),
        ({"file": "A", "region": "eu-west-1"}, "only for secretsmanager"),
        (PLANTED, "clear text"),
        ({"secretsmanger": "a"}, "did you mean 'secretsmanager'"),
    ],
)
def test_a_reference_names_exactly_one_place(reference: Any, words: str) -> None:
    keys = {"access_key": reference, "secret_key": {"env": "B"}}
    assert words in str(refused(lambda: RuntimeConfig.parse(keys, "local.yaml")))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"profile": "shop", "access_key": {"env": "A"}, "secret_key": {"env": "B"}}, "give one of profile"),
        ({"profile": "shop", "role_arn": "arn:aws:iam::123456789012:role/search"}, "give one of profile"),
        ({"access_key": {"env": "A"}}, "belong together"),
        ({"session_token": {"env": "A"}}, "belong together"),
    ],
)
def test_a_runtime_has_its_credentials_in_one_way(more: dict[str, Any], words: str) -> None:
    assert words in str(refused(lambda: RuntimeConfig.parse({"provider": "aws", **more}, "aws.yaml")))


def test_a_secret_file_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(PLANTED.encode() + b"\xff\xfe")
    assert "not UTF-8" in str(refused(SecretRef(file=str(tmp_path / "key")).read))


def test_a_secret_of_secrets_manager_is_read_whole_or_by_key_and_anew_each_time(vault: Any) -> None:
    arn = vault.create_secret(Name="shop/key", SecretString=PLANTED)["ARN"]
    vault.create_secret(Name="shop/keys", SecretString=json.dumps({"id": "AKIA", "secret": PLANTED}))
    whole = SecretRef(secretsmanager="shop/key", region="eu-west-1")
    for reference in (
        whole,
        SecretRef(secretsmanager=arn),  # the ARN says the region
        SecretRef(secretsmanager="shop/keys", key="secret", region="eu-west-1"),
    ):
        found = reference.read()
        assert found.get_secret_value() == PLANTED
        assert PLANTED not in repr(found) + repr(reference)
    vault.put_secret_value(SecretId="shop/key", SecretString="new")
    assert whole.read().get_secret_value() == "new"


def test_the_region_of_the_environment_is_used(vault: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.create_secret(Name="shop/key", SecretString=PLANTED)
    assert "no region" in str(refused(SecretRef(secretsmanager="shop/key").read))
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert SecretRef(secretsmanager="shop/key").read().get_secret_value() == PLANTED


def test_what_secrets_manager_refuses_is_one_line_with_the_next_step(vault: Any) -> None:
    def read(name: str, key: str | None = None) -> str:
        return str(refused(SecretRef(secretsmanager=name, key=key, region="eu-west-1").read))

    vault.create_secret(Name="text", SecretString=PLANTED)
    vault.create_secret(Name="object", SecretString=json.dumps({"a": PLANTED, "number": 7}))
    vault.create_secret(Name="binary", SecretBinary=b"\x00" + PLANTED.encode())
    vault.create_secret(Name="deleted", SecretString=PLANTED)
    vault.delete_secret(SecretId="deleted")
    assert "ResourceNotFoundException" in read("absent")
    assert "no JSON object" in read("text", "a")
    assert "no text under 'b'" in read("object", "b")
    assert "no text under 'number'" in read("object", "number")
    assert "holds no text" in read("binary")
    assert "restore it" in read("deleted")


def test_without_credentials_the_way_to_them_is_said() -> None:
    read = SecretRef(secretsmanager="shop/key", region="eu-west-1").read
    assert "Unable to locate credentials" in str(refused(read))


def test_without_boto3_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    for act in (SecretRef(secretsmanager="shop/key").read, Profile("shop").read):
        assert "neuralshelf[aws]" in str(refused(act, MissingDependencyError))


def test_a_profile_with_lasting_keys_has_no_end_and_is_read_anew_each_time(aws: Path) -> None:
    profile = Profile("shop")
    for secret in (PLANTED, "other"):
        aws.with_name("credentials").write_text(
            f"[shop]\naws_access_key_id = AKIASHOP\naws_secret_access_key = {secret}\n"
        )
        runtime = Runtime.from_config(RuntimeConfig(provider="aws", profile="shop"), profile)
        assert runtime.secrets() == {"credential.access_key": "AKIASHOP", "credential.secret_key": secret}
        assert runtime.expires is None
        assert PLANTED not in repr(runtime)


def test_a_profile_that_assumes_a_role_lends_keys_with_a_token_and_an_end(aws: Path) -> None:
    aws.write_text(
        "[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = base\nregion = eu-west-1\n"
        "[profile shop]\nrole_arn = arn:aws:iam::123456789012:role/search\nsource_profile = base\nregion = eu-west-1\n"
    )
    with mock_aws():
        profile = Profile("shop")
        runtime = Runtime.from_config(RuntimeConfig(provider="aws", profile="shop"), profile)
        assert set(runtime.secrets()) == {
            f"credential.{part}" for part in ("access_key", "secret_key", "session_token")
        }
        assert runtime.expires is not None
        left = runtime.expires - datetime.now(UTC)
        assert timedelta(minutes=50) < left < timedelta(minutes=70)
        again = Runtime.from_config(RuntimeConfig(provider="aws", profile="shop"), profile)
        assert again.secrets() == runtime.secrets(), "keys that still hold are kept"


def test_the_default_profile_follows_the_chain_down_to_the_instance(aws: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = datetime.now(UTC) + timedelta(hours=6)

    class Metadata(BaseHTTPRequestHandler):
        """The instance metadata service, version 2."""

        def do_PUT(self) -> None:
            self.answer("token")

        def do_GET(self) -> None:
            role = {
                "Code": "Success",
                "Type": "AWS-HMAC",
                "LastUpdated": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
                "AccessKeyId": "ASIAROLE",
                "SecretAccessKey": PLANTED,
                "Token": "T",
                "Expiration": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
            }
            self.answer("search" if self.path.endswith("credentials/") else json.dumps(role))

        def answer(self, text: str) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Metadata) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        found = Profile("default").read()
        server.shutdown()
    assert found.access_key.get_secret_value() == "ASIAROLE"
    assert found.secret_key.get_secret_value() == PLANTED
    assert found.expires is not None
    assert abs(found.expires - ends) < timedelta(seconds=2)


def test_a_profile_that_gives_nothing_is_one_line_with_the_next_step(aws: Path) -> None:
    aws.write_text(
        "[profile empty]\nregion = eu-west-1\n"
        "[profile sso]\nsso_session = shop\nsso_account_id = 123456789012\nsso_role_name = search\nregion = eu-west-1\n"
        "[sso-session shop]\nsso_start_url = https://shop.example/start\nsso_region = eu-west-1\n"
        f"[profile process]\ncredential_process = sh -c 'echo {PLANTED} >&2; exit 1'\n"
        "[profile half]\nrole_arn = arn:aws:iam::123456789012:role/search\nsource_profile = nobody\n"
    )
    assert "could not be found" in str(refused(Profile("absent").read))
    assert "no AWS credentials" in str(refused(Profile("empty").read))
    assert "aws sso login --profile sso" in str(refused(Profile("sso").read))
    assert "custom-process gives no credentials" in str(refused(Profile("process").read))
    assert "nobody" in str(refused(Profile("half").read))
    aws.write_text("no ini file at all")
    refused(Profile("shop").read)


def test_a_credential_process_lends_with_an_end(aws: Path, tmp_path: Path) -> None:
    ends = datetime.now(UTC) + timedelta(hours=1)
    lent = {"Version": 1, "AccessKeyId": "ASIA", "SecretAccessKey": PLANTED, "SessionToken": "T"}
    (tmp_path / "lent.json").write_text(json.dumps(lent | {"Expiration": ends.isoformat()}))
    aws.write_text(f"[profile process]\ncredential_process = cat {tmp_path / 'lent.json'}\n")
    found = Profile("process").read()
    assert found.secret_key.get_secret_value() == PLANTED
    assert found.expires is not None
    assert abs(found.expires - ends) < timedelta(seconds=2)
    assert PLANTED not in repr(found)


def test_what_is_lent_stays_out_of_fingerprints_and_what_lasts_does_not() -> None:
    spec = SageMakerText(kind="sagemaker-text", endpoint="minilm", dimension=384)

    def made(secret: str, expires: datetime | None) -> str:
        runtime = Runtime("us-east-1", None, SecretStr("AKIA"), SecretStr(secret), expires=expires)
        return connector_resources("text", spec, runtime=runtime, prefix="shop-test-v1", group="g")[0].fingerprint

    ends = datetime.now(UTC)
    assert made("a", None) != made("b", None)
    assert made("a", ends) == made("b", ends) == made("b", ends + timedelta(hours=1))
    assert made("a", ends) != made("a", None)
