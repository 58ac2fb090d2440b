"""The verbs that bring models onto AWS and take them away: preflight, deploy, undeploy."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from neuralshelf.cli.context import confirm

if TYPE_CHECKING:
    from neuralshelf.deploy.calls import Aws, Call
    from neuralshelf.deploy.deployer import Deployer
    from neuralshelf.deploy.desired import Desired
    from neuralshelf.deploy.preflight import Preflight

Run = Callable[[argparse.Namespace], int]
Tell = Callable[["Call"], None]
Watch = Callable[[dict[str, str], float], None]

FAILED = 1


def add(verb: Callable[[str, Run, str], argparse.ArgumentParser]) -> None:
    """The verbs with their options."""
    made = verb("preflight", preflight, "whether AWS is ready for deploy: login, quotas, model access; changes nothing")
    made.add_argument("--json", action="store_true")
    made = verb("deploy", deploy, "host the models of this environment on SageMaker")
    made.add_argument("--policies", type=Path, metavar="DIR", help="write the IAM policies there, and do nothing else")
    made.add_argument("--dry-run", action="store_true", help="print the calls that would change something")
    _waiting(made)
    made = verb("undeploy", undeploy, "delete everything that deploy has made")
    made.add_argument("--yes", action="store_true", help="don't ask")
    made.add_argument("--dry-run", action="store_true", help="print the calls that would delete something")
    _waiting(made)


def _waiting(made: argparse.ArgumentParser) -> None:
    made.add_argument("--timeout", type=float, default=1800.0, metavar="SECONDS", help="for endpoints (default: 1800)")
    made.add_argument("--json", action="store_true")


def preflight(words: argparse.Namespace) -> int:
    aws, desired, who = login(words)
    found = _preflight(aws, desired, who)
    print(json.dumps(found.as_dict()) if words.json else _checks_text(found))
    return 0 if found.ok else FAILED


def deploy(words: argparse.Namespace) -> int:
    from neuralshelf.errors import DeployError

    if words.policies:
        return _write_policies(words)
    aws, desired, who = login(words)
    found = _preflight(aws, desired, who)
    print(_checks_text(found), file=sys.stderr)
    if not found.ok and not words.dry_run:
        first = found.failed[0]
        raise DeployError(f"preflight: {first.name}: {first.found}", hint=first.remedy)
    with _deployer(words, aws, desired) as deployer:
        calls = deployer.plan_deploy().calls if words.dry_run else deployer.deploy()
    role = desired.names.role_arn(desired.names.invoke_role)
    used = desired.deployment.environment.uses_deployed_role
    if words.json:
        print_calls(calls, endpoints=list(desired.hosting.endpoints), role_arn=role if used else None)
    else:
        print(calls_text(calls, words.dry_run))
        if used and not words.dry_run:
            print(f"OpenSearch invokes them as {role}; next: neuralshelf apply -e {words.environment}")
    return 0


def undeploy(words: argparse.Namespace) -> int:
    from neuralshelf.deploy.personalize.observed import standing

    aws, desired, _ = login(words)
    with _deployer(words, aws, desired) as deployer:
        plan = deployer.plan_undeploy()
        if plan.calls and not words.dry_run and not words.yes:
            print(calls_text(plan.calls, True), file=sys.stderr)
            confirm("This deletes endpoints, archives and transformed vectors.", desired.names.prefix)
        calls = plan.calls if words.dry_run else deployer.undeploy()
        left = [*deployer.left(), *standing(aws, desired)]
    if words.json:
        print_calls(calls, left=left)
    else:
        print(lines([calls_text(calls, words.dry_run), *(f"left: {line}" for line in left)]))
    return 0


def _write_policies(words: argparse.Namespace) -> int:
    from neuralshelf.deploy.desired import Desired
    from neuralshelf.deploy.login import account_of
    from neuralshelf.deploy.policies import write_policies
    from neuralshelf.deployment import Deployment

    config = words.config.resolve()
    deployment = Deployment.load(config, words.environment)
    desired = Desired.of(deployment, account_of(deployment), config.parent)
    files = [str(file) for file in write_policies(desired.policies, words.policies)]
    print(json.dumps({"format_version": 1, "files": files}) if words.json else lines(files))
    return 0


def login(words: argparse.Namespace) -> "tuple[Aws, Desired, str]":
    """AWS, what is to be on it, and the ARN of who is logged in.

    Raises:
        ConfigError: nothing is hosted.
        DeployError: nobody is logged in, or into another account.
    """
    from neuralshelf.deploy.calls import Aws
    from neuralshelf.deploy.desired import Desired, hosting_of
    from neuralshelf.deploy.login import identity
    from neuralshelf.deployment import Deployment

    config = words.config.resolve()
    deployment = Deployment.load(config, words.environment)
    hosting_of(deployment)  # before anybody has to log in
    aws = Aws(deployment.environment.runtime.region)
    account, who = identity(aws, deployment)
    return aws, Desired.of(deployment, account, config.parent), who


def _preflight(aws: "Aws", desired: "Desired", who: str) -> "Preflight":
    from neuralshelf.deploy.preflight import preflight as look

    return look(aws, desired, who)


@contextmanager
def _deployer(words: argparse.Namespace, aws: "Aws", desired: "Desired") -> "Iterator[Deployer]":
    from neuralshelf.deploy.deployer import Deployer

    with watched("endpoint ") as (tell, watch):
        yield Deployer(aws, desired, tell=tell, watch=watch, timeout=words.timeout)


@contextmanager
def watched(kind: str = "") -> "Iterator[tuple[Tell, Watch]]":
    """Says each call and each new state on stderr; on a terminal, also for how long something has been waited for.

    Args:
        kind: of what is waited for, before its name.
    """
    from tqdm import tqdm

    said: dict[str, str] = {}
    with tqdm(bar_format="{desc}", file=sys.stderr, leave=False, disable=not sys.stderr.isatty()) as bar:

        def tell(call: "Call") -> None:
            bar.write(f"neuralshelf: {call.operation} {call.subject}", file=sys.stderr)

        def watch(states: dict[str, str], seconds: float) -> None:
            for name, state in states.items():
                if said.get(name) != state:
                    bar.write(f"neuralshelf: {kind}{name} is {state}", file=sys.stderr)
            said.update(states)
            bar.set_description_str(f"waiting for {', '.join(states)}: {seconds:.0f} s")

        try:
            yield tell, watch
        except KeyboardInterrupt:
            bar.write("neuralshelf: AWS goes on with what it has begun; do it again: it goes on, too", file=sys.stderr)
            raise


def print_calls(calls: "Sequence[Call]", **more: object) -> None:
    """As JSON."""
    print(json.dumps({"format_version": 1, "calls": [call.as_dict() for call in calls], **more}))


def calls_text(calls: "Sequence[Call]", dry_run: bool) -> str:
    """For people: what would be sent, or what was."""
    if not calls:
        return "no change"
    if not dry_run:
        return f"{len(calls)} calls changed something: {', '.join(dict.fromkeys(call.name for call in calls))}"
    return lines(f"{call.name} {json.dumps(call.as_dict()['parameters'])}" for call in calls)


def _checks_text(found: "Preflight") -> str:
    said = []
    for check in found.checks:
        said.append(f"{check.state + ':':<6}{check.name}: {check.found}")
        if check.remedy:
            said.append(f"      next: {check.remedy}")
    return "\n".join(said)


def lines(items: "Iterator[object] | Sequence[object]") -> str:
    """One a line."""
    return "\n".join(str(item) for item in items)
