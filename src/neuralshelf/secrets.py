"""A secret by reference: where it is, never what it is."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr, model_validator

from neuralshelf import aws
from neuralshelf.errors import ConfigError
from neuralshelf.frozen import Frozen


class SecretRef(Frozen):
    """Names an environment variable, a file, or a secret of AWS Secrets Manager. It is read only when it is needed.

    Attributes:
        secretsmanager: name or ARN of the secret.
        key: of the JSON object that the secret holds; without one the whole text is the secret.
        region: of Secrets Manager; else the ARN's, AWS_REGION, or that of the AWS configuration.
    """

    env: str | None = None
    file: str | None = None
    secretsmanager: str | None = None
    key: str | None = None
    region: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_clear_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError("a secret in clear text; write {env: NAME} or {file: PATH} instead")
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> "SecretRef":
        if sum(place is not None for place in (self.env, self.file, self.secretsmanager)) != 1:
            raise ValueError("give one of env, file and secretsmanager")
        if self.secretsmanager is None and (self.key is not None or self.region is not None):
            raise ValueError("key and region are only for secretsmanager")
        return self

    def read(self, environ: Mapping[str, str] | None = None) -> SecretStr:
        """The secret itself, as it is now.

        Raises:
            ConfigError: it isn't there, is empty, or can't be read.
            MissingDependencyError: it is in Secrets Manager, and boto3 is not installed.
        """
        if self.env is not None:
            value = (os.environ if environ is None else environ).get(self.env, "")
            if not value:
                raise ConfigError(f"environment variable {self.env} is not set", hint=f"export {self.env}=…")
            return SecretStr(value)
        if self.file is not None:
            return SecretStr(_from_file(self.file))
        assert self.secretsmanager is not None
        text = aws.secret_value(self.secretsmanager, self.region)
        return SecretStr(text if self.key is None else _from_object(text, self.key, self.secretsmanager))


def _from_file(path: str) -> str:
    try:
        value = Path(path).expanduser().read_text(encoding="utf-8").strip()
    except OSError as fault:
        raise ConfigError(f"secret file {path} can't be read ({fault.strerror})", hint="check path and mode") from None
    except UnicodeDecodeError:
        raise ConfigError(f"secret file {path} is not UTF-8 text", hint="put the secret into it as text") from None
    if not value:
        raise ConfigError(f"secret file {path} is empty", hint="put the secret into it")
    return value


def _from_object(text: str, key: str, name: str) -> str:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ConfigError(f"secret {name} of Secrets Manager holds no JSON object", hint="leave key away, or store one")
    value = found.get(key)
    if not isinstance(value, str) or not value:
        raise ConfigError(f"secret {name} of Secrets Manager has no text under {key!r}", hint="correct key")
    return value
