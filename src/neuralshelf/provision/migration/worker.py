"""What migrate and rollback share: who they work for, and how they catch up with writes."""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Never

from opensearchpy import OpenSearch
from tqdm import tqdm

from neuralshelf.connectors.runtime import Runtime
from neuralshelf.deployment import Deployment
from neuralshelf.errors import ProvisionError
from neuralshelf.provision.apply import apply
from neuralshelf.provision.guard import VectorGuard
from neuralshelf.provision.lock import Lock
from neuralshelf.provision.migration.carry import Carrier
from neuralshelf.provision.migration.changes import checkpoints
from neuralshelf.provision.migration.swap import WRITES, drain
from neuralshelf.provision.objects.index import documents, holders
from neuralshelf.provision.provisioner import Provisioner

CLOSE_SECONDS = 1.0
"""A round of catching up that is shorter than this is close enough for the swap."""
ROUNDS = 100
QUIET_SECONDS = 2.0
LONGEST_WRITE_SECONDS = 150.0

Say = Callable[[str], None]
Note = Callable[[Mapping[int, int]], None]


@dataclass
class Worker:
    """One migration or rollback under the lock."""

    client: OpenSearch
    deployment: Deployment
    runtime: Runtime
    lock: Lock
    say: Say
    begun: float = field(default_factory=time.monotonic)

    @property
    def alias(self) -> str:
        """What people search."""
        return self.deployment.config.index.name

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.begun

    def generation(self, index: str) -> str:
        """`PREFIX-vN` of an index NAME-N."""
        return f"{self.deployment.prefix}-v{index.rpartition('-')[2]}"

    def apply(self) -> None:
        """Bring the cluster to what the configuration says."""
        made = Provisioner(self.client, self.deployment, self.runtime, self.say)
        apply(self.client, made.plan(), check=self.lock.check, guard=VectorGuard(self.client, self.deployment))

    def live(self) -> str:
        """The index that the alias names.

        Raises:
            ProvisionError: there is none, or it names several.
        """
        found = holders(self.client, self.alias)
        if len(found) != 1:
            named = ", ".join(found) or "no index"
            raise ProvisionError(f"alias {self.alias} names {named}", hint="neuralshelf apply")
        return next(iter(found))

    def count(self, index: str) -> int:
        """Documents in an index."""
        self.client.indices.refresh(index=index)
        return documents(self.client, index)

    def catch_up(self, carrier: Carrier, since: Mapping[int, int], note: Note) -> dict[int, int]:
        """Carry until a round is short, from `since`; returns up to where.

        Raises:
            ProvisionError: writes come faster than they can be carried.
        """
        copied = dict(since)
        for _ in range(ROUNDS):
            begun = time.monotonic()
            copied = carrier.carry(copied, note)
            if time.monotonic() - begun < CLOSE_SECONDS:
                return copied
        raise ProvisionError(
            f"{carrier.source} is written faster than {carrier.target} can take it",
            hint="migrate again when there are fewer writes, or give the models more power",
        )

    def settle(self, carrier: Carrier, since: Mapping[int, int], note: Note) -> dict[int, int]:
        """After the alias has left `carrier.source`: what still lands there, until nothing does any more."""
        moved = time.monotonic()
        copied = carrier.carry(since, note)
        carrier.sweep()
        while True:
            drain(self.client, WRITES, moved, LONGEST_WRITE_SECONDS)
            quiet = time.monotonic()
            while time.monotonic() - quiet < QUIET_SECONDS:
                now = checkpoints(self.client, carrier.source)
                if now != copied:
                    copied = carrier.carry(copied, note)
                    quiet = time.monotonic()
                time.sleep(0.1)
            carrier.sweep()
            if checkpoints(self.client, carrier.source) == copied:
                return copied

    def bar(self, total: int, verb: str) -> "tqdm[Never]":
        """Progress on stderr."""
        return tqdm(total=total, unit="doc", desc=verb, file=sys.stderr, disable=not sys.stderr.isatty())
