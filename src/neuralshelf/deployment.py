"""One deployment: neuralshelf.yaml and one environment, validated together, turned into resources."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from neuralshelf import yamlfile
from neuralshelf.connectors.ranking import RankingSpec, ranking_resources
from neuralshelf.connectors.resources import cluster_settings, connector_resources, model_address, model_group
from neuralshelf.connectors.runtime import Runtime
from neuralshelf.connectors.spec import ROLES, ConnectorName, ConnectorSpec
from neuralshelf.crops import CropRules
from neuralshelf.errors import ConfigError
from neuralshelf.frozen import Frozen
from neuralshelf.pipelines import pipeline_resources
from neuralshelf.pipelines.clusters import Centroids, ClusterSpec
from neuralshelf.pipelines.deadletters import deadletters_name, deadletters_resource
from neuralshelf.pipelines.ranking import Ranking
from neuralshelf.pipelines.spec import MAX_LEGS, IndexSpec, SearchSpec, check
from neuralshelf.resource import Resource
from neuralshelf.settings import Environment

if TYPE_CHECKING:
    from neuralshelf.checker.facts import Facts


class Config(Frozen):
    """The content of neuralshelf.yaml: the same for every environment."""

    project: str = Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")
    connectors: dict[ConnectorName, ConnectorSpec] = Field(min_length=1)
    index: IndexSpec
    search: SearchSpec
    crops: CropRules = CropRules()
    clusters: ClusterSpec | None = None
    ranking: RankingSpec | None = None

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        check(self.index, self.search, self.connectors)
        if self.clusters is not None:
            if self.clusters.vector not in self.index.vectors:
                raise ValueError(f"clusters.vector: no vector {self.clusters.vector!r}")
            if self.index.fields.get(self.clusters.field) != "keyword":
                raise ValueError(f"clusters.field: {self.clusters.field!r} is no keyword field of the index")
        if self.ranking is not None and self.index.fields.get(self.ranking.item) != "keyword":
            raise ValueError(f"ranking.item: {self.ranking.item!r} is no keyword field of the index")
        if self.ranking is not None and self.ranking.method == "leg":
            self._take_a_leg(self.ranking)
        return self

    def _take_a_leg(self, ranking: RankingSpec) -> None:
        """Raises ValueError when a leg of preference can't go with the others, or nobody knows what it asks about."""
        joined = f"{self.search.normalization} and {self.search.combination}"
        if joined != "min_max and arithmetic_mean":
            raise ValueError(f"ranking.method: leg goes with min_max and arithmetic_mean, not with {joined}")
        if len(self.index.vectors) > MAX_LEGS - 2:
            raise ValueError(f"ranking.method: leg goes with {MAX_LEGS - 2} vectors at most: legs can be {MAX_LEGS}")
        numbered = self.clusters is not None and self.clusters.field == ranking.item
        if numbered == bool(ranking.items):
            known = "leave it out, the clusters are known" if numbered else f"list all values of {ranking.item}"
            raise ValueError(f"ranking.items: {known}")


@dataclass(frozen=True)
class Deployment:
    """What to run where."""

    config: Config
    environment: Environment
    centroids: Centroids | None = None

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
        found = Config.parse(yamlfile.load(config), str(config))
        centroids = Centroids.read(config.parent / found.clusters.file) if found.clusters else None
        read = Environment.parse(yamlfile.load(path), str(path))
        return cls(found, read.in_folder(config.parent), centroids)

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

    @property
    def numbering(self) -> dict[str, Any] | None:
        """How the ingest pipeline gives documents their cluster; None without clusters of this very generation."""
        spec, centroids = self.config.clusters, self.centroids
        if spec is None or centroids is None:
            return None
        fits = (centroids.generation, centroids.vector) == (self.generation, spec.vector)
        return centroids.numbering(spec) if fits else None

    @property
    def ranking(self) -> Ranking | None:
        """How hits are ranked, if they are."""
        spec, numbering = self.config.ranking, self.numbering
        known = numbering["ids"] if spec and numbering and numbering["field"] == spec.item else ()
        return Ranking.of(spec, self.prefix, known)

    @property
    def facts(self) -> "Facts":
        """What a search is held against, of the configuration alone."""
        from neuralshelf.checker.facts import facts_of

        config, store = self.config, self.environment.store
        return facts_of(
            config.index, config.search, config.connectors, store=store, prefix=self.generation, ranking=self.ranking
        )

    def resources(self, runtime: Runtime) -> list[Resource]:
        """Everything the cluster must hold for this deployment, for models that answer at `runtime`."""
        group = model_group(self.prefix)
        ranking = self.config.ranking
        found = [cluster_settings(runtime, personalize=ranking is not None), group]
        for name, spec in self.config.connectors.items():
            found += connector_resources(name, spec, runtime=runtime, prefix=self.generation, group=group.name)
        if ranking is not None:
            found += ranking_resources(ranking, runtime=runtime, prefix=self.prefix, group=group.name)
        found += pipeline_resources(
            self.config.index,
            self.config.search,
            self.config.connectors,
            ranking=self.ranking,
            numbering=self.numbering,
            store=self.environment.store,
            prefix=self.generation,
        )
        found.append(deadletters_resource(self.prefix, self.environment.store))
        return found
