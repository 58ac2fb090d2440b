"""What must be on Amazon Personalize for one deployment: names, ARNs, and the bodies of the calls."""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from neuralshelf.deploy.desired import Desired, Role
from neuralshelf.deploy.names import Names, digest
from neuralshelf.deploy.policies import bucket_statements
from neuralshelf.deployment import Deployment
from neuralshelf.errors import ConfigError
from neuralshelf.templates import render

Json = Any

RECIPE = "aws-personalized-ranking"
"""Paid by training hours and TPS-hours, as `neuralshelf cost` counts it; its v2 is paid otherwise."""


@dataclass(frozen=True)
class Wanted:
    """A campaign and what it stands on.

    Attributes:
        names: of the deployment.
        bucket: where interactions go.
        campaign: its name.
        role: by which Personalize reads there.
        statements: what the bucket's own policy must say.
    """

    names: Names
    bucket: str
    campaign: str
    role: Role
    statements: list[Json]

    @classmethod
    def of(cls, desired: Desired) -> Self:
        """For the deployment of `desired`.

        Raises:
            ConfigError: nothing is ranked, or by a campaign that somebody else has made.
        """
        names, bucket, campaign = desired.names, desired.hosting.bucket, campaign_name(desired.deployment)
        role = desired.role(names.personalize_role, "personalize-import", "Amazon Personalize reads interactions.")
        return cls(names, bucket, campaign, role, bucket_statements(names, bucket))

    @property
    def group(self) -> str:
        """Name of the dataset group, and of the event tracker."""
        return self.names.stem

    @property
    def solution(self) -> str:
        """Name of the solution."""
        return f"{self.names.stem}-ranking"

    @property
    def place(self) -> str:
        """Beginning of the keys in the bucket that Personalize reads."""
        return self.names.places[2]

    @property
    def columns(self) -> tuple[str, ...]:
        """Of a file of interactions."""
        return tuple(field["name"] for field in interactions_schema()["fields"])

    @cached_property
    def schema(self) -> str:
        """Name of the schema."""
        return schema_name(self.names, interactions_schema())

    def is_schema(self, name: str, content: str) -> bool:
        """Whether a schema was made by this deployment, now or by another version of it."""
        try:
            return name == schema_name(self.names, json.loads(content))
        except ValueError:
            return False

    def is_import(self, name: str, mark: str = "[0-9a-f]{8}") -> bool:
        """Whether an import job is one of ours, of the content with this mark."""
        return re.fullmatch(rf"{re.escape(self.names.stem)}-{mark}(-\d+)?", name) is not None

    @cached_property
    def arns(self) -> dict[str, str]:
        """ARNs that follow from the names."""
        return {
            "group": self._arn(f"dataset-group/{self.group}"),
            "schema": self._arn(f"schema/{self.schema}"),
            "dataset": self._arn(f"dataset/{self.group}/INTERACTIONS"),
            "solution": self._arn(f"solution/{self.solution}"),
            "campaign": self._arn(f"campaign/{self.campaign}"),
            "recipe": f"arn:{self.names.partition}:personalize:::recipe/{RECIPE}",
            "role": self.names.role_arn(self.names.personalize_role),
        }

    def calls(self, job: str, key: str) -> dict[str, Json]:
        """Operation -> parameters, in order.

        Args:
            job: name of the import job.
            key: of the data in the bucket.
        """
        found: dict[str, Json] = render(
            "deploy/personalize.json.j2",
            **{"schema_name": self.schema, "schema": interactions_schema(), "group": self.group},
            **{"dataset": f"{self.group}-interactions", "solution": self.solution, "campaign": self.campaign},
            **self._job(job, key),
        )
        return found

    def forget(self, job: str, key: str) -> Json:
        """Parameters of CreateDataDeletionJob."""
        return render("deploy/personalize-forget.json.j2", **self._job(job, key))

    def _job(self, job: str, key: str) -> dict[str, Json]:
        tags = [{"tagKey": key, "tagValue": value} for key, value in self.names.tags().items()]
        return {"job": job, "location": f"s3://{self.bucket}/{key}", "arns": self.arns, "tags": tags}

    def _arn(self, name: str) -> str:
        return f"arn:{self.names.partition}:personalize:{self.names.region}:{self.names.account}:{name}"


def interactions_schema() -> Json:
    """Avro, of a dataset of interactions."""
    return render("deploy/personalize-schema.json.j2")


def schema_name(names: Names, schema: Json) -> str:
    """Name of a schema: it has no tags, so its name says what it holds."""
    return f"{names.stem}-interactions-{digest(schema)}"


def campaign_name(deployment: Deployment) -> str:
    """The campaign that `personalize up` makes.

    Raises:
        ConfigError: nothing is ranked, or by a campaign that somebody else has made.
    """
    spec = deployment.config.ranking
    if spec is None:
        hint = "add ranking: {item: cluster}: docs/personalisation.md"
        raise ConfigError("this configuration ranks nothing for anybody", hint=hint)
    if not spec.is_named:
        hint = "to have one made, give ranking.campaign a name in place of an ARN"
        raise ConfigError("ranking.campaign is the ARN of a campaign that is there already", hint=hint)
    return spec.campaign
