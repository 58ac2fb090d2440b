"""One deployment and one cluster: plan, apply, drift, destroy."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from opensearchpy import OpenSearch

from neuralshelf.connectors.runtime import Runtime
from neuralshelf.deployment import Deployment
from neuralshelf.errors import InputError, StalePlanError
from neuralshelf.provision.apply import apply
from neuralshelf.provision.live import Observed
from neuralshelf.provision.lock import holder, locked
from neuralshelf.provision.observe import observe
from neuralshelf.provision.plan import FORMAT_VERSION, NEW_ID, Action, Change, Plan, plan, plan_destroy
from neuralshelf.provision.versions import check
from neuralshelf.resource import Kind, Resource

Show = Callable[[Plan], None]
Tell = Callable[[Change], None]


@dataclass(frozen=True)
class Provisioner:
    """What the verbs plan, apply, drift and destroy do.

    Attributes:
        say: gets lines for people, such as that a dead process's lock was taken over.
    """

    client: OpenSearch
    deployment: Deployment
    runtime: Runtime
    say: Callable[[str], None] = lambda _: None

    def plan(self, *, adopt: bool = False, kinds: tuple[Kind, ...] = tuple(Kind)) -> Plan:
        """What apply would do now. Sends no write.

        Raises:
            ConfigError: the configuration needs a newer OpenSearch than the cluster's.
        """
        desired, observed = self._observed()
        check(observed.version, self.deployment.config)
        return plan(desired, observed, prefix=self.deployment.prefix, adopt=adopt, kinds=kinds)

    def plan_destroy(self) -> Plan:
        """What destroy would take away."""
        _, observed = self._observed()
        return plan_destroy(observed, prefix=self.deployment.prefix)

    def apply(
        self,
        shown: Plan,
        *,
        verb: str = "apply",
        make: Callable[[], Plan] | None = None,
        show: Show | None = None,
        tell: Tell = lambda _: None,
    ) -> None:
        """Carry out a plan that was shown, under the lock.

        Args:
            make: makes the plan anew, to see whether it still holds; default `plan`.
            show: shows a plan that has changed meanwhile, which is then carried out; None refuses it.

        Raises:
            LockedError: somebody else is writing.
            StalePlanError: the cluster changed since the plan was shown; nothing was written.
            ProvisionError, EngineError: as `apply.apply`.
        """
        from neuralshelf.provision.guard import VectorGuard  # numpy: a plan does without

        if not shown.writes and not shown.blocked:
            left = holder(self.client, self.deployment.prefix)
            if left is None or not left.is_dead():  # a run killed at its very end leaves nothing but its lock
                return
        with locked(self.client, self.deployment.prefix, verb, self.say) as lock:
            now = (make or self.plan)()
            if now.digest != shown.digest:
                if show is None:
                    raise StalePlanError(
                        "the cluster has changed since the plan was made: nothing was written", hint="plan again"
                    )
                show(now)
            apply(self.client, now, check=lock.check, guard=VectorGuard(self.client, self.deployment), tell=tell)

    def _observed(self) -> tuple[list[Resource], Observed]:
        """What is wanted, and what is there."""
        desired = self.deployment.resources(self.runtime)
        return desired, observe(self.client, desired, prefix=self.deployment.prefix)


def drift(found: Plan) -> list[Change]:
    """What differs although it was made from this very configuration: somebody has changed or deleted it by hand.

    In a deployment of which nothing is there, nothing has drifted.
    """
    if not found.ids:
        return []
    edited = []
    for change in found.changes:
        # that an object uses another one which is to be made anew is no edit of its own
        own = tuple(d for d in change.differences if NEW_ID not in (d.wanted or ""))
        if change.action is Action.CREATE:
            edited.append(change)
        elif change.live and change.resource and change.live.fingerprint in (None, change.resource.fingerprint) and own:
            edited.append(replace(change, differences=own))
    return edited


def save(made: Plan, path: Path) -> None:
    """Write a plan to a file, for `apply FILE`."""
    path.write_text(json.dumps(made.as_dict(), indent=2) + "\n", encoding="utf-8")


def check_saved(path: Path, now: Plan) -> None:
    """Return when the plan in the file is what would be done now.

    Raises:
        InputError: the file can't be read or is no plan.
        StalePlanError: cluster or configuration changed since.
    """
    try:
        saved: Any = json.loads(path.read_text(encoding="utf-8"))
        version, digest = saved["format_version"], saved["digest"]
    except OSError as fault:
        raise InputError(f"plan {path} can't be read ({fault.strerror})", hint="neuralshelf plan --out FILE") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path} is no saved plan", hint="neuralshelf plan --out FILE") from None
    if version != FORMAT_VERSION:
        raise InputError(f"plan {path} was made by another version of neuralshelf", hint="plan again")
    if digest != now.digest or saved != now.as_dict():
        raise StalePlanError(
            f"plan {path} no longer holds: cluster or configuration changed since; nothing was written",
            hint="plan again",
        )
