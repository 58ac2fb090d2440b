"""The picture of a JSON request: `"inputImage"` carries it in base64, `"bucket"` and `"file_name"` name it in S3.

Only buckets that the environment variable ALLOWED_BUCKETS lists (comma separated) are read: whoever may call an
endpoint must not read all that its role can.
"""

import os
from functools import cache
from typing import TYPE_CHECKING

from neuralshelf.model_packages.server.jsonbody import kind, malformed
from neuralshelf.model_packages.server.pictures import PictureCode, PictureError, PictureLimits, decode, from_base64
from neuralshelf.model_packages.server.refusals import InputRefused, ModelFailed

if TYPE_CHECKING:
    import numpy as np
    from mypy_boto3_s3 import S3Client
    from numpy.typing import NDArray

CARRIED = "inputImage"
NAMED = ("bucket", "file_name")
ALLOWED = "ALLOWED_BUCKETS"
MAX_KEY = 1024
"""Bytes of an object key in UTF-8 (Amazon S3 user guide, "Naming Amazon S3 objects")."""

NOT_ALLOWED = "BucketNotAllowed"
NOT_FOUND = "ObjectNotFound"
NOT_READABLE = "ObjectNotReadable"

_CODES = {"NoSuchKey": NOT_FOUND, "NoSuchBucket": NOT_FOUND, "404": NOT_FOUND}
_CLIENT_FAULTS = range(400, 500)
_SLOW_DOWN = 429


def picture(fields: dict[str, object], limits: PictureLimits) -> "tuple[NDArray[np.uint8], bytes]":
    """The one picture of a request: uint8 (height, width, 3), RGB, upright; and its file.

    Raises:
        InputRefused: there is none, there are two, or it is refused, with the server's codes for pictures.
        ModelFailed: see `read`.
    """
    carried, named = fields.get(CARRIED), not fields.keys().isdisjoint(NAMED)
    if named == (carried is not None):
        raise malformed(f"#: either key [{CARRIED}] or keys [{NAMED[0]}] and [{NAMED[1]}] are required")
    try:
        data = read(fields, limits.max_bytes) if named else from_base64(_string(fields, CARRIED))
        return decode(data, limits), data
    except PictureError as error:
        raise _refused(NAMED[1] if named else CARRIED, error.code, error.message) from None


def read(fields: dict[str, object], max_bytes: int) -> bytes:
    """The bytes of the object that a request names; their number is checked before they are read.

    Raises:
        InputRefused: fields are missing or of a wrong kind; or, with the code in the message: BucketNotAllowed,
            ObjectNotFound, ObjectNotReadable, TooManyBytes.
        ModelFailed: S3 can't be reached, or fails itself; the same request may be answered later.
    """
    bucket, key = (_string(fields, name) for name in NAMED)
    allowed = [name.strip() for name in os.environ.get(ALLOWED, "").split(",")]
    if bucket not in allowed:
        raise _refused("bucket", NOT_ALLOWED, f"add the bucket to the endpoint's environment variable {ALLOWED}")
    if len(key.encode("utf-8", "replace")) > MAX_KEY:
        raise _refused("file_name", NOT_FOUND, f"an object key has at most {MAX_KEY} bytes")
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = _client().get_object(Bucket=bucket, Key=key)
        with answer["Body"] as body:
            if answer["ContentLength"] > max_bytes:
                said = f"{answer['ContentLength']} bytes; at most {max_bytes}"
                raise _refused("file_name", PictureCode.TOO_MANY_BYTES, said)
            return body.read()
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status not in _CLIENT_FAULTS or status == _SLOW_DOWN:
            raise ModelFailed("S3 failed; try again later") from None
        code = _CODES.get(error.response["Error"]["Code"], NOT_READABLE)
        hint = "no such object" if code == NOT_FOUND else "the endpoint's role may not read it; grant s3:GetObject"
        raise _refused("file_name", code, hint) from None
    except BotoCoreError:
        raise ModelFailed("S3 can't be reached from the endpoint; try again later") from None


def _refused(field: str, code: str, said: str) -> InputRefused:
    """As the server's contracts word it."""
    pixels = "Image exceeds max pixels allowed. " if code == PictureCode.TOO_MANY_PIXELS else ""
    return InputRefused(f"400 Bad Request: {pixels}#/{field}: {code}: {said}")


def _string(fields: dict[str, object], name: str) -> str:
    value = fields.get(name)
    if value is None:
        raise malformed(f"#: required key [{name}] not found")
    if not isinstance(value, str):
        raise malformed(f"#/{name}: expected type: String, found: {kind(value)}")
    if not value:
        raise malformed(f"#/{name}: expected minLength: 1, actual: 0")
    return value


@cache
def _client() -> "S3Client":
    """One client a process: making one takes longer than reading a picture."""
    import boto3
    from botocore.config import Config

    patience = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "max_attempts": 3})
    return boto3.client("s3", config=patience)
