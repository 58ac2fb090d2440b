"""New credentials, another endpoint URL or other client settings for live connectors, without an interruption.

It is an apply that looks at connectors and models alone: a new connector, tried by a throw-away model, then the models
are pointed at it, and the old one goes when no node uses it any more. Pipelines and indexes never notice.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from opensearchpy import OpenSearch

from neuralshelf.connectors.ranking import ranking_name
from neuralshelf.connectors.runtime import Runtime
from neuralshelf.connectors.spec import ROLES
from neuralshelf.deployment import Deployment
from neuralshelf.errors import ProvisionError
from neuralshelf.provision.live import Observed
from neuralshelf.provision.observe import observe
from neuralshelf.provision.plan import Action, Change, Plan, plan
from neuralshelf.provision.provisioner import Provisioner
from neuralshelf.resource import Kind

# The cluster's settings name the hosts that connectors may call; an endpoint that moves may need another.
KINDS = (Kind.SETTINGS, Kind.CONNECTOR, Kind.MODEL)

# How long ML Commons lets a call wait for a connection of its pool; it can't be configured.
POOL_WAIT_SECONDS = 10.0


@dataclass(frozen=True)
class Rotation:
    """What a rotation did.

    Attributes:
        connectors: addresses of those that were replaced; none when everything was up to date.
        models: addresses of those that were pointed at them.
        seconds: how long it took.
        revoke_after: seconds until the old credentials can be revoked: calls that waited for a connection, or for a
            repetition after throttling, are signed with them.
        expires: end of the credentials that are in force now; None when they last, or nobody says.
    """

    connectors: tuple[str, ...]
    models: tuple[str, ...]
    seconds: float
    revoke_after: float
    expires: datetime | None

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "format_version": 1,
            "connectors": list(self.connectors),
            "models": list(self.models),
            "seconds": round(self.seconds, 3),
            "revoke_after": self.revoke_after,
            "expires": self.expires.isoformat() if self.expires else None,
        }


def plan_rotation(client: OpenSearch, deployment: Deployment, runtime: Runtime, *, force: bool = False) -> Plan:
    """What `rotate` would do now, with the same arguments. Sends no write.

    Raises:
        ProvisionError: the deployment has not been applied, or a model was edited so that it can't be kept.
    """
    desired = deployment.resources(runtime)
    observed = observe(client, desired, prefix=deployment.prefix)
    if force or runtime.expires is not None:
        observed = _outdated(observed, deployment)
    found = plan(desired, observed, prefix=deployment.prefix, kinds=KINDS)
    changes = tuple(c for c in found.changes if c.action is not Action.DELETE or c.live in observed.twins)
    for change in changes:
        _refuse_interruption(change)
    others = _other_versions(observed, deployment)
    note = "version {} of the index keeps the credentials it has; rotate with its configuration, too"
    return replace(found, changes=changes, notes=tuple(map(note.format, others)))


def rotate(
    client: OpenSearch,
    deployment: Deployment,
    runtime: Runtime,
    *,
    force: bool = False,
    say: Callable[[str], None] = lambda _: None,
    tell: Callable[[Change], None] = lambda _: None,
) -> Rotation:
    """Bring `runtime` into the live connectors; those that were made from it already are left as they are.

    Credentials that were lent for a time are always written, since no other run can have been given the same ones.
    Only the configured version of the index is looked at; while a migration is not finished the other one has to be
    rotated with its own configuration.

    When this returns, no node begins a call with the old ones: the models were pointed elsewhere 2 s ago, and on two
    nodes 0.2 s were measured. For calls that have begun see `Rotation.revoke_after`.

    Args:
        force: replace all connectors. What they hold can't be seen, only what they were made from.
        say: gets lines for people.
        tell: called after each finished change.

    Raises:
        LockedError: somebody else is writing.
        ProvisionError: not applied yet, or a new connector does not answer, or in another vector space. Its model
            goes on with the old one.
        EngineError: the cluster does not answer.
    """
    begun = time.monotonic()

    def make() -> Plan:
        return plan_rotation(client, deployment, runtime, force=force)

    done: list[Change] = []

    def note(change: Change) -> None:
        done.append(change)
        tell(change)

    planned = make()
    for line in planned.notes:
        say(line)
    made = Provisioner(client, deployment, runtime, say)
    made.apply(planned, verb="rotate", make=make, show=lambda _: None, tell=note)
    return Rotation(
        connectors=tuple(c.address for c in done if c.action is Action.REPLACE and _is(c, Kind.CONNECTOR)),
        models=tuple(c.address for c in done if c.action is Action.UPDATE and _is(c, Kind.MODEL)),
        seconds=time.monotonic() - begun,
        revoke_after=_lingering(deployment),
        expires=runtime.expires,
    )


def _lingering(deployment: Deployment) -> float:
    tunings = [spec.tuning(role) for spec in deployment.config.connectors.values() for role in ROLES]
    return POOL_WAIT_SECONDS + max(float(t.retry_timeout) if t.max_retry_times else 0.0 for t in tunings)


def _other_versions(observed: Observed, deployment: Deployment) -> list[int]:
    """Of the index, that have connectors: there are two while a migration is not finished."""
    names = [live.name for address, live in observed.live.items() if address.startswith(f"{Kind.CONNECTOR}/")]
    found = {int(m[1]) for name in names if (m := re.match(rf"{re.escape(deployment.prefix)}-v(\d+)-", name))}
    return sorted(found - {deployment.config.index.version})


def _outdated(observed: Observed, deployment: Deployment) -> Observed:
    """As if the connectors were made from something else."""
    begin, ranking = f"{Kind.CONNECTOR}/{deployment.generation}-", f"{Kind.CONNECTOR}/{ranking_name(deployment.prefix)}"
    live = {
        address: replace(found, marker=replace(found.marker, fingerprint=""))
        if found.marker and (address.startswith(begin) or address == ranking)
        else found
        for address, found in observed.live.items()
    }
    return replace(observed, live=live)


def _refuse_interruption(change: Change) -> None:
    """Raises ProvisionError for what a rotation can't do while requests go on."""
    if change.action is Action.CREATE:
        raise ProvisionError(
            f"{change.address} does not exist, so there is nothing to rotate", hint="neuralshelf apply"
        )
    if change.action is Action.REPLACE and _is(change, Kind.MODEL):
        raise ProvisionError(
            f"{change.address} was edited and can't be kept: {'; '.join(map(str, change.differences[:3]))}",
            hint="neuralshelf apply makes it anew; then rotate",
        )


def _is(change: Change, kind: Kind) -> bool:
    return change.address.startswith(f"{kind}/")
