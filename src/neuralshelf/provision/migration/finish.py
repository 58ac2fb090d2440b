"""`migrate --finish`: the old generation goes; `migrate --status`: how far a migration is."""

import time
from datetime import UTC, datetime

from opensearchpy import OpenSearch

from neuralshelf.connectors.runtime import Runtime
from neuralshelf.deployment import Deployment
from neuralshelf.errors import ProvisionError
from neuralshelf.provision.apply import apply
from neuralshelf.provision.lock import holder, locked
from neuralshelf.provision.migration.changes import checkpoints
from neuralshelf.provision.migration.journal import Phase, find_journal
from neuralshelf.provision.migration.report import MigrationReport, MigrationStatus
from neuralshelf.provision.migration.worker import Say, Worker
from neuralshelf.provision.objects.index import documents, holders
from neuralshelf.provision.observe import observe
from neuralshelf.provision.plan import Action, Change, Plan
from neuralshelf.resource import Kind

_LAST_FIRST = list(reversed(Kind))


def finish(
    client: OpenSearch, deployment: Deployment, runtime: Runtime, *, say: Say = lambda _: None
) -> MigrationReport:
    """Delete the generation that was migrated from: index, pipelines, models, connectors. No way back after that.

    Raises:
        LockedError: somebody else is writing.
        ProvisionError: no migration has come to its end, or the cluster refuses a deletion.
        EngineError: the cluster does not answer.
    """
    begun = time.monotonic()
    with locked(client, deployment.prefix, "finish", say) as lock:
        journal = find_journal(client, deployment.config.index.name)
        worker = Worker(client, deployment, runtime, lock, say)
        live = worker.live()
        if journal is None or journal.phase is not Phase.LIVE or live != journal.target:
            raise ProvisionError("no migration has come to its end", hint="neuralshelf migrate --status")
        observed = observe(client, deployment.resources(runtime), prefix=deployment.prefix)
        generation = f"{deployment.prefix}-v{journal.source.rpartition('-')[2]}-"
        old = [
            found
            for found in [*observed.live.values(), *observed.twins]
            if found.marker is not None
            and found.marker.prefix == deployment.prefix
            and (found.name.startswith(generation) or (found.kind is Kind.INDEX and found.name == journal.source))
        ]
        old.sort(key=lambda found: (_LAST_FIRST.index(found.kind), found.name))
        steps = tuple(Change(Action.DELETE, None, found, note="of the generation before") for found in old)
        apply(
            client,
            Plan(deployment.prefix, steps),
            check=lock.check,
            tell=lambda change: say(change.told),
        )
        lock.check()
        journal.forget(client)
        return MigrationReport(
            journal.source, live, Phase.LIVE, live, worker.count(live), seconds=time.monotonic() - begun
        )


def status(client: OpenSearch, deployment: Deployment) -> MigrationStatus:
    """How far the last migration is. Sends no write."""
    alias = deployment.config.index.name
    journal = find_journal(client, alias)
    at_work = holder(client, deployment.prefix)
    worker = str(at_work) if at_work else None
    live = ", ".join(holders(client, alias))
    if journal is None:
        return MigrationStatus(None, live=live, worker=worker)
    total = lag = 0
    if client.indices.exists(index=journal.source):
        total = documents(client, journal.source)
        known = checkpoints(client, journal.source)
        lag = sum(last - journal.copied.get(shard, -1) for shard, last in known.items())
    done = documents(client, journal.target)
    copying = journal.phase in (Phase.COPYING, Phase.SWAPPING)
    passed = (datetime.now(UTC) - journal.since).total_seconds()
    return MigrationStatus(
        journal.phase,
        journal.source,
        journal.target,
        live,
        journal.since.isoformat(),
        total,
        done,
        lag if copying else 0,
        round(done / passed, 1) if copying and passed > 0 else 0.0,
        worker,
    )
