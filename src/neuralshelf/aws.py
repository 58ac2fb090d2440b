"""Credentials and secrets from AWS by reference. boto3 is needed only here, and imported only when it is used."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import SecretStr

from neuralshelf.errors import ConfigError, MissingDependencyError

if TYPE_CHECKING:
    import boto3

TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Credentials:
    """Keys of an AWS identity.

    Attributes:
        expires: end of temporary ones, aware; None when they have none or AWS doesn't say.
    """

    access_key: SecretStr
    secret_key: SecretStr = field(repr=False)
    session_token: SecretStr | None = field(default=None, repr=False)
    expires: datetime | None = None


class Profile:
    """A profile of the AWS configuration: keys, SSO, an assumed role, a container's or an instance's role.

    `default` follows AWS's own order (environment, default profile, container, instance). Credentials lent for a time
    are kept and renewed by boto3 when their end is near (15 minutes); lasting ones are read anew each time.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._lent: Any = None

    def read(self) -> Credentials:
        """The credentials that are valid now.

        Raises:
            ConfigError: no such profile, nothing in it, a login that ended, a role that is refused.
            MissingDependencyError: boto3 is not installed.
        """
        what = f"AWS profile {self.name}"
        found = self._lent or lasting_credentials(None if self.name == "default" else self.name, what)
        with _explained(what, f"log in again, such as: aws sso login --profile {self.name}"):
            frozen = found.get_frozen_credentials()
        expires = getattr(found, "_expiry_time", None)  # as the AWS CLI does: boto3 has no public way to ask
        self._lent = found if isinstance(expires, datetime) else None
        return Credentials(
            access_key=SecretStr(frozen.access_key),
            secret_key=SecretStr(frozen.secret_key),
            session_token=SecretStr(frozen.token) if frozen.token else None,
            expires=expires if isinstance(expires, datetime) else None,
        )


def lasting_credentials(profile: str | None, what: str, region: str | None = None) -> Any:
    """boto3's credentials, which renew themselves as long as they are kept.

    Args:
        profile: None follows AWS's own order.
        what: needs them; named in errors.

    Raises:
        ConfigError: there are none.
        MissingDependencyError: boto3 is not installed.
    """
    with _explained(what, "look at: aws configure list-profiles"):
        found = _session(profile, region, what).get_credentials()
    if found is None:
        raise ConfigError(f"{what}: no AWS credentials found", hint="set AWS_PROFILE, or log in with the AWS CLI")
    return found


def secret_value(name: str, region: str | None) -> str:
    """The text of a secret in AWS Secrets Manager, its current version.

    Args:
        name: or ARN, which also says the region.

    Raises:
        ConfigError: not there, not allowed, not a text, or AWS not reachable.
        MissingDependencyError: boto3 is not installed.
    """
    what = f"secret {name} of Secrets Manager"
    if region is None and name.startswith("arn:"):
        region = (name.split(":") + [""] * 4)[3]
    session = _session(None, region or os.environ.get("AWS_REGION"), what)
    with _explained(what, "check its name and region, and the credentials that read it (AWS_PROFILE)"):
        from botocore.config import Config

        config = Config(
            connect_timeout=TIMEOUT_SECONDS,
            read_timeout=TIMEOUT_SECONDS,
            retries={"mode": "standard", "total_max_attempts": 3},
        )
        client = session.client("secretsmanager", config=config)
        try:
            answer = client.get_secret_value(SecretId=name)
        finally:
            client.close()
    text = answer.get("SecretString")
    if not text:
        raise ConfigError(f"{what} holds no text", hint="store it as SecretString")
    return str(text)


Service = Literal["s3", "sts", "iam", "sagemaker", "service-quotas", "bedrock", "personalize"]


def service_client(name: Service, what: str, *, profile: str | None = None, region: str | None = None) -> Any:
    """A client of that service for any number of threads, which repeats requests that may pass; nothing is sent yet.

    Raises:
        ConfigError: no such profile.
        MissingDependencyError: boto3 is not installed.
    """
    session = _session(None if profile == "default" else profile, region or os.environ.get("AWS_REGION"), what)
    with _explained(what, "check its region and profile"):
        from botocore.config import Config

        retries: Any = {"mode": "standard", "total_max_attempts": 5}
        limits: dict[str, Any] = {"connect_timeout": TIMEOUT_SECONDS, "read_timeout": 30, "max_pool_connections": 64}
        return session.client(name, config=Config(retries=retries, **limits))


def _session(profile: str | None, region: str | None, what: str) -> "boto3.Session":
    try:
        import boto3
    except ImportError:
        raise MissingDependencyError(f"{what} needs boto3", hint="pip install 'neuralshelf[aws]'") from None
    with _explained(what, "look at: aws configure list-profiles"):
        return boto3.Session(profile_name=profile, region_name=region)


@contextmanager
def _explained(what: str, hint: str) -> Iterator[None]:
    """Let what boto3 raises become a ConfigError of one line."""
    from botocore.exceptions import BotoCoreError, ClientError, CredentialRetrievalError, NoRegionError

    try:
        yield
    except ClientError as fault:
        said = fault.response.get("Error", {})
        code, message = said.get("Code", "refused"), said.get("Message", "")
        step = _STEPS.get(code, hint)
        raise ConfigError(f"{what}: {code}: {message}".removesuffix(": "), hint=step) from None
    except NoRegionError:
        raise ConfigError(f"{what}: no region", hint="write region beside it, or set AWS_REGION") from None
    except CredentialRetrievalError as fault:
        # its message repeats what a credential process printed, which may be the credentials
        provider = fault.kwargs.get("provider", "AWS")
        raise ConfigError(f"{what}: {provider} gives no credentials", hint=hint) from None
    except BotoCoreError as fault:
        raise ConfigError(f"{what}: {fault}", hint=hint) from None


_STEPS = {
    "ResourceNotFoundException": "check its name, and the region it lives in",
    "AccessDeniedException": "allow secretsmanager:GetSecretValue on it, and kms:Decrypt on its key",
    "DecryptionFailure": "allow kms:Decrypt on its key",
    "InvalidRequestException": "it may be marked for deletion: restore it",
    "ExpiredTokenException": "the credentials that read it have expired: log in again",
    "ExpiredToken": "the credentials that ask have expired: log in again",
    "AccessDenied": "allow it in the role's trust policy",
}
