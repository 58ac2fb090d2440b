"""One call of AWS as a value: what `--dry-run` prints is what is sent."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neuralshelf.aws import Service, service_client
from neuralshelf.errors import DeployError

Json = Any

ABSENT = {"404", "NoSuchBucket", "NoSuchEntity", "NoSuchTagSet", "NoSuchPublicAccessBlockConfiguration"} | {
    "ServerSideEncryptionConfigurationNotFoundError",
    "NoSuchLifecycleConfiguration",
    "ResourceNotFound",
    "ResourceNotFoundException",
    "NoSuchBucketPolicy",
}
"""Codes of "there is none"; SageMaker has none of its own for it (`_is_absent`)."""

DENIED = {"AccessDenied", "AccessDeniedException", "403", "UnauthorizedOperation"}


@dataclass(frozen=True)
class Call:
    """A call that changes something.

    Attributes:
        service, operation: as AWS writes them, `sagemaker` and `CreateModel`.
        subject: what it is about, `model/NAME`.
        file: what is uploaded; `Body` of the parameters stands for it.
    """

    service: Service
    operation: str
    subject: str
    parameters: Mapping[str, Json] = field(default_factory=dict)
    file: Path | None = None

    @property
    def name(self) -> str:
        """`service:Operation`."""
        return f"{self.service}:{self.operation}"

    def as_dict(self) -> dict[str, Json]:
        """For `--json`."""
        shown = dict(self.parameters) | ({"Body": str(self.file)} if self.file else {})
        return {"call": self.name, "subject": self.subject, "parameters": shown}


class Aws:
    """AWS in a region: clients are made when they are first needed, and what they refuse is one line."""

    def __init__(self, region: str) -> None:
        self.region = region
        self._clients: dict[str, Any] = {}

    def client(self, service: Service) -> Any:
        """The client of a service.

        Raises:
            MissingDependencyError: boto3 is not installed.
        """
        if service not in self._clients:
            self._clients[service] = service_client(service, f"AWS {service}", region=self.region)
        return self._clients[service]

    def ask(self, service: Service, operation: str, **parameters: Json) -> Json:
        """The answer to a reading call; None when what it asks for is not there.

        Raises:
            DeployError: refused; `Denied` when the login may not ask.
        """
        from botocore.exceptions import ClientError

        try:
            with _explained(f"{service}:{operation}"):
                return self._method(service, operation)(**parameters)
        except ClientError as fault:
            if _is_absent(fault.response):
                return None
            raise refused(f"{service}:{operation}", fault.response) from None

    def pages(self, service: Service, operation: str, key: str, **parameters: Json) -> Iterator[Json]:
        """What all pages of a listing have under `key`.

        Raises:
            DeployError: as `ask`.
        """
        from botocore import xform_name
        from botocore.exceptions import ClientError

        try:
            with _explained(f"{service}:{operation}"):
                for page in self.client(service).get_paginator(xform_name(operation)).paginate(**parameters):
                    yield from page.get(key, [])
        except ClientError as fault:
            if not _is_absent(fault.response):
                raise refused(f"{service}:{operation}", fault.response) from None

    def send(self, call: Call) -> Json:
        """The answer to a call that changes something.

        Raises:
            DeployError: refused.
        """
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import ClientError

        try:
            with _explained(call.name):
                if call.file is None:
                    return self._method(call.service, call.operation)(**call.parameters)
                kind = "text/csv" if call.file.suffix == ".csv" else "application/gzip"
                options = {"ChecksumAlgorithm": "SHA256", "ContentType": kind}
                self.client("s3").upload_file(
                    str(call.file), call.parameters["Bucket"], call.parameters["Key"], ExtraArgs=options
                )
        except ClientError as fault:
            raise refused(f"{call.name} {call.subject}", fault.response) from None
        except Boto3Error as fault:
            raise DeployError(f"{call.name} {call.subject}: {fault}", hint="do it again: it goes on") from None
        return {}

    def _method(self, service: Service, operation: str) -> Any:
        from botocore import xform_name

        return getattr(self.client(service), xform_name(operation))


class Denied(DeployError):
    """The login may not do this."""


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Let what is no answer of AWS become a line: no credentials, no network, parameters that boto3 refuses."""
    from botocore.exceptions import BotoCoreError, NoCredentialsError

    try:
        yield
    except NoCredentialsError:
        raise DeployError(
            f"{what}: no AWS credentials found", hint="set AWS_PROFILE, or log in with the AWS CLI"
        ) from None
    except BotoCoreError as fault:
        raise DeployError(f"{what}: {fault}", hint="check the network, the region and AWS_PROFILE") from None


def refused(what: str, answer: Mapping[str, Json]) -> DeployError:
    """An error answer of AWS as a line with the next step."""
    code, message = _code(answer)
    line = f"{what}: {code}: {message}".removesuffix(": ")
    if code in DENIED:
        return Denied(line, hint="allow it to this login: neuralshelf deploy --policies DIR writes the policy")
    if code in {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}:
        return DeployError(line, hint="log in again, such as: aws sso login")
    if code in {"ResourceLimitExceeded", "LimitExceeded"}:
        return DeployError(line, hint="ask for a higher quota: AWS console, Service Quotas")
    return DeployError(line, hint="mend what it says, then do it again: it goes on where it was")


def _code(answer: Mapping[str, Json]) -> tuple[str, str]:
    said = answer.get("Error", {})
    return str(said.get("Code", "refused")), str(said.get("Message", ""))


def _is_absent(answer: Mapping[str, Json]) -> bool:
    code, message = _code(answer)
    return code in ABSENT or (code == "ValidationException" and message.startswith("Could not find"))
