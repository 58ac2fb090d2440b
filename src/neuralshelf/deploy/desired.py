"""What must be on AWS for one deployment: bodies of calls, named after what they hold."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from neuralshelf.deploy.archives import Archive, folder_of
from neuralshelf.deploy.image import image_uri
from neuralshelf.deploy.names import Names, tag_list
from neuralshelf.deploy.policies import execution_role, policies
from neuralshelf.deployment import Deployment
from neuralshelf.errors import ConfigError
from neuralshelf.hosting import EndpointHosting, Hosting
from neuralshelf.templates import render

Json = Any


@dataclass(frozen=True)
class Role:
    """A role with one policy of its own.

    Attributes:
        create: parameters of CreateRole.
    """

    name: str
    create: Json
    trust: Json
    policy: Json


@dataclass(frozen=True)
class Endpoint:
    """An endpoint and what is behind it.

    Attributes:
        uploads: key -> archive.
        model, config, create: parameters of CreateModel, CreateEndpointConfig, CreateEndpoint.
    """

    name: str
    uploads: dict[str, Archive]
    model: Json
    config: Json
    create: Json


@dataclass(frozen=True)
class Desired:
    """Everything of one deployment.

    Attributes:
        folder: where neuralshelf.yaml is; archives are named from there.
    """

    deployment: Deployment
    hosting: Hosting
    names: Names
    folder: Path

    @classmethod
    def of(cls, deployment: Deployment, account: str, folder: Path) -> "Desired":
        """For the account with these twelve digits; reads no archive yet."""
        return cls(deployment, hosting_of(deployment), Names.of(deployment, account), folder)

    @property
    def bucket(self) -> dict[str, Json]:
        """Operation -> parameters, in order; the first makes the bucket."""
        tags = tag_list(self.names.tags())
        found: dict[str, Json] = render(
            "deploy/bucket.json.j2", bucket=self.hosting.bucket, region=self.names.region, tags=tags
        )
        return found

    @cached_property
    def images(self) -> dict[str, str]:
        """Endpoint -> its container image."""
        return {name: self._image(hosted) for name, hosted in self.hosting.endpoints.items()}

    @cached_property
    def policies(self) -> dict[str, Json]:
        """As `policies.policies`."""
        return policies(self.deployment, self.hosting, self.names, list(self.images.values()))

    @cached_property
    def roles(self) -> list[Role]:
        """Roles that have to be made: none that the configuration names."""
        found = []
        if self.hosting.role_arn is None:
            found.append(self.role(self.names.execution_role, "endpoint-execution", "Containers of models."))
        if self.deployment.environment.uses_deployed_role:
            found.append(self.role(self.names.invoke_role, "opensearch-invoke", "OpenSearch invokes models."))
        return found

    @cached_property
    def endpoints(self) -> list[Endpoint]:
        """All endpoints; reads the archives.

        Raises:
            InputError: an archive can't be read.
            ConfigError: no image is known for a region.
        """
        return [self._endpoint(name, hosted) for name, hosted in self.hosting.endpoints.items()]

    def archives(self, hosted: EndpointHosting) -> dict[str, Path]:
        """Package -> archive on this machine."""
        local = {package: model for package, model in hosted.archives.items() if not model.startswith("s3://")}
        return {package: self.folder / model for package, model in local.items()}

    def role(self, name: str, policy: str, description: str) -> Role:
        """A role with the policy that is called `policy`, for whom its trust policy says."""
        trust, tags = self.policies[f"{policy}-trust"], tag_list(self.names.tags())
        create = render("deploy/role.json.j2", name=name, description=description, trust=trust, tags=tags)
        return Role(name, create, trust, self.policies[policy])

    def _image(self, hosted: EndpointHosting) -> str:
        instance = None if hosted.mode == "serverless" else hosted.instance_type
        return hosted.image or image_uri(self.names.region, instance, framework(hosted.package))

    def _endpoint(self, name: str, hosted: EndpointHosting) -> Endpoint:
        read = {package: Archive.read(file) for package, file in self.archives(hosted).items()}
        place = f"{self.names.prefix}/models/{folder_of(read)}/"
        uploads = {f"{place}{package}.tar.gz": archive for package, archive in read.items()}
        url = hosted.model
        if uploads:
            url = f"s3://{self.hosting.bucket}/" + (place if hosted.mode == "multi-model" else next(iter(uploads)))
        tags = tag_list(self.names.tags(name))
        model = _named(
            self.names,
            name,
            "deploy/model.json.j2",
            "ModelName",
            role_arn=execution_role(self.hosting, self.names),
            image=self.images[name],
            hosted=hosted,
            url=url,
            region=self.names.region,
            tags=tags,
        )
        config = _named(
            self.names,
            name,
            "deploy/endpoint-config.json.j2",
            "EndpointConfigName",
            model=model["ModelName"],
            hosted=hosted,
            tags=tags,
        )
        create = render("deploy/endpoint.json.j2", name=name, config=config["EndpointConfigName"], tags=tags)
        return Endpoint(name, uploads, model, config, create)


def hosting_of(deployment: Deployment) -> Hosting:
    """The section `hosting`.

    Raises:
        ConfigError: there is none.
    """
    environment = deployment.environment
    if environment.hosting is None:
        hint = "add one: docs/deploy.md"
        raise ConfigError(f"environment {environment.name} has no section hosting", hint=hint)
    return environment.hosting


def framework(package: str) -> dict[str, str]:
    """Versions that a package's manifest names; {} without one."""
    file = resources.files("neuralshelf.model_packages") / package / "package.json"
    return dict(json.loads(file.read_text(encoding="utf-8")).get("framework", {})) if file.is_file() else {}


def keys(endpoints: Iterable[Endpoint]) -> set[str]:
    """Keys of all archives."""
    return {key for endpoint in endpoints for key in endpoint.uploads}


def _named(names: Names, endpoint: str, template: str, key: str, **values: Any) -> Json:
    """A body that is called after what it holds."""
    body = render(template, name="", **values)
    return body | {key: names.versioned(endpoint, body)}
