"""What the cluster holds, as values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from neuralshelf.provision.marker import Marker
from neuralshelf.resource import Kind


@dataclass(frozen=True)
class Live:
    """One object in the cluster.

    Attributes:
        id: by which other objects refer to it; the name of everything but connectors, models and model groups.
        marker: whose it is and what it was made from; None when it carries no marker of ours.
        body: in the shape of a resource's body, ids where that has references, without the marker and without what
            the cluster adds by itself.
        created: milliseconds since 1970, to tell twins apart; 0 where the cluster does not say.
        extra: what else has to be known to write or delete it.
    """

    kind: Kind
    name: str
    id: str
    marker: Marker | None
    body: Mapping[str, Any]
    created: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """That of the resource it was made from, even after somebody renamed it."""
        return self.marker.address if self.marker else f"{self.kind}/{self.name}"

    @property
    def fingerprint(self) -> str | None:
        """Of the resource it was made from; None when it carries no marker of ours."""
        return self.marker.fingerprint if self.marker else None


@dataclass(frozen=True)
class Observed:
    """All that concerns one deployment.

    Attributes:
        version: of OpenSearch.
        live: address -> the object that counts.
        twins: older objects of an address that has a better one, left by an interrupted change.
        holders: alias -> index -> its number of documents, for the aliases of the desired indexes.
        mistaken: ids of connectors that nobody wants any more and the cluster does not delete yet.
    """

    version: str
    live: Mapping[str, Live]
    twins: tuple[Live, ...] = ()
    holders: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    mistaken: frozenset[str] = frozenset()
