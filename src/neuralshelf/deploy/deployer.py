"""Carries a plan out on AWS, and waits. Broken off anywhere, the next run sees what is there and goes on."""

import time
from collections.abc import Callable, Iterable, Sequence

from neuralshelf.deploy.calls import Aws, Call
from neuralshelf.deploy.desired import Desired
from neuralshelf.deploy.observed import MOVING, EndpointState, Observed, ask_again, observe
from neuralshelf.deploy.plan import Plan, plan_deploy, plan_undeploy
from neuralshelf.errors import DeployError

EVERY_SECONDS = 5.0
PROPAGATION_SECONDS = 60.0  # a new role is known everywhere "within seconds", says IAM; SageMaker refuses it till then
LOG = "look at log group /aws/sagemaker/Endpoints/{name}, mend the model, deploy again: it replaces the failed endpoint"


class Deployer:
    """Makes AWS hold what one deployment says, or nothing of it.

    Args:
        tell: gets each call when it has been answered.
        watch: gets the states of the endpoints that are waited for, and the seconds so far.
        timeout: seconds, for each wait.
        every: seconds between two looks at an endpoint.
    """

    def __init__(
        self,
        aws: Aws,
        desired: Desired,
        *,
        tell: Callable[[Call], None] = lambda call: None,
        watch: Callable[[dict[str, str], float], None] = lambda states, seconds: None,
        timeout: float = 1800.0,
        every: float = EVERY_SECONDS,
    ) -> None:
        self.aws = aws
        self.desired = desired
        self.timeout = timeout
        self._tell = tell
        self._watch = watch
        self._every = every

    def observe(self) -> Observed:
        """What is on AWS now."""
        hosting = self.desired.hosting
        return observe(self.aws, self.desired.names, bucket=hosting.bucket, endpoints=hosting.endpoints)

    def plan_deploy(self) -> Plan:
        """What deploy would do now; changes nothing."""
        return plan_deploy(self.desired, self.observe())

    def plan_undeploy(self) -> Plan:
        """What undeploy would do now; changes nothing."""
        return plan_undeploy(self.desired, self.observe())

    def left(self) -> list[str]:
        """What undeploy leaves where it is, and why."""
        bucket, name = self.observe().bucket, self.desired.hosting.bucket
        if bucket is None:
            return []
        if not bucket.ours:
            return [f"bucket {name}: not made by {self.desired.names.prefix}"]
        return [f"bucket {name}: holds {', '.join(bucket.foreign)}, which is not ours"] if bucket.foreign else []

    def deploy(self) -> tuple[Call, ...]:
        """Make what is missing, change what differs, wait until all endpoints serve it, delete what is left over.

        Returns:
            the calls that were made; none when all was there.

        Raises:
            DeployError: a call was refused, an endpoint failed or took too long; what was made stays and is gone on
                with.
        """
        plan = plan_deploy(self.desired, self._settled())
        self._send(plan.failed)
        self._wait(call.parameters["EndpointName"] for call in plan.failed)
        self._send(plan.make)
        self._serve(plan.serve)
        self._remove(plan)
        return plan.calls

    def undeploy(self) -> tuple[Call, ...]:
        """Delete everything of this deployment.

        Returns:
            the calls that were made.

        Raises:
            DeployError: as `deploy`.
        """
        plan = plan_undeploy(self.desired, self._settled())
        self._remove(plan)
        return plan.calls

    def _remove(self, plan: Plan) -> None:
        self._send(plan.drop)
        self._wait(call.parameters["EndpointName"] for call in plan.drop)
        self._send(plan.clean)

    def _settled(self) -> Observed:
        """What is there once no endpoint is changing any more."""
        found = self.observe()
        moving = [name for name, state in found.endpoints.items() if state.status in MOVING]
        if not moving:
            return found
        self._wait(moving)
        return self.observe()

    def _serve(self, wanted: Sequence[tuple[str, str]]) -> None:
        states = self._wait(name for name, _ in wanted)
        faults = []
        for name, config in wanted:
            state = states.get(name)
            if state is None or state.status != "InService" or state.config != config:
                faults.append((name, _why(state)))
        if faults:
            name, why = faults[0]
            more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
            raise DeployError(f"endpoint {name}{more}: {why}", hint=LOG.format(name=name))

    def _wait(self, names: Iterable[str]) -> dict[str, EndpointState]:
        """States of the endpoints that are there when none of them is changing any more."""
        waited = list(names)
        begun = time.monotonic()
        while True:
            states = {name: state for name in waited if (state := ask_again(self.aws, name))}
            moving = {name: state.status for name, state in states.items() if state.status in MOVING}
            seconds = time.monotonic() - begun
            if waited:
                self._watch({name: state.status for name, state in states.items()}, seconds)
            if not moving:
                return states
            if seconds > self.timeout:
                said = ", ".join(f"{name} is {status}" for name, status in moving.items())
                hint = "do it again: it goes on waiting; --timeout SECONDS gives more time"
                raise DeployError(f"after {seconds:.0f} s {said}", hint=hint)
            time.sleep(self._every)

    def _send(self, calls: Sequence[Call]) -> None:
        new_role = False
        for call in calls:
            self._patiently(call, PROPAGATION_SECONDS if new_role else 0.0)
            new_role = new_role or call.operation == "CreateRole"
            self._tell(call)

    def _patiently(self, call: Call, patience: float) -> None:
        begun = time.monotonic()
        while True:
            try:
                self.aws.send(call)
                return
            except DeployError as fault:
                passes = "assume role" in fault.message.lower() and time.monotonic() - begun < patience
                if not passes:
                    raise
            time.sleep(self._every)


def _why(state: EndpointState | None) -> str:
    if state is None:
        return "it has been deleted meanwhile"
    if state.status == "InService":
        return f"the update was rolled back to {state.config}: {state.reason or 'SageMaker gives no reason'}"
    return f"{state.status}: {state.reason or 'SageMaker gives no reason'}"
