"""Two vector spaces never meet in one index: what is to write to it or search it is asked first."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from opensearchpy import OpenSearch

from neuralshelf.connectors.ranking import ranking_name
from neuralshelf.connectors.resources import model_address, model_group
from neuralshelf.connectors.spec import ROLES, ConnectorSpec, Role
from neuralshelf.deployment import Deployment
from neuralshelf.errors import ProvisionError
from neuralshelf.provision.candidate import admit_candidate, admit_ranker
from neuralshelf.provision.objects import OBJECTS, Scope
from neuralshelf.provision.objects.index import documents
from neuralshelf.provision.spaces import SAME, Space, agreement, decode, encode, measure
from neuralshelf.resource import Kind, Resource

_PAUSE_SECONDS = 0.3


def confirm(
    client: OpenSearch, deployment: Deployment, roles: tuple[Role, ...] = ROLES, *, patience: float = 0.0
) -> None:
    """Ask the deployed models for the known inputs, and hold the answers against the vectors in the index.

    Args:
        patience: seconds in which a model that fails is asked again: a busy one is not one that is away.

    Raises:
        ProvisionError: a model is missing, does not answer, or answers in another space than the index's.
    """
    models = OBJECTS[Kind.MODEL].read(client, Scope(deployment.prefix, {}))
    ids = {live.address: live.id for live in sorted(models, key=lambda live: live.created)}
    guard = VectorGuard(client, deployment)  # remembers the models that have answered
    end = time.monotonic() + patience
    while True:
        try:
            guard.confirm(ids, roles)
            return
        except ProvisionError:
            if time.monotonic() > end:
                raise
        time.sleep(_PAUSE_SECONDS)


@dataclass
class VectorGuard:
    """The guard of one deployment's index, as it is when first asked."""

    client: OpenSearch
    deployment: Deployment
    _measured: dict[str, Space] = field(default_factory=dict)

    def admit(self, model: Resource, connector_id: str, ids: Mapping[str, str]) -> None:
        """Try a connector that a model in use is to be pointed at.

        Raises:
            ProvisionError: it does not answer, or in another space than the index's.
        """
        prefix = self.deployment.prefix
        group_id = ids[model_group(prefix).address]
        if model.name == ranking_name(prefix):
            admit_ranker(self.client, connector_id, name=model.name, group_id=group_id, prefix=prefix)
            return
        _, logical, spec = next(found for found in self._models() if found[0] == model.address)
        admit_candidate(
            self.client,
            connector_id,
            spec,
            name=model.name,
            group_id=group_id,
            prefix=prefix,
            expected=self._expected(logical),
        )

    def spaces(self, ids: Mapping[str, str]) -> Mapping[str, Space]:
        """Vector field -> what its model gives now, to be kept with a new index.

        Raises:
            ProvisionError: a model does not answer, or not with vectors of the configured size.
        """
        config = self.deployment.config
        return {
            name: self._measure(model_address(self.deployment.generation, vector.connector, "ingest"), ids)
            for name, vector in config.index.vectors.items()
        }

    def confirm(self, ids: Mapping[str, str], roles: tuple[Role, ...] = ROLES) -> None:
        """As the function `confirm`, of models whose ids are known."""
        for role in roles:
            for address, logical, _ in self._models(role):
                found = self._measure(address, ids)
                for where, space in self._expected(logical).items():
                    cosine = agreement(found, space)
                    if cosine < SAME:
                        raise ProvisionError(
                            f"{address} gives other vectors than those in {where} (cosine {cosine:.2f})",
                            hint="another model answers there now: bring the old one back, or raise index.version and "
                            "run neuralshelf migrate",
                        )

    def renewed(self, ids: Mapping[str, str]) -> tuple[str, Mapping[str, Any]] | None:
        """The index and the `_meta` that it should have now; None when that fits, or when it holds documents."""
        if self._meta is None or self._documents:
            return None
        kept, now = decode(self._meta.get("spaces")), self.spaces(ids)
        if kept.keys() == now.keys() and all(agreement(kept[name], now[name]) >= SAME for name in now):
            return None
        return self.deployment.config.index.physical_name, {**self._meta, "spaces": encode(now)}

    def _models(self, role: Role | None = None) -> Iterator[tuple[str, str, ConnectorSpec]]:
        """(address, connector in the configuration, its spec) of each model."""
        for logical, spec in self.deployment.config.connectors.items():
            for each in ROLES if role is None else (role,):
                yield model_address(self.deployment.generation, logical, each), logical, spec

    def _measure(self, address: str, ids: Mapping[str, str]) -> Space:
        if address not in ids:
            raise ProvisionError(f"{address} does not exist", hint="neuralshelf apply")
        if address not in self._measured:
            spec = next(spec for known, _, spec in self._models() if known == address)
            self._measured[address] = measure(self.client, ids[address], spec, name=address)
        return self._measured[address]

    def _expected(self, logical: str) -> dict[str, Space]:
        """Where vectors of that connector's model are already -> their space."""
        if not self._documents:
            return {}
        index = self.deployment.config.index
        kept = decode((self._meta or {}).get("spaces"), source=f"index {index.physical_name}: _meta.spaces")
        fields = [name for name, vector in index.vectors.items() if vector.connector == logical and name in kept]
        return {f"index {index.physical_name}, {name}": kept[name] for name in fields}

    @cached_property
    def _meta(self) -> Mapping[str, Any] | None:
        name = self.deployment.config.index.physical_name
        found = self.client.indices.get_mapping(index=name, ignore_unavailable=True)
        return dict(found[name]["mappings"].get("_meta", {})) if name in found else None

    @cached_property
    def _documents(self) -> int:
        if self._meta is None:
            return 0
        name = self.deployment.config.index.physical_name
        self.client.indices.refresh(index=name)  # else the last documents are not counted
        return documents(self.client, name)
