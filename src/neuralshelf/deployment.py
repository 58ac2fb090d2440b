"""One deployment: neuralshelf.yaml and one environment, validated together, turned into resources."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from neuralshelf import yamlfile
from neuralshelf.connectors.resources import cluster_settings, connector_resources, model_address, model_group
from neuralshelf.connectors.runtime import Runtime
from neuralshelf.connectors.spec import ROLES, ConnectorName, ConnectorSpec
from neuralshelf.crops import CropRules
from neuralshelf.errors import ConfigError
from neuralshelf.frozen import Frozen
from neuralshelf.pipelines import pipeline_resources
from neuralshelf.pipelines.deadletters import deadletters_name, deadletters_resource
from neuralshelf.pipelines.spec import IndexSpec, SearchSpec, check
from neuralshelf.resource import Resource
from neuralshelf.settings import Environment


class Config(Frozen):
    """The content of neuralshelf.yaml: the same for every environment."""

    project: str = Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")
    connectors: dict[ConnectorName, ConnectorSpec] = Field(min_length=1)
    index: IndexSpec
    search: SearchSpec
    crops: CropRules = CropRules()

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        check(self.index, self.search, self.connectors)
        return self


@dataclass(frozen=True)
class Deployment:
    """What to run where."""

    config: Config
    environment: Environment

    @classmethod
    def load(cls, config: Path, environment: str) -> "Deployment":
        """Read `config` and `environments/ENVIRONMENT.yaml` beside it.

        Raises:
            ConfigError: a file is missing or wrong; the message names file and key.
        """
        path = config.parent / "environments" / f"{environment}.yaml"
        if not path.is_file():
            known = sorted(file.stem for file in path.parent.glob("*.yaml"))
            hint = f"choose one of: {', '.join(known)}" if known else f"create {path}"
            raise ConfigError(f"no environment {environment!r} ({path} does not exist)", hint=hint)
        read = Environment.parse(yamlfile.load(path), str(path))
        return cls(Config.parse(yamlfile.load(config), str(config)), read.in_folder(config.parent))

    @property
    def prefix(self) -> str:
        """`PROJECT-ENVIRONMENT`, the beginning of every name but the index's and the stored templates'."""
        return f"{self.config.project}-{self.environment.name}"

    @property
    def generation(self) -> str:
        """`PREFIX-vN`: what belongs to version N of the index. Two generations live side by side during a migration."""
        return f"{self.prefix}-v{self.config.index.version}"

    @property
    def deadletters(self) -> str:
        """`PREFIX-deadletters`: the index of what could not be indexed, shared by all generations."""
        return deadletters_name(self.prefix)

    def model_addresses(self, connector: str) -> tuple[str, ...]:
        """Addresses of the models of one connector, one a role."""
        return tuple(model_address(self.generation, connector, role) for role in ROLES)

    def resources(self, runtime: Runtime) -> list[Resource]:
        """Everything the cluster must hold for this deployment, for models that answer at `runtime`."""
        group = model_group(self.prefix)
        found = [cluster_settings(runtime), group]
        for name, spec in self.config.connectors.items():
            found += connector_resources(name, spec, runtime=runtime, prefix=self.generation, group=group.name)
        found += pipeline_resources(
            self.config.index,
            self.config.search,
            self.config.connectors,
            store=self.environment.store,
            prefix=self.generation,
        )
        found.append(deadletters_resource(self.prefix, self.environment.store))
        return found
