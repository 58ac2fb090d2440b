"""Desired × observed → ordered changes. Pure: no network, no clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from neuralshelf.resource import Kind, Resource


class Action(StrEnum):
    """What has to happen to one object."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    KEEP = "keep"


@dataclass(frozen=True)
class Live:
    """What the cluster holds for one address.

    Attributes:
        id: the id by which other objects refer to it.
        fingerprint: of the resource it was made from; None when it carries no marker of ours.
        links: address of a resource it uses -> the id it uses now.
        stale: ids of older objects of the same address that a finished change left behind.
    """

    id: str
    fingerprint: str | None
    links: Mapping[str, str] = field(default_factory=dict)
    stale: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """One step: the resource, what to do, and what is there now."""

    action: Action
    resource: Resource
    live: Live | None = None


def plan(desired: Sequence[Resource], observed: Mapping[str, Live]) -> tuple[Change, ...]:
    """Changes in the order in which they must be made.

    A connector in use can't be updated in place, so it is replaced and its models are re-pointed; everything else is
    updated where it stands.
    """
    order = list(Kind)
    changes: dict[str, Change] = {}
    for resource in sorted(desired, key=lambda r: (order.index(r.kind), r.name)):
        live = observed.get(resource.address)
        changes[resource.address] = Change(_action(resource, live, changes), resource, live)
    return tuple(changes.values())


def _action(resource: Resource, live: Live | None, before: Mapping[str, Change]) -> Action:
    if live is None:
        return Action.CREATE
    if live.fingerprint != resource.fingerprint:
        return Action.REPLACE if resource.kind is Kind.CONNECTOR else Action.UPDATE
    for address, used in live.links.items():
        dependency = before.get(address)
        if dependency is None:
            continue
        replaced = dependency.action in (Action.CREATE, Action.REPLACE)
        if replaced or (dependency.live is not None and dependency.live.id != used):
            return Action.UPDATE
    return Action.KEEP
