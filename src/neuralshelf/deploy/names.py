"""What things on AWS are called and tagged, so that nothing has to be remembered: no state file."""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from neuralshelf.deployment import Deployment

STEM = 40  # of the 63 characters of SageMaker's names and the 64 of roles
SAGEMAKER = 63


@dataclass(frozen=True)
class Names:
    """Names of one deployment, in one account and region.

    Attributes:
        prefix: `PROJECT-ENVIRONMENT`.
        partition: `aws` or `aws-us-gov`.
    """

    prefix: str
    project: str
    environment: str
    region: str
    account: str

    @classmethod
    def of(cls, deployment: Deployment, account: str) -> "Names":
        """The names of `deployment` in the account with these twelve digits."""
        project, environment = deployment.config.project, deployment.environment
        return cls(deployment.prefix, project, environment.name, environment.runtime.region, account)

    @property
    def partition(self) -> str:
        """First part of ARNs after `arn`."""
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    @property
    def places(self) -> tuple[str, str, str]:
        """Beginnings of the keys that are ours in the bucket: of archives, of batch transforms, of interactions."""
        return f"{self.prefix}/", f"batch/{self.prefix}/", f"personalize/{self.prefix}/"

    @property
    def stem(self) -> str:
        """Beginning of the names of roles, models and configurations: the prefix, cut where it is too long."""
        return self.prefix if len(self.prefix) <= STEM else f"{self.prefix[: STEM - 9]}-{digest(self.prefix)}"

    @property
    def execution_role(self) -> str:
        """Name of the role that containers have."""
        return f"{self.stem}-endpoint-execution"

    @property
    def invoke_role(self) -> str:
        """Name of the role that OpenSearch takes on to invoke the models."""
        return f"{self.stem}-opensearch-invoke"

    @property
    def personalize_role(self) -> str:
        """Name of the role by which Amazon Personalize reads interactions."""
        return f"{self.stem}-personalize"

    def role_arn(self, name: str) -> str:
        """ARN of a role of ours."""
        return f"arn:{self.partition}:iam::{self.account}:role/{name}"

    def sagemaker_arn(self, kind: str, name: str) -> str:
        """ARN of a `model`, an `endpoint-config` or an `endpoint`; SageMaker writes it in small letters."""
        return f"arn:{self.partition}:sagemaker:{self.region}:{self.account}:{kind}/{name.lower()}"

    def versioned(self, endpoint: str, content: Any) -> str:
        """Name of a model or a configuration: what it is for, and 8 hex digits of what it holds."""
        ending = f"-{digest([endpoint, content])}"
        return f"{self.stem}-{endpoint}"[: SAGEMAKER - len(ending)].rstrip("-") + ending

    def is_versioned(self, name: str) -> bool:
        """Whether a model or a configuration may be one of ours; its tags say whether it is."""
        return name.startswith(f"{self.stem}-") and re.search(r"-[0-9a-f]{8}$", name) is not None

    def tags(self, endpoint: str | None = None) -> dict[str, str]:
        """Tags of all that is made; `endpoint` is the one that a model or a configuration is for."""
        found = {"managed-by": "neuralshelf", "project": self.project, "environment": self.environment}
        return found | ({"endpoint": endpoint} if endpoint else {})

    def owns(self, tags: dict[str, str]) -> bool:
        """Whether something with these tags is of this deployment."""
        return self.tags().items() <= tags.items()


def digest(content: Any) -> str:
    """8 hex digits over a JSON value."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:8]


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    """As AWS writes tags."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def from_tag_list(tags: list[dict[str, str]]) -> dict[str, str]:
    """As we write tags."""
    return {tag["Key"]: tag["Value"] for tag in tags}
