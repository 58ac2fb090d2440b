"""Carry out a plan, step by step: ids are passed on, and what has to go does so when nothing uses it any more."""

import time
from collections.abc import Callable

from opensearchpy import ConnectionError as NoConnection
from opensearchpy import OpenSearch, TransportError

from neuralshelf.client import reason
from neuralshelf.errors import EngineError, ProvisionError
from neuralshelf.provision.objects import OBJECTS, Guard, Writing
from neuralshelf.provision.objects.connector import delete_left
from neuralshelf.provision.plan import Action, Change, Plan
from neuralshelf.resource import Kind

SETTLE_SECONDS = 2.0
"""How long a node may go on using the connector that a model was pointed away from."""

_NAME_MODELS = (Kind.INGEST_PIPELINE, Kind.SEARCH_PIPELINE, Kind.SEARCH_TEMPLATE)


def apply(
    client: OpenSearch,
    plan: Plan,
    *,
    check: Callable[[], None] = lambda: None,
    guard: Guard | None = None,
    tell: Callable[[Change], None] = lambda _: None,
) -> dict[str, str]:
    """Do what the plan says and nothing else.

    Args:
        check: raises when the lock was lost; called before each write.
        guard: tries connectors before models are pointed at them; None tries nothing.
        tell: called after each finished change, and again for what the cluster has not let go.

    Returns:
        address -> id of every object there is then.

    Raises:
        ProvisionError: the plan has something that can't be done (then nothing was written), or the cluster refused
            a change; the message names the object. What was done stays and is found by the next plan.
        EngineError: the cluster does not answer.
    """
    for change in plan.blocked:
        shown = "; ".join(map(str, change.differences[:3]))
        raise ProvisionError(f"{change.address} can't be changed: {shown}", hint=change.note)
    writing = Writing(client, plan.prefix, dict(plan.ids), check, guard)
    writing.left += [change.live.id for change in plan.left if change.live]
    replaced = [change for change in plan.writes if change.action is Action.REPLACE]
    for change in plan.writes:
        if guard is not None and change.resource is not None and change.resource.kind in _NAME_MODELS:
            guard.confirm(writing.ids)
        _answered(writing, change, _write if change.resource else _delete)
        if change not in replaced:
            tell(change)
    if replaced:
        time.sleep(SETTLE_SECONDS)
    for change in reversed(replaced):  # a model before its connector
        _answered(writing, change, _delete)
        tell(change)
    if plan.writes:
        delete_left(writing)
    for change in plan.writes:
        if change.live and change.live.id in writing.left:
            tell(change.left())
    if guard is not None and any(
        change.address.startswith((Kind.CONNECTOR, Kind.INGEST_PIPELINE)) for change in plan.writes
    ):
        renewed = guard.renewed(writing.ids)
        if renewed is not None:
            writing.send("PUT", f"/{renewed[0]}/_mapping", {"_meta": renewed[1]})
    return writing.ids


def _write(writing: Writing, change: Change) -> None:
    assert change.resource is not None
    made = OBJECTS[change.resource.kind].write(writing, change.resource, change.live)
    writing.ids[change.address] = made


def _delete(writing: Writing, change: Change) -> None:
    assert change.live is not None
    OBJECTS[change.live.kind].delete(writing, change.live)


def _answered(writing: Writing, change: Change, step: Callable[[Writing, Change], None]) -> None:
    try:
        step(writing, change)
    except NoConnection as fault:
        raise EngineError(
            f"{change.address}: no answer from OpenSearch ({fault.error})",
            hint="neuralshelf doctor; then apply again, which goes on from here",
        ) from None
    except TransportError as fault:
        hint = "mend the configuration, then apply again"
        if fault.status_code == 403 and fault.error != "cluster_block_exception":
            hint = "this login lacks a right: neuralshelf roles renders the role that apply needs"
        said = reason(fault, change.resource.secrets.values() if change.resource else ())
        raise ProvisionError(
            f"{change.address}: refused by the cluster ({fault.status_code}): {said}", hint=hint
        ) from None
