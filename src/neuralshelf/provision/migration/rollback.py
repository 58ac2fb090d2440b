"""`migrate --rollback`: the old generation is searched again within seconds, and gets what was written since."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opensearchpy import OpenSearch

from neuralshelf.connectors.runtime import Runtime
from neuralshelf.deployment import Deployment
from neuralshelf.errors import ProvisionError
from neuralshelf.pipelines.stamps import stamp_field
from neuralshelf.provision.lock import locked
from neuralshelf.provision.migration.carry import STEP, Carrier
from neuralshelf.provision.migration.changes import Changed, checkpoints, several
from neuralshelf.provision.migration.journal import Journal, Phase, find_journal
from neuralshelf.provision.migration.pictures import Shaper
from neuralshelf.provision.migration.report import MigrationReport
from neuralshelf.provision.migration.swap import move_alias, put_scripts, put_transitional
from neuralshelf.provision.migration.worker import Say, Worker
from neuralshelf.provision.spaces import read_spaces

BEFORE_SECONDS = 1.5
"""How long the swap may wait for writes to be carried back first; the rest is carried afterwards."""
DRAIN_SECONDS = 0.5
SWEPT_BEFORE = 20_000


def rollback(
    client: OpenSearch, deployment: Deployment, runtime: Runtime, *, say: Say = lambda _: None
) -> MigrationReport:
    """Search the old generation again, then bring it what clients have written since the swap.

    Raises:
        LockedError: somebody else is writing.
        ProvisionError: there is no migration to take back.
        EngineError: the cluster does not answer.
    """
    with locked(client, deployment.prefix, "rollback", say) as lock:
        worker = Worker(client, deployment, runtime, lock, say)
        journal = find_journal(client, worker.alias)
        live = worker.live()
        resumed = journal is not None and journal.phase is Phase.ROLLING_BACK and live == journal.source
        if journal is None or (live != journal.target and not resumed):
            raise ProvisionError("there is no migration to take back", hint="neuralshelf migrate --status")
        if journal.phase is Phase.SWAPPING:
            raise ProvisionError("the migration has not come to its end", hint="neuralshelf migrate, then --rollback")
        old, new = map(worker.generation, (journal.target, journal.source))
        before, after = read_spaces(client, journal.target), read_spaces(client, journal.source)
        shaper = Shaper(deployment.config.index, old, new, before, after)
        back = _Back(shaper, client, journal.source)
        carrier = Carrier(client, journal.target, journal.source, back, shaper.without, lock.check)
        if not resumed:
            journal = _swap_back(worker, journal, carrier)
        swapped = worker.seconds
        say(f"{worker.alias} is {journal.source} again")
        put_scripts(client, journal.scripts)
        carrier.touched = journal.left
        worker.settle(carrier, journal.floor, lambda _: None)
        _remember_deletions(client, journal.source, None)
        journal.write(client, phase=Phase.ROLLED_BACK)
        return MigrationReport(
            journal.source,
            journal.target,
            Phase.ROLLED_BACK,
            worker.live(),
            worker.count(journal.source),
            worker.seconds,
            swapped,
            tuple(sorted(carrier.kept)),
            tuple(sorted(back.to_send_again)),
        )


def _swap_back(worker: Worker, journal: Journal, carrier: Carrier) -> Journal:
    client = worker.client
    journal = journal.write(client, phase=Phase.ROLLING_BACK)
    _remember_deletions(client, journal.source, "0s")
    put_transitional(client, worker.deployment, (journal.source, journal.target), DRAIN_SECONDS)
    deadline = time.monotonic() + BEFORE_SECONDS
    carried = carrier.carry(journal.floor, deadline=deadline)
    if time.monotonic() < deadline and journal.total <= SWEPT_BEFORE:
        carrier.sweep()
    carried = carrier.carry(carried, deadline=deadline)
    client.indices.refresh(index=journal.source)  # which makes it forget
    _remember_deletions(client, journal.source, "1d")
    journal = journal.write(client, floor=carried, left=checkpoints(client, journal.source))
    carried = carrier.carry(carried, deadline=deadline)
    move_alias(client, worker.alias, journal.target, journal.source, worker.lock.check)
    return journal


def _remember_deletions(client: OpenSearch, index: str, long: str | None) -> None:
    """How long an index knows the versions of deleted documents, None: as usual (a minute).

    What clients deleted before the swap, and made again where they wrote meanwhile, must come back; what they delete
    after it must not, however long carrying takes.
    """
    client.indices.put_settings(index=index, body={"index.gc_deletes": long})


@dataclass
class _Back:
    """Documents for the old generation: only those that clients wrote, the others are there already.

    Attributes:
        target: the old generation's index.
        to_send_again: ids of documents with a picture that the old model may not have seen. The vector of a document's
            last picture that it has seen stays.
    """

    shaper: Shaper
    client: OpenSearch
    target: str
    to_send_again: set[str] = field(default_factory=set)

    def __call__(self, page: Sequence[Changed]) -> Mapping[str, dict[str, Any]]:
        written = {document.id: document for document in page if document.version % STEP}
        shaped = self.shaper(list(written.values()))
        kept = [name for name in self.shaper.changed if not self.shaper.index.vectors[name].joint]
        pictured = [i for i, document in written.items() if any(document.source.get(name) for name in kept)]
        if pictured:
            self.to_send_again.update(pictured)
            fields = [*kept, *map(stamp_field, kept)]
            asked = [{"_id": identity, "_source": fields} for identity in pictured]
            for found in several(self.client, self.target, {"docs": asked}):
                shaped[found["_id"]].update(found.get("_source", {}))
        return shaped
