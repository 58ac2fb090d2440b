"""The same pictures in every kind of source, for tests."""

import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from neuralshelf.ingestion.admission import Refused
from neuralshelf.ingestion.sources.pictures import Pictures

FILES = {"a.jpg": b"A" * 1000, "deep/er/b.png": bytes(range(256)) * 20, "empty.jpg": b"", "ü 漢.jpg": b"U"}

Fill = Callable[[Path, dict[str, bytes]], str]


def in_folder(at: Path, files: dict[str, bytes]) -> str:
    folder = at / "pictures"
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return str(folder)


def in_zip(at: Path, files: dict[str, bytes]) -> str:
    with zipfile.ZipFile(at / "pictures.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("deep")
        for name, data in files.items():
            archive.writestr(name, data)
    return str(at / "pictures.zip")


def in_tar(at: Path, files: dict[str, bytes], name: str = "pictures.tar", mode: Any = "w") -> str:
    with tarfile.open(at / name, mode) as archive:
        for file, data in files.items():
            member = tarfile.TarInfo(f"./{file}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return str(at / name)


def in_packed_tar(at: Path, files: dict[str, bytes]) -> str:
    return in_tar(at, files, "pictures.TGZ", "w:gz")


def in_bucket(at: Path, files: dict[str, bytes]) -> str:
    """Below the prefix `spring/pictures`, with something else beside it."""
    client = boto3.client("s3", region_name="eu-central-1")
    with suppress(client.exceptions.BucketAlreadyOwnedByYou):
        client.create_bucket(Bucket="shop", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    for name, data in files.items():
        client.put_object(Bucket="shop", Key=f"spring/pictures/{name}", Body=data)
    client.put_object(Bucket="shop", Key="spring/secret.txt", Body=b"secret")
    return "s3://shop/spring/pictures/"


SOURCES: dict[str, Fill] = {
    "folder": in_folder,
    "zip": in_zip,
    "tar": in_tar,
    "tar.gz": in_packed_tar,
    "s3": in_bucket,
}


@contextmanager
def pretended_aws(folder: Path) -> Iterator[None]:
    """S3 of this process alone; `folder` holds what there is of AWS configuration, which is nothing."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        yield


def refused(source: Pictures, name: str, limit: int = 100_000) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        source.picture(name).read(limit)
    assert "\n" not in str(caught.value)
    return caught.value.code, str(caught.value)
