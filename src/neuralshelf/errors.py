"""Every failure a user can do something about.

    NeuralshelfError            exit code 1
    ├── ConfigError             2   a file, flag or environment value is wrong: mend it
    ├── InputError              1   a document, catalogue or picture can't be used: mend or replace it
    ├── MissingDependencyError  1   an optional package, program or driver is not there: install it
    ├── EngineError             1   OpenSearch can't be fetched, started or reached
    ├── ServerError             1   the model server can't be started or reached
    ├── ProvisionError          1   the cluster refused an object, or holds one that doesn't fit
    │   ├── LockedError         4   somebody else is writing, or has taken the lock away
    │   └── StalePlanError      4   cluster or configuration changed since the plan was made
    ├── DeployError             1   AWS refused a call, holds something that isn't ours, or an endpoint failed
    └── SearchError             1   a search was refused or failed

A message names the thing (file, key, resource, document); `hint` says the next step. Both are one line, and neither
ever holds a secret.
"""

import re

_CREDENTIAL = re.compile(
    r"""(\b(?:Basic|Bearer)\ |\b(?:Signature|Credential)=|(?:_key|_token|password)\\*"\ ?:\ ?\\*")[\w.~+/=-]{16,}""",
    re.IGNORECASE | re.VERBOSE,
)


class NeuralshelfError(Exception):
    """Base of all errors that are shown as one line, without a traceback."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = one_line(message)
        self.hint = one_line(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}; next: {self.hint}" if self.hint else self.message


class ConfigError(NeuralshelfError):
    """A configuration file, flag or environment value is wrong."""

    exit_code = 2


class InputError(NeuralshelfError):
    """A document, catalogue or picture can't be used."""


class MissingDependencyError(NeuralshelfError):
    """Something optional is needed here and not installed."""


class EngineError(NeuralshelfError):
    """OpenSearch can't be fetched, started or reached."""


class ServerError(NeuralshelfError):
    """The model server can't be started or reached."""


class ProvisionError(NeuralshelfError):
    """The cluster refused an object, or holds one that doesn't fit."""


class LockedError(ProvisionError):
    """Somebody else is writing to this deployment, or has taken our lock away."""

    exit_code = 4


class StalePlanError(ProvisionError):
    """The cluster or the configuration changed since the plan was made; nothing was written."""

    exit_code = 4


class DeployError(NeuralshelfError):
    """AWS refused a call, holds something that isn't ours, or an endpoint failed."""


class SearchError(NeuralshelfError):
    """A search was refused or failed."""


def one_line(text: str, limit: int = 600) -> str:
    """Fold white space, hide credentials and cut: engines and proxies repeat whole requests, pictures included."""
    folded = _CREDENTIAL.sub(r"\1***", " ".join(text.split()))
    return folded if len(folded) <= limit else folded[: limit - 1] + "…"
