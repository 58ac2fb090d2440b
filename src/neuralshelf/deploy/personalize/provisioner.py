"""Carries plans out on Amazon Personalize, and waits. Broken off anywhere, the next run goes on from what is there."""

import csv
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from neuralshelf.deploy.calls import Aws, Call
from neuralshelf.deploy.personalize.data import Data
from neuralshelf.deploy.personalize.observed import Observed, Thing, argument, look, observe
from neuralshelf.deploy.personalize.plan import plan_down, plan_forget, plan_stop, plan_up
from neuralshelf.deploy.personalize.wanted import Wanted
from neuralshelf.errors import DeployError

Json = Any

EVERY_SECONDS = 20.0
PROPAGATION_SECONDS = 60.0  # a new role is known everywhere "within seconds", says IAM
MEND = "mend what it says, then do it again: it makes anew what failed"
SLOWLY = "do it again: it goes on waiting; --timeout SECONDS gives more time"


class Provisioner:
    """Makes Personalize hold a campaign, or nothing of it.

    Args:
        tell: gets each call when it has been answered.
        watch: gets what is waited for, and the seconds so far.
        timeout: seconds, for each wait. A training takes half an hour or more.
        every: seconds between two looks.
    """

    def __init__(
        self,
        aws: Aws,
        wanted: Wanted,
        *,
        tell: Callable[[Call], None] = lambda call: None,
        watch: Callable[[dict[str, str], float], None] = lambda states, seconds: None,
        timeout: float = 14_400.0,
        every: float = EVERY_SECONDS,
    ) -> None:
        self.aws = aws
        self.wanted = wanted
        self.timeout = timeout
        self._tell = tell
        self._watch = watch
        self._every = every

    def observe(self) -> Observed:
        """What is there now."""
        return observe(self.aws, self.wanted)

    def plan_up(self, data: Data) -> tuple[Call, ...]:
        """What `up` would do now; changes nothing."""
        return plan_up(self.wanted, self.observe(), data)

    def plan_down(self) -> tuple[Call, ...]:
        """What `down` would do now; changes nothing."""
        found = self.observe()
        return (*plan_stop(found), *plan_down(self.wanted, found))

    def up(self, data: Data) -> tuple[Call, ...]:
        """Make what is missing, learn from new data, and wait until the campaign answers.

        Returns:
            the calls that were made; none when all was there.

        Raises:
            DeployError: a call was refused, a step failed or took too long; what was made stays and is gone on with.
        """
        calls = plan_up(self.wanted, self._settled(), data)
        self._send(calls)
        return calls

    def down(self) -> tuple[Call, ...]:
        """Delete everything that is ours, and wait until it has gone.

        Returns:
            the calls that were made.

        Raises:
            DeployError: as `up`, or something of others stands on it.
        """
        found = self.observe()
        plan_down(self.wanted, found)  # refused before anything is stopped
        stops = plan_stop(found)
        for call in stops:
            self.aws.send(call)
            self._tell(call)
        calls = plan_down(self.wanted, self._settled(jobs=False))
        self._send(calls)
        return (*stops, *calls)

    def forget(self, user: str) -> tuple[Call, ...]:
        """Begin to delete all of one person; Personalize takes up to a day for it, and this does not wait.

        Returns:
            the calls that were made; none when that is going on already.

        Raises:
            DeployError: as `up`.
        """
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "people.csv"
            with file.open("w", encoding="utf-8", newline="") as lines:
                csv.writer(lines, lineterminator="\n").writerows([["USER_ID"], [user]])
            calls = plan_forget(self.wanted, self._settled(jobs=False), user, file)
            self._send(calls, patient=False)
        return calls

    def _settled(self, *, jobs: bool = True) -> Observed:
        """What is there once nothing is changing any more.

        Args:
            jobs: wait for deletions of people, too.
        """
        found = self.observe()
        waited = [each for each in found.things if each.moving and (jobs or each.noun != "DataDeletionJob")]
        if not waited:
            return found
        self._wait([(each.noun, each.arn) for each in waited])
        return self.observe()

    def _send(self, calls: Iterable[Call], *, patient: bool = True) -> None:
        new_role = False
        for call in calls:
            passes = new_role and call.service == "personalize"
            answer = self._patiently(call, PROPAGATION_SECONDS if passes else 0.0)
            new_role = new_role or call.operation == "CreateRole"
            self._tell(call)
            if call.service == "personalize" and patient:
                self._finished(call, answer)

    def _finished(self, call: Call, answer: Json) -> None:
        """Wait until what a call began has ended.

        Raises:
            DeployError: it failed, with the reason that Personalize gives.
        """
        noun = call.operation.removeprefix("Create").removeprefix("Delete")
        if call.operation.startswith("Delete"):
            arn = call.parameters[argument(noun)]
            if state := self._wait([(noun, arn)], gone=True).get(arn):
                raise DeployError(f"{call.subject} is {state.status}: {_why(state)}", hint="do it again")
            return
        arn = answer[argument(noun)]
        state = self._wait([(noun, arn)]).get(arn)
        if state is None:
            raise DeployError(f"{call.subject} has been deleted meanwhile", hint="do it again")
        if state.failed:
            raise DeployError(f"{call.subject}: {state.status}: {_why(state)}", hint=MEND)

    def _wait(self, waited: list[tuple[str, str]], *, gone: bool = False) -> dict[str, Thing]:
        """ARN -> what is there when none of them is changing any more.

        Args:
            gone: they are being deleted, whatever their state still says.
        """
        begun = time.monotonic()
        while True:
            found = {arn: thing for noun, arn in waited if (thing := look(self.aws, noun, arn))}
            moving = [
                each for each in found.values() if each.moving or (gone and not each.status.startswith("DELETE FAIL"))
            ]
            seconds = time.monotonic() - begun
            self._watch({each.subject: each.status for each in found.values() if each.status}, seconds)
            if not moving:
                return found
            if seconds > self.timeout:
                said = ", ".join(f"{each.subject} is {each.status}" for each in moving)
                raise DeployError(f"after {seconds:.0f} s {said}", hint=SLOWLY)
            time.sleep(self._every)

    def _patiently(self, call: Call, patience: float) -> Json:
        begun = time.monotonic()
        while True:
            try:
                return self.aws.send(call)
            except DeployError as fault:
                if "role" not in fault.message.lower() or time.monotonic() - begun >= patience:
                    raise
            time.sleep(self._every)


def _why(state: Thing) -> str:
    return state.reason or "Personalize gives no reason"
