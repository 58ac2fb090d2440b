"""What is verified: one deployment, as the configuration wants it and as the cluster has it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from opensearchpy import OpenSearch

from neuralshelf.connectors.resources import model_address
from neuralshelf.connectors.spec import ROLES, ConnectorSpec, Role
from neuralshelf.deployment import Deployment
from neuralshelf.pipelines.spec import IndexSpec
from neuralshelf.provision.live import Live
from neuralshelf.provision.spaces import Space
from neuralshelf.resource import Kind, Resource

Json = Any


@dataclass(frozen=True)
class Model:
    """A model that the configuration wants.

    Attributes:
        fields: the vector fields that its vectors are for.
        id: of the live one; None without.
    """

    address: str
    spec: ConnectorSpec
    role: Role
    fields: tuple[str, ...]
    id: str | None


@dataclass(frozen=True)
class Subject:
    """One deployment and what the cluster holds of it.

    Attributes:
        desired, live: by address.
        spaces: vector field -> what the index keeps of its model's answers.
    """

    client: OpenSearch
    deployment: Deployment
    desired: Mapping[str, Resource]
    live: Mapping[str, Live]
    spaces: Mapping[str, Space]

    @property
    def index(self) -> IndexSpec:
        """As configured."""
        return self.deployment.config.index

    @property
    def index_address(self) -> str:
        """Address of the index of this generation."""
        return f"{Kind.INDEX}/{self.index.physical_name}"

    def one(self, kind: Kind) -> tuple[Resource, Live | None]:
        """The only resource of a kind, and its live object."""
        resource = next(resource for resource in self.desired.values() if resource.kind is kind)
        return resource, self.live.get(resource.address)

    def owns(self, live: Live) -> bool:
        """Whether this deployment made it."""
        return live.marker is not None and live.marker.prefix == self.deployment.prefix

    @property
    def settings(self) -> Mapping[str, Json]:
        """Flat settings of the live index; empty without one."""
        live = self.live.get(self.index_address)
        return live.body["settings"] if live else {}

    @cached_property
    def models(self) -> tuple[Model, ...]:
        """Every model of this generation, as the configuration has them."""
        return tuple(self._models())

    def model(self, field: str, role: Role) -> Model:
        """The model that makes the vectors of a field."""
        return next(model for model in self.models if model.role == role and field in model.fields)

    def named(self, model_id: object) -> str:
        """Address of a model by its id, for messages."""
        known = (live.address for live in self.live.values() if live.kind is Kind.MODEL and live.id == model_id)
        return next(known, f"a model that is not of this deployment ({model_id})")

    def _models(self) -> Iterator[Model]:
        for logical, spec in self.deployment.config.connectors.items():
            fields = tuple(name for name, vector in self.index.vectors.items() if vector.connector == logical)
            for role in ROLES:
                address = model_address(self.deployment.generation, logical, role)
                live = self.live.get(address)
                yield Model(address, spec, role, fields, live.id if live is not None and self.owns(live) else None)
