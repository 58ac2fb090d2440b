"""What is known about each kind of object: how it is read, compared, written and deleted."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from opensearchpy import NotFoundError, OpenSearch, TransportError

from neuralshelf.provision.live import Live
from neuralshelf.provision.marker import Marker
from neuralshelf.resource import Kind, Resource, resolve

if TYPE_CHECKING:  # numpy: a plan does without
    from neuralshelf.provision.spaces import Space

Json = Any

PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Scope:
    """Which objects to read: all of ours, and what stands under a desired name without being ours."""

    prefix: str
    desired: Mapping[str, Resource]

    def names(self, kind: Kind) -> list[str]:
        """Desired names of one kind."""
        return [resource.name for resource in self.desired.values() if resource.kind is kind]

    def concerns(self, kind: Kind, name: str, marker: Marker | None) -> bool:
        """Whether an object of that name and marker is ours, or in our way."""
        ours = marker is not None and marker.prefix == self.prefix
        return ours or f"{kind}/{name}" in self.desired


class Guard(Protocol):
    """Keeps two vector spaces from meeting in one index."""

    def admit(self, model: Resource, connector_id: str, ids: Mapping[str, str]) -> None:
        """Return when this model may be pointed at the connector; ProvisionError says why not."""

    def confirm(self, ids: Mapping[str, str]) -> None:
        """Return when pipelines may name these models; ProvisionError says why not."""

    def spaces(self, ids: Mapping[str, str]) -> "Mapping[str, Space]":
        """Vector field -> what its model gives now, to be kept with a new index."""

    def renewed(self, ids: Mapping[str, str]) -> tuple[str, Mapping[str, Any]] | None:
        """An index without documents, and the `_meta` it should have now; None when it fits, or holds documents."""


@dataclass
class Writing:
    """What writers share during one apply.

    Attributes:
        ids: address -> id of what is there already; each write adds its own.
        check: raises when the lock was lost; called before each write.
        guard: None writes without looking at vectors (parts of a deployment, in tests).
        unused: ids of new connectors that no model points at yet.
        left: ids of connectors that the cluster does not delete yet (`connector.mistaken`).
    """

    client: OpenSearch
    prefix: str
    ids: dict[str, str] = field(default_factory=dict)
    check: Callable[[], None] = lambda: None
    guard: Guard | None = None
    unused: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def send(self, method: str, path: str, body: Json = None, **params: Any) -> Json:
        """One writing request, repeated while an index that the cluster has made for it is not up yet."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            self.check()
            try:
                return self.client.transport.perform_request(method, path, params=params or None, body=body)
            except TransportError as fault:
                if fault.status_code != 503 or "No shard available" not in str(fault) or time.monotonic() > deadline:
                    raise
            time.sleep(0.5)

    def body(self, resource: Resource) -> dict[str, Json]:
        """The body with ids and with the marker in its description."""
        body = resolve(resource.body, self.ids)
        text = f"{body.get('description', '')} {self.marker(resource)}".strip()
        return {**body, "description": text}

    def marker(self, resource: Resource) -> Marker:
        """What a resource's object is marked with."""
        return Marker(self.prefix, resource.address, resource.fingerprint)


class Object(Protocol):
    """One kind of object."""

    def read(self, client: OpenSearch, scope: Scope) -> Iterable[Live]:
        """All objects in scope. Sends no write."""

    def wanted(self, resource: Resource, ids: Mapping[str, str]) -> Json:
        """The body to compare a live one with."""

    def write(self, writing: Writing, resource: Resource, live: Live | None) -> str:
        """Make or change it; returns its id."""

    def delete(self, writing: Writing, live: Live) -> None:
        """Take it away; nothing when it is gone already. What the cluster does not delete yet is in `writing.left`."""


def unmarked(description: str | None) -> tuple[str, Marker | None]:
    """A description without its marker, and the marker."""
    text = description or ""
    marker = Marker.find(text)
    return (text.replace(str(marker), "").strip() if marker else text), marker


def get_or_none(client: OpenSearch, path: str, **params: Any) -> Json:
    """The answer of a GET; None for 404."""
    try:
        return client.transport.perform_request("GET", path, params=params or None)
    except NotFoundError:
        return None


def patterns(prefix: str, names: Sequence[str]) -> str:
    """`PREFIX-*` and the names it does not cover, as a list for a path."""
    return ",".join([f"{prefix}-*", *(name for name in names if not name.startswith(f"{prefix}-"))])
