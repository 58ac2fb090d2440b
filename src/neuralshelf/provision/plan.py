"""Desired × observed → ordered changes. Pure: no network, no clock."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from neuralshelf.provision.diff import Difference, differences
from neuralshelf.provision.live import Live, Observed
from neuralshelf.provision.objects import OBJECTS
from neuralshelf.provision.objects.index import FIXED, vectors
from neuralshelf.provision.objects.model import mendable
from neuralshelf.resource import Kind, Resource

FORMAT_VERSION = 1
NEW_ID = "new id of "
"""In the place of an id that is not known before the object is made."""
LEFT = "stays: OpenSearch takes it for the connector of a model in use; an apply takes it away later"
_ORDER = list(Kind)
_OF_A_GENERATION = (Kind.CONNECTOR, Kind.MODEL, Kind.INGEST_PIPELINE, Kind.SEARCH_PIPELINE)


class Action(StrEnum):
    """What has to happen to one object."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    KEEP = "keep"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class Change:
    """One step.

    Attributes:
        resource: what is wanted; None when something has to go.
        live: what is there now.
        differences: where the two differ. A kept object has some when only a new index could mend them.
        note: what else a reader has to know.
    """

    action: Action
    resource: Resource | None
    live: Live | None = None
    differences: tuple[Difference, ...] = ()
    note: str = ""

    @property
    def address(self) -> str:
        """`kind/name`."""
        if self.resource is not None:
            return self.resource.address
        assert self.live is not None
        return self.live.address

    def left(self) -> "Change":
        """The same when the cluster has not let the connector go."""
        assert self.live is not None
        return Change(Action.KEEP, None, self.live, note=f"{self.live.id} {LEFT}")

    @property
    def told(self) -> str:
        """What a run says when it is done."""
        return f"{self.action} {self.address}" + (f" {self.note}" if self.action is Action.KEEP else "")

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        paths = [{"path": d.path, "wanted": d.wanted, "live": d.live} for d in self.differences]
        return {"action": str(self.action), "address": self.address, "differences": paths, "note": self.note}


@dataclass(frozen=True)
class Plan:
    """All steps in the order in which they must be made; what has to go comes last.

    Attributes:
        ids: address -> id of what is there already.
        left: what has to go and the cluster does not delete yet; an apply that writes tries it again at its end.
    """

    prefix: str
    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()
    ids: Mapping[str, str] = field(default_factory=dict)
    left: tuple[Change, ...] = ()

    @property
    def writes(self) -> tuple[Change, ...]:
        """The steps that do something."""
        return tuple(c for c in self.changes if c.action not in (Action.KEEP, Action.BLOCKED))

    @property
    def blocked(self) -> tuple[Change, ...]:
        """What can't be done; while there is one, nothing is."""
        return tuple(c for c in self.changes if c.action is Action.BLOCKED)

    @property
    def digest(self) -> str:
        """The same for two plans only when they would do the same to the same things."""
        steps = []
        for change in self.changes:
            wanted = change.resource.fingerprint if change.resource else None
            live = [change.live.id, change.live.fingerprint, change.live.body] if change.live else None
            steps.append([change.action, change.address, wanted, live])
        return hashlib.sha256(json.dumps(steps, sort_keys=True).encode()).hexdigest()

    @property
    def counts(self) -> Mapping[str, int]:
        """Action -> how many."""
        found = Counter(str(change.action) for change in self.changes)
        return {str(action): found[action] for action in Action}

    def as_dict(self) -> dict[str, Any]:
        """For `--json` and for a saved plan. Holds no secret."""
        return {
            "format_version": FORMAT_VERSION,
            "deployment": self.prefix,
            "digest": self.digest,
            "counts": dict(self.counts),
            "changes": [change.as_dict() for change in self.changes if change.action is not Action.KEEP],
            "notes": list(self.notes),
        }


def plan(
    desired: Sequence[Resource],
    observed: Observed,
    *,
    prefix: str,
    kinds: Sequence[Kind] = _ORDER,
    adopt: bool = False,
) -> Plan:
    """What makes the cluster hold `desired`.

    Args:
        kinds: look at these alone.
        adopt: take over objects that have a desired name and no marker of ours.
    """
    wanted, notes = _of_the_live_index(desired, observed)
    ids = {address: live.id for address, live in observed.live.items()}
    changes: list[Change] = []
    for resource in sorted(wanted, key=lambda r: (_ORDER.index(r.kind), r.name)):
        change = _change(resource, observed.live.get(resource.address), ids, prefix, adopt=adopt)
        if change.action in (Action.CREATE, Action.REPLACE) and resource.kind in (
            Kind.CONNECTOR,
            Kind.MODEL,
            Kind.MODEL_GROUP,
        ):
            ids[resource.address] = _new_id(resource.address)
        if resource.kind in kinds:
            changes.append(change)
    changes = _fields_first(changes)
    gone = [Change(Action.DELETE, None, live, note=why) for live, why in _gone(desired, observed, prefix, kinds)]
    changes += [change for change in gone if change.live and change.live.id not in observed.mistaken]
    left = tuple(change.left() for change in gone if change not in changes)
    notes += tuple(f"{change.address} {change.note}" for change in left)
    return Plan(prefix, tuple(changes), notes, {address: live.id for address, live in observed.live.items()}, left)


def plan_destroy(observed: Observed, *, prefix: str) -> Plan:
    """Take away everything of ours, what uses others first."""
    ours = [live for live in [*observed.live.values(), *observed.twins] if live.marker and live.marker.prefix == prefix]
    ours.sort(key=lambda live: (-_ORDER.index(live.kind), live.name, live.id))
    return Plan(prefix, tuple(Change(Action.DELETE, None, live) for live in ours))


def _change(resource: Resource, live: Live | None, ids: Mapping[str, str], prefix: str, *, adopt: bool) -> Change:
    known = {address: ids.get(address, _new_id(address)) for address in resource.depends_on}
    if live is None:
        return Change(Action.CREATE, resource)
    wanted = OBJECTS[resource.kind].wanted(resource, known)
    found = differences(wanted, live.body)
    if resource.kind is Kind.SETTINGS and not found:
        return Change(Action.KEEP, resource, live)
    if live.marker is None or live.marker.prefix != prefix:
        owner = "carries no marker of neuralshelf" if live.marker is None else f"belongs to {live.marker.prefix}"
        found = (Difference("(marker)", f'"{prefix}"', None), *found)
        if not adopt or live.marker is not None:
            hint = "apply --adopt takes it over" if live.marker is None else "choose another name"
            return Change(Action.BLOCKED, resource, live, found, f"{owner}; {hint}")
    elif live.fingerprint != resource.fingerprint and not found:
        found = (Difference("(made from)", f'"{resource.fingerprint}"', f'"{live.fingerprint}"'),)
    if resource.kind is Kind.INDEX:
        return _index_change(resource, live, found)
    if not found:
        return Change(Action.KEEP, resource, live)
    anew = resource.kind is Kind.CONNECTOR or (resource.kind is Kind.MODEL and not mendable(wanted, live))
    return Change(Action.REPLACE if anew else Action.UPDATE, resource, live, found)


def _index_change(resource: Resource, live: Live, found: tuple[Difference, ...]) -> Change:
    """Most of an index is for life. A field too many does no harm, any other difference there needs a new index."""
    for_life = [d for d in found if d.path.startswith(FIXED)]
    if any(d.wanted is not None and d.live is not None for d in for_life):
        note = "only a new index can have this: "
        if vectors(resource.body):
            note += "raise index.version, then neuralshelf migrate"
        else:
            note += f"replay or drop its dead letters, DELETE /{resource.name}, then neuralshelf apply"
        return Change(Action.BLOCKED, resource, live, found, note)
    added = [d for d in for_life if d.wanted is None]
    note = "a field can't be taken from an index; it does no harm" if added else ""
    return Change(Action.KEEP if len(added) == len(found) else Action.UPDATE, resource, live, found, note)


def _fields_first(changes: Sequence[Change]) -> list[Change]:
    """An index gets new fields before its pipeline fills them, since it refuses documents with fields unknown to it."""
    first = [c for c in changes if c.resource and c.resource.kind is Kind.INDEX and _adds_fields(c)]
    at = next((i for i, c in enumerate(changes) if c.resource and c.resource.kind is Kind.INGEST_PIPELINE), 0)
    rest = [change for change in changes if change not in first]
    return [*rest[:at], *first, *rest[at:]]


def _adds_fields(change: Change) -> bool:
    """Whether it does that and nothing else."""
    added = (d.live is None and d.path.startswith("mappings.properties.") for d in change.differences)
    return change.action is Action.UPDATE and all(added)


def _of_the_live_index(desired: Sequence[Resource], observed: Observed) -> tuple[list[Resource], tuple[str, ...]]:
    """Without aliases and stored templates while another index, with documents in it, is the one that is searched."""
    kept: list[Resource] = []
    notes: list[str] = []
    waiting = False
    for resource in desired:
        if resource.kind is Kind.INDEX:
            for alias in resource.body["aliases"]:
                others = {i: n for i, n in observed.holders.get(alias, {}).items() if n and i != resource.name}
                if others and resource.name not in observed.holders[alias]:
                    waiting = True
                    held = ", ".join(f"{index} ({number} documents)" for index, number in others.items())
                    notes.append(f"{alias} stays on {held}; neuralshelf migrate moves it to {resource.name}")
            if waiting:
                resource = Resource(resource.kind, resource.name, {**resource.body, "aliases": {}}, resource.secrets)
        kept.append(resource)
    return [r for r in kept if not (waiting and r.kind is Kind.SEARCH_TEMPLATE)], tuple(notes)


def _gone(
    desired: Sequence[Resource], observed: Observed, prefix: str, kinds: Sequence[Kind]
) -> list[tuple[Live, str]]:
    """Ours, and wanted no more. Indexes hold documents and other generations may be in use: both are left."""
    addresses = {resource.address for resource in desired}
    generations = {m[1] for r in desired if r.kind in _OF_A_GENERATION and (m := _generation(prefix, r.name))}
    found = [(live, "left by an interrupted change") for live in observed.twins]
    for address, live in observed.live.items():
        generation = _generation(prefix, live.name) if live.kind in _OF_A_GENERATION else None
        other = generation is not None and generation[1] not in generations
        if address not in addresses and live.marker and live.kind is not Kind.INDEX and not other:
            found.append((live, "no longer in the configuration"))
    found = [(live, why) for live, why in found if live.kind in kinds]
    return sorted(found, key=lambda item: (-_ORDER.index(item[0].kind), item[0].name, item[0].id))


def _new_id(address: str) -> str:
    return f"({NEW_ID}{address})"


def _generation(prefix: str, name: str) -> re.Match[str] | None:
    return re.match(rf"{re.escape(prefix)}-v(\d+)-", name)
