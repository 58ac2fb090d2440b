"""Where the models answer and with which credentials OpenSearch calls them."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

from pydantic import SecretStr

from neuralshelf.aws import Profile
from neuralshelf.errors import ConfigError
from neuralshelf.settings import RuntimeConfig

HOSTS = {
    "sagemaker": "runtime.sagemaker",
    "sagemaker-api": "api.sagemaker",
    "bedrock": "bedrock-runtime",
    "personalize": "personalize-runtime",
}


@dataclass(frozen=True)
class Runtime:
    """AWS in a region, or a server that speaks the same protocols at `url`.

    Attributes:
        url: base URL in the place of AWS's own hosts; None means AWS.
        access_key, secret_key, session_token: credentials of a self-managed cluster.
        role_arn: role that Amazon OpenSearch Service takes on; it refuses plain keys.
        expires: end of credentials that were lent for a time (aware); None when they last, or nobody says.
    """

    region: str
    url: str | None = None
    access_key: SecretStr | None = None
    secret_key: SecretStr | None = field(default=None, repr=False)
    session_token: SecretStr | None = field(default=None, repr=False)
    role_arn: str | None = None
    expires: datetime | None = None

    @property
    def account(self) -> str:
        """The twelve digits of the account of `role_arn`.

        Raises:
            ConfigError: there is no role.
        """
        if self.role_arn is None:
            raise ConfigError(
                "the campaign's account is not known", hint="give runtime.role_arn, or ranking.campaign as an ARN"
            )
        return self.role_arn.split(":")[4]

    @classmethod
    def from_config(cls, config: RuntimeConfig, profile: Profile | None = None) -> Self:
        """Read the referenced secrets, as they are now.

        Args:
            profile: of the configuration's `profile`; keep one to read again and again what AWS lends for a time.

        Raises:
            ConfigError: a referenced secret is not there, or a profile gives none.
            MissingDependencyError: AWS has to be asked, and boto3 is not installed.
        """
        runtime = cls(region=config.region, url=config.url, role_arn=config.role_arn)
        if config.profile is not None:
            lent = (profile or Profile(config.profile)).read()
            return replace(
                runtime,
                access_key=lent.access_key,
                secret_key=lent.secret_key,
                session_token=lent.session_token,
                expires=lent.expires,
            )
        return replace(
            runtime,
            access_key=config.access_key.read() if config.access_key else None,
            secret_key=config.secret_key.read() if config.secret_key else None,
            session_token=config.session_token.read() if config.session_token else None,
        )

    def at(self, url: str, access_key: str, secret_key: SecretStr) -> Self:
        """The same at a server of our own, with the keys that it accepts."""
        here = replace(self, url=url, session_token=None, role_arn=None, expires=None)
        return replace(here, access_key=SecretStr(access_key), secret_key=secret_key)

    def base_url(self, service: str) -> str:
        """Base URL of a service of `HOSTS`, without a slash at the end; `sagemaker-api` is what makes jobs."""
        return (self.url or f"https://{HOSTS[service]}.{self.region}.amazonaws.com").rstrip("/")

    def secrets(self) -> dict[str, str]:
        """Paths in a connector's body -> secret values.

        Raises:
            ConfigError: neither keys nor a role.
        """
        if self.role_arn is not None:
            return {}
        if self.access_key is None or self.secret_key is None:
            raise ConfigError("the runtime has no credentials", hint="give runtime.access_key and runtime.secret_key")
        found = {
            "credential.access_key": self.access_key.get_secret_value(),
            "credential.secret_key": self.secret_key.get_secret_value(),
        }
        if self.session_token is not None:
            found["credential.session_token"] = self.session_token.get_secret_value()
        return found
