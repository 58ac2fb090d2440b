"""Cluster settings: ours are added to what is there, and only they are taken away again.

What was there before stands in `cluster.metadata.neuralshelf.PREFIX`, after the marker.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from opensearchpy import OpenSearch

from neuralshelf.provision.live import Live
from neuralshelf.provision.marker import Marker
from neuralshelf.provision.objects.base import Json, Scope, Writing
from neuralshelf.resource import Kind, Resource

METADATA = "cluster.metadata.neuralshelf."
_BEFORE = " before "


class ClusterSettings:
    """Settings of a resource `{"persistent": {KEY: value}}`; a list there is our part of the cluster's list."""

    def read(self, client: OpenSearch, scope: Scope) -> Iterable[Live]:
        now = _Now(client)
        wanted = {k: v for r in scope.desired.values() if r.kind is Kind.SETTINGS for k, v in _persistent(r).items()}
        marker = Marker.find(now.persistent.get(METADATA + scope.prefix))
        body = {}
        for key, value in wanted.items():
            there = now.effective.get(key)
            # entries of others in a list are none of our business
            body[key] = [v for v in value if v in (there or [])] if isinstance(value, list) else _text(there)
        # opensearch.yml may say it all; but what another deployment has set goes with that deployment
        lent = any(key in note for note in now.notes.values() for key in wanted)
        satisfied = not lent and all(body[key] == _text(value) for key, value in wanted.items())
        names = [marker.address.split("/", 1)[1]] if marker else scope.names(Kind.SETTINGS) if satisfied else []
        for name in names:
            yield Live(Kind.SETTINGS, name, name, marker, {"persistent": body})

    def wanted(self, resource: Resource, ids: Mapping[str, str]) -> Json:
        return {"persistent": {key: _text(value) for key, value in _persistent(resource).items()}}

    def write(self, writing: Writing, resource: Resource, live: Live | None) -> str:
        now = _Now(writing.client)
        note = now.notes.pop(writing.prefix, {})
        changes: dict[str, Json] = {}
        for key, ours in _persistent(resource).items():
            there = now.effective.get(key)
            # What another deployment found is what was there before us, too.
            found = next((other[key] for other in [note, *now.notes.values()] if key in other), None)
            found = found or {"before": now.persistent.get(key), "digest": _digest(there)}
            note[key] = {**found, "ours": ours}
            if isinstance(ours, list):
                there = there or []
                changes[key] = [*(entry for entry in ours if entry not in there), *there]
            else:
                changes[key] = ours
        text = f"{writing.marker(resource)}{_BEFORE}{json.dumps(note)}"
        writing.send("PUT", "/_cluster/settings", {"persistent": {**changes, METADATA + writing.prefix: text}})
        return resource.name

    def delete(self, writing: Writing, live: Live) -> None:
        """Put back what was there; what another deployment needs, or somebody changed since, stays."""
        now = _Now(writing.client)
        changes: dict[str, Json] = {METADATA + writing.prefix: None}
        for key, found in now.notes.pop(writing.prefix, {}).items():
            there, ours = now.effective.get(key), found["ours"]
            needed = [other[key]["ours"] for other in now.notes.values() if key in other]
            if isinstance(ours, list):
                kept = {entry for entries in needed for entry in entries}
                left = [entry for entry in there or [] if entry not in ours or entry in kept]
                changes[key] = found["before"] if _digest(left) == found["digest"] else left
            elif not needed and _text(there) == _text(ours):
                changes[key] = found["before"]
        writing.send("PUT", "/_cluster/settings", {"persistent": changes})


class _Now:
    """The settings as they are.

    Attributes:
        effective: what counts, defaults included.
        notes: prefix of a deployment -> key -> {before, digest, ours}.
    """

    def __init__(self, client: OpenSearch) -> None:
        found = client.cluster.get_settings(flat_settings=True, include_defaults=True)
        self.persistent: Mapping[str, Any] = found["persistent"]
        self.effective = {**found["defaults"], **found["persistent"], **found["transient"]}
        self.notes: dict[str, dict[str, Any]] = {}
        for key, text in self.persistent.items():
            if key.startswith(METADATA):
                self.notes[key.removeprefix(METADATA)] = _note(str(text))


def _note(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text.split(_BEFORE, 1)[1])
    except (IndexError, ValueError):  # somebody has edited it
        return {}
    return found if isinstance(found, dict) else {}


def _persistent(resource: Resource) -> Mapping[str, Json]:
    return dict(resource.body["persistent"])


def _text(value: Any) -> Any:
    """A value as the cluster shows it."""
    if isinstance(value, bool):
        return str(value).lower()
    return [str(entry) for entry in value] if isinstance(value, list) else None if value is None else str(value)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(_text(value)).encode()).hexdigest()[:16]
