"""Where the models answer and with which credentials OpenSearch calls them."""

from dataclasses import dataclass, field, replace
from typing import Self

from pydantic import SecretStr

from neuralshelf.errors import ConfigError
from neuralshelf.settings import RuntimeConfig

HOSTS = {"sagemaker": "runtime.sagemaker", "bedrock": "bedrock-runtime"}


@dataclass(frozen=True)
class Runtime:
    """AWS in a region, or a server that speaks the same protocols at `url`.

    Attributes:
        url: base URL in the place of AWS's own hosts; None means AWS.
        access_key, secret_key, session_token: credentials of a self-managed cluster.
        role_arn: role that Amazon OpenSearch Service takes on; it refuses plain keys.
    """

    region: str
    url: str | None = None
    access_key: SecretStr | None = None
    secret_key: SecretStr | None = field(default=None, repr=False)
    session_token: SecretStr | None = field(default=None, repr=False)
    role_arn: str | None = None

    @classmethod
    def from_config(cls, config: RuntimeConfig) -> Self:
        """Read the referenced secrets.

        Raises:
            ConfigError: a referenced secret is not there.
        """
        return cls(
            region=config.region,
            url=config.url,
            access_key=config.access_key.read() if config.access_key else None,
            secret_key=config.secret_key.read() if config.secret_key else None,
            session_token=config.session_token.read() if config.session_token else None,
            role_arn=config.role_arn,
        )

    def at(self, url: str, access_key: str, secret_key: SecretStr) -> Self:
        """The same at a server of our own, with the keys that it accepts."""
        return replace(
            self, url=url, access_key=SecretStr(access_key), secret_key=secret_key, session_token=None, role_arn=None
        )

    def base_url(self, service: str) -> str:
        """Base URL of `sagemaker` or `bedrock`, without a slash at the end."""
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
