"""What `up`, `apply` and `destroy` do and say on a stack."""

import sys
from collections.abc import Callable

from opensearchpy import AuthorizationException, OpenSearch
from tqdm import tqdm

from neuralshelf.deployment import Deployment
from neuralshelf.local.stack import Stack
from neuralshelf.provision.plan import Action, Change, Plan
from neuralshelf.provision.provisioner import Provisioner
from neuralshelf.tables import plan_text


def provisioner(stack: Stack, deployment: Deployment) -> Provisioner:
    """Plans and applies this deployment; says what it does on stderr."""
    return Provisioner(stack.client(deployment), deployment, stack.runtime(deployment), say)


def apply_deployment(stack: Stack, deployment: Deployment) -> None:
    """Provision, then ask every model: DEPLOYED is no proof that it answers."""
    made = provisioner(stack, deployment)
    apply_plan(made, made.plan())


def apply_plan(made: Provisioner, plan: Plan, *, adopt: bool = False, exactly: bool = False) -> None:
    """Show a plan, carry it out, ask every model.

    Args:
        exactly: refuse when the cluster changes meanwhile, instead of showing the new plan and carrying that out.
    """
    from neuralshelf.provision.guard import confirm  # numpy: a plan does without

    if plan.writes or plan.blocked:
        _show(plan)
    carry_out(made, plan, make=lambda: made.plan(adopt=adopt), show=None if exactly else _show)
    confirm(made.client, made.deployment)
    counted = sum(change.action is not Action.DELETE for change in plan.changes)
    say(f"{counted} objects, {len(plan.writes)} written, all models answer")


_PATIENCE_SECONDS = 10.0


def confirm_models(client: OpenSearch, deployment: Deployment) -> None:
    """Vectors of another model must not get into the index; a login that may not look at models goes on unchecked."""
    from neuralshelf.provision.guard import confirm  # numpy: a plan does without

    try:
        confirm(client, deployment, roles=("ingest",), patience=_PATIENCE_SECONDS)
    except AuthorizationException:
        say("this login may not read models, so their vector space was not checked: neuralshelf verify does that")


def carry_out(
    made: Provisioner,
    plan: Plan,
    *,
    verb: str = "apply",
    make: Callable[[], Plan] | None = None,
    show: Callable[[Plan], None] | None = None,
) -> None:
    """Do what a shown plan says, with a bar."""
    with tqdm(total=len(plan.writes), unit="", desc=verb, file=sys.stderr, disable=not sys.stderr.isatty()) as bar:

        def tell(change: Change) -> None:
            bar.write(f"neuralshelf: {change.told}", file=sys.stderr)
            bar.update(change.action is not Action.KEEP)

        made.apply(plan, verb=verb, make=make, show=show, tell=tell)


def _show(plan: Plan) -> None:
    print(plan_text(plan), file=sys.stderr)


def say(line: str) -> None:
    """A line on stderr."""
    print(f"neuralshelf: {line}", file=sys.stderr)
