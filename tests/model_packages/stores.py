"""A bucket that the endpoint may read and one that it may not, in moto."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from moto import mock_aws

from neuralshelf.model_packages import stored

BUCKET, OTHER = "shop-pictures", "shop-invoices"


@contextmanager
def buckets(files: dict[str, bytes]) -> Iterator[Any]:
    """The S3 client that filled both with `files`; ALLOWED_BUCKETS names the first and one that is not there."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("ALLOWED_BUCKETS", f"gone-pictures, {BUCKET}")
        stored._client.cache_clear()
        session: Any = boto3.Session()
        s3 = session.client("s3")
        for bucket in (BUCKET, OTHER):
            s3.create_bucket(Bucket=bucket)
            for key, data in files.items():
                s3.put_object(Bucket=bucket, Key=key, Body=data)
        yield s3
        stored._client.cache_clear()
