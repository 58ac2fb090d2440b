"""Pictures in S3: one that can't be had is a letter, a bucket that can't be had stops the run."""

import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from neuralshelf.errors import ConfigError, InputError, MissingDependencyError
from neuralshelf.ingestion.sources import bucket
from neuralshelf.ingestion.sources.pictures import Pictures
from neuralshelf.ingestion.sources.source import open_pictures
from tests.unit.picture_sources import FILES, in_bucket, pretended_aws, refused


@pytest.fixture(scope="module", autouse=True)
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """S3 without a network."""
    with pretended_aws(tmp_path_factory.mktemp("aws")):
        yield


@pytest.fixture(scope="module")
def s3(aws: None, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A client of S3 with FILES in it, below s3://shop/spring/pictures."""
    in_bucket(tmp_path_factory.getbasetemp(), FILES)
    return boto3.client("s3", region_name="eu-central-1")


@pytest.fixture
def shop(s3: Any, monkeypatch: pytest.MonkeyPatch) -> Pictures:
    """The bucket, newly opened."""
    monkeypatch.setattr(bucket, "service_client", lambda *words, **options: s3)
    return open_pictures("s3://shop/spring/pictures")


def test_an_address_inside_of_the_bucket_is_a_name(shop: Pictures) -> None:
    picture = shop.picture("s3://shop/spring/pictures/deep/er/b.png")
    assert (picture.name, picture.read(9999)) == ("deep/er/b.png", FILES["deep/er/b.png"])
    with pytest.raises(ValueError, match="outside"):
        shop.picture("s3://shop/spring/pictures/../secret.txt")


def fail(shop: Pictures, monkeypatch: pytest.MonkeyPatch, code: str, status: int) -> None:
    """Let S3 refuse every object."""
    from botocore.exceptions import ClientError

    def refuse(**request: Any) -> Any:
        answer: Any = {"Error": {"Code": code, "Message": "why"}, "ResponseMetadata": {"HTTPStatusCode": status}}
        raise ClientError(answer, "GetObject")

    monkeypatch.setattr(shop._client, "get_object", refuse)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("SlowDown", 503, "PictureThrottled"),
        ("InternalError", 500, "PictureThrottled"),
        ("AccessDenied", 403, "PictureForbidden"),
        ("InvalidObjectState", 403, "Unreadable"),
        ("NoSuchKey", 404, "Unreadable"),
    ],
)
def test_what_s3_refuses_of_one_picture_is_its_letter(
    shop: Pictures, monkeypatch: pytest.MonkeyPatch, code: str, status: int, expected: str
) -> None:
    fail(shop, monkeypatch, code, status)
    assert refused(shop, "a.jpg")[0] == expected


@pytest.mark.parametrize(
    ("code", "words"),
    [("ExpiredToken", "log in again"), ("NoSuchBucket", "check its name"), ("InvalidAccessKeyId", "credentials")],
)
def test_what_s3_refuses_as_a_whole_stops_the_run(
    shop: Pictures, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    fail(shop, monkeypatch, code, 400)
    with pytest.raises(InputError, match=f"s3://shop/spring/pictures: {code}: why; next: .*{words}"):
        shop.picture("a.jpg").read(10)


def test_a_bucket_that_forbids_or_throttles_everything_stops_the_run(
    shop: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(shop, monkeypatch, "AccessDenied", 403)
    for _ in range(bucket.FAILURES_IN_A_ROW - 1):
        assert refused(shop, "a.jpg")[0] == "PictureForbidden"
    with pytest.raises(InputError, match="the last 20 pictures were forbidden or throttled"):
        shop.picture("a.jpg").read(10)


def test_forbidden_pictures_don_t_stop_a_run_that_has_read_others(
    shop: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.picture("a.jpg").read(1000)
    fail(shop, monkeypatch, "AccessDenied", 403)
    for _ in range(bucket.FAILURES_IN_A_ROW + 5):
        assert refused(shop, "a.jpg")[0] == "PictureForbidden"


def test_a_bucket_that_is_not_there_is_told_before_the_run(shop: Pictures) -> None:
    with pytest.raises(InputError, match="bucket nowhere: there is none; next:"):
        open_pictures("s3://nowhere/x")
    with pytest.raises(InputError, match="is no address of a bucket"):
        open_pictures("s3://No_Bucket")


def test_s3_that_can_t_be_reached_or_asked_is_told_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    unreachable = boto3.client("s3", endpoint_url="http://127.0.0.1:9", region_name="eu-central-1", config=no_retries())
    monkeypatch.setattr(bucket, "service_client", lambda *words, **options: unreachable)
    with pytest.raises(InputError, match=r"s3://shop: Could not connect .*; next: check the network"):
        open_pictures("s3://shop")


def no_retries() -> Any:
    from botocore.config import Config

    return Config(retries={"total_max_attempts": 1}, connect_timeout=1)


def test_without_credentials_or_boto3_s3_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ConfigError, match="no AWS credentials found; next: set AWS_PROFILE"):
        open_pictures("s3://shop")
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(MissingDependencyError, match=r"neuralshelf\[aws\]"):
        open_pictures("s3://shop")
