"""preflight names what would stop a deployment, with the next step, and changes nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.aws import gaps
from tests.aws.account import client, everything
from tests.aws.shop import BUCKET, Shop
from tests.aws.wiretap import Wiretap

Capture = pytest.CaptureFixture[str]


def states(found: Any) -> dict[str, str]:
    """The worst state of each check."""
    order = ("ok", "warn", "fail")
    worst: dict[str, str] = {}
    for check in found["checks"]:
        worst[check["name"]] = max(worst.get(check["name"], "ok"), check["state"], key=order.index)
    return worst


def linked_role() -> None:
    """The role that OpenSearch makes for itself."""
    path, name = "/aws-service-role/opensearchservice.amazonaws.com/", "AWSServiceRoleForAmazonOpenSearchService"
    client("iam").create_role(RoleName=name, Path=path, AssumeRolePolicyDocument="{}")


def test_an_account_that_is_ready(shop: Shop, tap: Wiretap, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    linked_role()
    shop.config["connectors"]["text"]["batch_size"] = 8
    tap.calls.clear()
    found = shop.json(capsys, "preflight")
    assert set(states(found).values()) == {"ok"}
    assert set(states(found)) == {
        *("login", "region", "service-linked role", "connectors", "archives", "images", "bucket", "quotas", "bedrock")
    }
    assert tap.writes == []
    assert shop.run("preflight") == 0
    assert capsys.readouterr().out.startswith("ok:   login: arn:aws:")


def lifecycle(shop: Shop) -> None:
    gaps.MODEL["lifecycle"] = "LEGACY"


def no_access(shop: Shop) -> None:
    gaps.MODEL["entitlement"] = "NOT_AVAILABLE"


def too_many(shop: Shop) -> None:
    shop.endpoints["shop-clip"]["instances"] = 5


def too_concurrent(shop: Shop) -> None:
    shop.endpoints["shop-minilm"]["max_concurrency"] = 11


def no_quota(shop: Shop) -> None:
    shop.endpoints["shop-clip"]["instance_type"] = "ml.p3.2xlarge"


def no_archive(shop: Shop) -> None:
    (shop.folder / "build" / "clip.tar.gz").unlink()


def bad_archive(shop: Shop) -> None:
    (shop.folder / "build" / "clip.tar.gz").write_bytes(b"no archive")


def nothing_in_s3(shop: Shop) -> None:
    client("s3").create_bucket(Bucket="elsewhere")
    shop.endpoints["shop-clip"]["model"] = "s3://elsewhere/clip.tar.gz"


def no_endpoint(shop: Shop) -> None:
    shop.config["connectors"]["text"]["endpoint"] = "theirs"


def wrong_target(shop: Shop) -> None:
    shop.config["connectors"]["text"]["target_model"] = "minilm.tar.gz"


def serverless_pictures(shop: Shop) -> None:
    shop.endpoints["shop-clip"] |= {"mode": "serverless", "max_concurrency": 1}


def unknown_image(shop: Shop) -> None:
    shop.environment["runtime"]["region"] = "xx-nowhere-1"


@pytest.mark.parametrize(
    ("spoil", "check", "state", "words"),
    [
        (lifecycle, "bedrock", "warn", "LEGACY"),
        (no_access, "bedrock", "fail", "Model access"),
        (too_many, "quotas", "fail", "5 needed, 4 allowed"),
        (too_concurrent, "quotas", "fail", "11 needed, 10 allowed"),
        (no_quota, "quotas", "warn", "not listed"),
        (no_archive, "archives", "fail", "clip.tar.gz can't be read"),
        (bad_archive, "archives", "fail", "clip.tar.gz"),
        (nothing_in_s3, "archives", "fail", "s3://elsewhere/clip.tar.gz is not there"),
        (no_endpoint, "connectors", "warn", "add hosting.endpoints.theirs"),
        (wrong_target, "connectors", "fail", "correct connectors.text.target_model"),
        (serverless_pictures, "connectors", "warn", "set connectors.picture.max_body: 4000000"),
        (lambda shop: None, "service-linked role", "warn", "aws iam create-service-linked-role"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_wrong_is_named(
    shop: Shop, capsys: Capture, spoil: Callable[[Shop], None], check: str, state: str, words: str
) -> None:
    before = dict(gaps.MODEL)
    try:
        spoil(shop)
        shop.write()
        found = shop.json(capsys, "preflight", code=1 if state == "fail" else 0)
    finally:
        gaps.MODEL.update(before)
    assert states(found)[check] == state
    assert found["ok"] == (state != "fail")
    named = [c for c in found["checks"] if c["name"] == check and c["state"] == state]
    assert any(words in f"{c['found']} {c['remedy']}" for c in named)
    assert all(c["remedy"] for c in named)


def test_deploy_stops_at_what_fails(shop: Shop, capsys: Capture) -> None:
    no_archive(shop)
    assert shop.run("deploy") == 1
    said = capsys.readouterr().err
    assert "neuralshelf: preflight: archives: archive" in said
    assert everything() == set()


def test_a_login_that_may_not_look_is_warned(shop: Shop, tap: Wiretap, capsys: Capture) -> None:
    def deny(service: str, operation: str, parameters: dict[str, Any]) -> None:
        if service in {"service-quotas", "bedrock"}:
            answer: Any = {"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}}
            raise ClientError(answer, operation)

    tap.before = deny
    found = shop.json(capsys, "preflight")
    assert (states(found)["quotas"], states(found)["bedrock"]) == ("warn", "warn")


def test_a_bucket_of_another_account_fails(shop: Shop, tap: Wiretap, capsys: Capture) -> None:
    def deny(service: str, operation: str, parameters: dict[str, Any]) -> None:
        if operation == "HeadBucket":
            raise ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, operation)

    tap.before = deny
    found = shop.json(capsys, "preflight", code=1)
    (check,) = [check for check in found["checks"] if check["name"] == "bucket"]
    assert check["state"] == "fail"
    assert f"bucket {BUCKET} is of another account" in check["found"]
