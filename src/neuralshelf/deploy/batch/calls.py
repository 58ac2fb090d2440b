"""What refusals of SageMaker and S3 mean to whoever runs a batch."""

from collections.abc import Iterator
from contextlib import contextmanager

from neuralshelf.errors import ConfigError, ServerError, one_line

_LOGIN = (
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
)
_FORBIDDEN = ("AccessDenied", "AccessDeniedException", "403")


@contextmanager
def asking(what: str, hint: str = "check the network, region and profile") -> Iterator[None]:
    """Let what boto3 raises become an error of one line.

    Args:
        what: is asked for, or about; begins the message.
        hint: the next step when AWS refuses it for reasons of its own.

    Raises:
        ConfigError: no credentials, or they have expired, or may not do that.
        ServerError: refused otherwise, or AWS can't be reached.
    """
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        yield
    except ClientError as fault:
        said = fault.response.get("Error", {})
        code, message = said.get("Code", "refused"), one_line(said.get("Message", ""), 300)
        text = f"{what}: {code}: {message}".removesuffix(": ")
        if code in _LOGIN:
            raise ConfigError(text, hint="check the credentials: aws sts get-caller-identity") from None
        if code in _FORBIDDEN:
            raise ConfigError(text, hint=f"allow {_action(fault.operation_name)} to this login") from None
        raise ServerError(text, hint=hint) from None
    except NoCredentialsError:
        raise ConfigError(f"{what}: no AWS credentials found", hint="set AWS_PROFILE, or log in") from None
    except BotoCoreError as fault:
        raise ServerError(f"{what}: {fault}", hint="check the network, region and profile") from None


_S3 = {"ListObjectsV2": "s3:ListBucket", "HeadObject": "s3:GetObject", "DeleteObjects": "s3:DeleteObject"}


def _action(operation: str) -> str:
    """The IAM action of an operation."""
    if operation in _S3 or operation.endswith("Object"):
        return _S3.get(operation, f"s3:{operation}")
    return "s3:PutObject" if operation.endswith(("MultipartUpload", "UploadPart")) else f"sagemaker:{operation}"
