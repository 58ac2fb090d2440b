"""Pictures in S3, below one prefix of one bucket. boto3 is needed only here, and imported only when it is used."""

import re
import threading
from dataclasses import dataclass
from typing import Any

from neuralshelf.aws import service_client
from neuralshelf.errors import ConfigError, InputError
from neuralshelf.ingestion.admission import Refused
from neuralshelf.ingestion.sources.pictures import plain_name, too_many_bytes

READS = 3
"""Tries to get one object whose body broke off. Requests themselves are repeated by boto3."""

FAILURES_IN_A_ROW = 20
"""So many pictures that are forbidden or throttled, and none that was read, are no fault of theirs."""

_NAME = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?", re.DOTALL)
_BUSY = ("SlowDown", "ServiceUnavailable", "Throttling", "ThrottlingException", "RequestLimitExceeded", "InternalError")
_MISSING = ("NoSuchKey", "NotFound", "404")
_FORBIDDEN = ("AccessDenied", "403", "Forbidden")
_WHOLE = {
    "NoSuchBucket": "check its name",
    "PermanentRedirect": "name the bucket's region with AWS_REGION",
    "AllAccessDisabled": "ask who owns it",
    "InvalidAccessKeyId": "check the credentials: aws sts get-caller-identity",
    "SignatureDoesNotMatch": "check the credentials: aws sts get-caller-identity",
    "InvalidToken": "log in again",
    "ExpiredToken": "log in again",
    "RequestTimeTooSkewed": "set this machine's clock",
}


class Bucket:
    """Objects of one bucket whose keys begin with one prefix. Any number of threads read at once."""

    def __init__(self, address: str, *, profile: str | None = None, region: str | None = None) -> None:
        """
        Args:
            address: `s3://BUCKET` or `s3://BUCKET/PREFIX`.

        Raises:
            InputError: no such address or bucket, or S3 can't be reached.
            ConfigError: no credentials.
            MissingDependencyError: boto3 is not installed.
        """
        found = _NAME.fullmatch(address)
        if found is None:
            raise InputError(f"{address[:80]!a} is no address of a bucket", hint="write s3://BUCKET/PREFIX")
        self._bucket = found[1]
        self._prefix = (found[2] or "").strip("/")
        self.address = f"s3://{self._bucket}/{self._prefix}".rstrip("/")
        self._failures = 0
        self._read_any = False
        self._lock = threading.Lock()
        self._client = service_client("s3", self.address, profile=profile, region=region)
        self._check()

    def picture(self, name: str) -> "S3Object":
        """See `Pictures`; a row may also give the whole address of an object below the prefix."""
        return S3Object(self, plain_name(name.removeprefix(f"{self.address}/")))

    def read(self, name: str, limit: int) -> bytes:
        """See `Picture`."""
        from botocore.exceptions import BotoCoreError, ClientError

        key = f"{self._prefix}/{name}" if self._prefix else name
        fault: Exception | str = ""
        for _ in range(READS):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=key)
                with answer["Body"] as body:
                    size = answer["ContentLength"]
                    if size > limit:
                        raise too_many_bytes(name, size, limit)
                    data: bytes = body.read(limit + 1)
            except ClientError as error:
                raise self._refused(name, error) from None
            except BotoCoreError as error:
                fault = error
                continue
            if len(data) == size:
                self._count(failed=False)
                return data
            fault = "the answer broke off"
        raise InputError(f"{self.address}: {fault}", hint="check the network, then run it again")

    def close(self) -> None:
        """See `Pictures`."""
        self._client.close()

    def _check(self) -> None:
        """The bucket is there. Who may only read objects is not told so: that shows at the first picture."""
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        try:
            self._client.head_bucket(Bucket=self._bucket)
        except ClientError as fault:
            if _code(fault) in (*_MISSING, *_WHOLE):
                raise InputError(f"bucket {self._bucket}: there is none", hint=_WHOLE["NoSuchBucket"]) from None
        except NoCredentialsError:
            raise ConfigError(f"{self.address}: no AWS credentials found", hint="set AWS_PROFILE, or log in") from None
        except BotoCoreError as fault:
            raise InputError(f"{self.address}: {fault}", hint="check the network, region and profile") from None

    def _refused(self, name: str, fault: Any) -> Refused:
        code = _code(fault)
        message = str(fault.response.get("Error", {}).get("Message", ""))
        if code in _WHOLE:
            raise InputError(f"{self.address}: {code}: {message}", hint=_WHOLE[code]) from None
        if code in _MISSING:
            return Refused("Unreadable", f"{name}: is not in {self.address}")
        if code in _FORBIDDEN:
            self._count(failed=True, stop=not self._read_any)
            return Refused("PictureForbidden", f"{name}: {self.address} does not let it be read")
        if code in _BUSY or fault.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
            self._count(failed=True, stop=True)
            return Refused("PictureThrottled", f"{name}: {self.address} is too busy: {code}")
        return Refused("Unreadable", f"{name}: {code}: {message}")

    def _count(self, *, failed: bool, stop: bool = False) -> None:
        with self._lock:
            self._failures = self._failures + 1 if failed else 0
            self._read_any = self._read_any or not failed
            if stop and self._failures >= FAILURES_IN_A_ROW:
                raise InputError(
                    f"{self.address}: the last {self._failures} pictures were forbidden or throttled",
                    hint="allow s3:GetObject on it, or wait; then run it again",
                )


@dataclass(frozen=True)
class S3Object:
    """A picture below a bucket's prefix, if it is there."""

    bucket: Bucket
    name: str

    def read(self, limit: int) -> bytes:
        """See `Picture`."""
        return self.bucket.read(self.name, limit)


def _code(fault: Any) -> str:
    return str(fault.response.get("Error", {}).get("Code", ""))
