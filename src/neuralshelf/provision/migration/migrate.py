"""`migrate`: the next generation of the index, with its own models, takes the place of the one that is searched."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from opensearchpy import OpenSearch

from neuralshelf.connectors.runtime import Runtime
from neuralshelf.deployment import Deployment
from neuralshelf.errors import ProvisionError
from neuralshelf.provision.lock import locked
from neuralshelf.provision.migration import gate
from neuralshelf.provision.migration.carry import Carrier
from neuralshelf.provision.migration.changes import checkpoints, deletions
from neuralshelf.provision.migration.gate import TOLERANCE, Question, Verdict
from neuralshelf.provision.migration.journal import Journal, Phase, read_journal
from neuralshelf.provision.migration.pictures import Pictures, Shaper, keep_pictures, lost_pictures, no_pictures
from neuralshelf.provision.migration.report import MigrationReport
from neuralshelf.provision.migration.swap import move_alias, put_transitional, stored_scripts
from neuralshelf.provision.migration.worker import Say, Worker
from neuralshelf.provision.observe import observe
from neuralshelf.provision.spaces import read_spaces
from neuralshelf.resource import Kind, resolve

NOTE_SECONDS = 5.0
SHOWN = 3
SWEEPS = 2
"""A back-fill takes long and is swept once more; what is deleted after that is swept when the alias has moved."""


@dataclass(frozen=True)
class Choices:
    """What a person decides about a migration.

    Attributes:
        questions: judged ones for the gate; none: documents picked at random have to be found by their own words.
        tolerance: how much less recall@10 may be.
        accept_worse: swap even then.
        pictures: where the pictures are, for another model of pictures.
        without_pictures: swap although some documents lose the vector of their picture.
    """

    questions: Sequence[Question] = ()
    tolerance: float = TOLERANCE
    accept_worse: bool = False
    pictures: Pictures = no_pictures
    without_pictures: bool = False


def migrate(
    client: OpenSearch,
    deployment: Deployment,
    runtime: Runtime,
    choices: Choices = Choices(),
    *,
    say: Say = lambda _: None,
) -> MigrationReport:
    """Make the configured generation, fill it while the old one is read and written, compare, swap.

    Can be stopped and killed anywhere: called again it goes on. The old generation stays until `finish`.

    Args:
        say: gets lines for people.

    Raises:
        LockedError: somebody else is writing.
        ProvisionError: there is nothing to migrate, documents or pictures would be lost, or the new generation finds
            less; the old one is then searched as before, and the new one stays for a second look.
        EngineError: the cluster does not answer.
    """
    with locked(client, deployment.prefix, "migrate", say) as lock:
        try:
            return _Migration(Worker(client, deployment, runtime, lock, say), choices).run()
        except KeyboardInterrupt:
            say("stopped; neuralshelf migrate goes on from here, and searches are as they were")
            raise


@dataclass
class _Migration:
    worker: Worker
    choices: Choices
    noted: float = 0.0

    def run(self) -> MigrationReport:
        worker, target = self.worker, self.worker.deployment.config.index.physical_name
        source = worker.live()
        journal = read_journal(worker.client, target)
        if source == target:
            if journal is None:
                raise ProvisionError(f"nothing to migrate: {target} is searched", hint="raise index.version first")
            return self._finished(journal, None, None)
        if journal is not None and journal.phase is Phase.ROLLING_BACK:
            raise ProvisionError("a rollback was interrupted", hint="neuralshelf migrate --rollback goes on with it")
        worker.apply()
        if worker.live() == target:  # there was nothing to copy
            return self._report(Journal.begin(source, target, 0), Phase.LIVE)
        journal = self._begin(journal, source, target)
        shaper = self._shaper(journal)
        keep_pictures(worker.client, source, shaper.images, keep=bool(shaper.changed))
        with worker.bar(journal.total, "migrate") as bar:
            carrier = self._carrier(journal, shaper, bar.update)
            journal = self._copy(journal, carrier)
            self._refuse_losses(journal, carrier, shaper)
            verdict = self._gate(journal)
            journal = self._swap(journal, carrier)
        swapped = worker.seconds
        worker.say(f"{worker.alias} is {target} now")
        return self._finished(journal, verdict, swapped, carrier)

    def _begin(self, journal: Journal | None, source: str, target: str) -> Journal:
        client = self.worker.client
        if journal is None or journal.source != source:
            if self.worker.count(target):
                raise ProvisionError(
                    f"index {target} holds documents that no migration from {source} has put there",
                    hint="raise index.version once more",
                )
            journal = Journal.begin(source, target, self.worker.count(source))
        if journal.phase is Phase.SWAPPING:  # its templates may be those of the swap already
            return journal.write(client, phase=Phase.COPYING)
        return journal.write(client, phase=Phase.COPYING, scripts=stored_scripts(client, self.worker.deployment))

    def _shaper(self, journal: Journal) -> Shaper:
        client, index = self.worker.client, self.worker.deployment.config.index
        old, new = map(self.worker.generation, (journal.source, journal.target))
        before, after = read_spaces(client, journal.source), read_spaces(client, journal.target)
        return Shaper(index, old, new, before, after, self.choices.pictures)

    def _carrier(self, journal: Journal, shaper: Shaper, advance: Callable[[int], object] = lambda _: None) -> Carrier:
        return Carrier(
            self.worker.client,
            journal.source,
            journal.target,
            shaper,
            shaper.without,
            self.worker.lock.check,
            advance,
        )

    def _copy(self, journal: Journal, carrier: Carrier) -> Journal:
        """Back-fill, resume and catch up: all the same."""

        def note(copied: Mapping[int, int]) -> None:
            self._note(journal, carrier, copied)

        copied = dict(journal.copied)
        for _ in range(SWEEPS):
            counted = deletions(self.worker.client, journal.source)
            copied = self.worker.catch_up(carrier, copied, note)
            carrier.sweep()
            if deletions(self.worker.client, journal.source) == counted:
                break
        copied = self.worker.catch_up(carrier, copied, note)
        return journal if carrier.refused else journal.write(self.worker.client, copied=copied)

    def _note(self, journal: Journal, carrier: Carrier, copied: Mapping[int, int]) -> None:
        """Keep how far it is, every few seconds; not past a document that was refused, which has to be tried again."""
        if time.monotonic() - self.noted > NOTE_SECONDS and not carrier.refused:
            journal.write(self.worker.client, copied=dict(copied))
            self.noted = time.monotonic()

    def _refuse_losses(self, journal: Journal, carrier: Carrier, shaper: Shaper) -> None:
        """Raises ProvisionError when the new generation would have less than the old one."""
        if carrier.refused:
            shown = "; ".join(f"{identity}: {why}" for identity, why in list(carrier.refused.items())[:SHOWN])
            raise ProvisionError(
                f"{len(carrier.refused)} documents are refused by {journal.target}: {shown}",
                hint="mend or delete them, then migrate again",
            )
        lost = lost_pictures(self.worker.client, shaper, journal.source, journal.target)
        if lost > 0 and not self.choices.without_pictures:
            journal.write(self.worker.client, copied={})  # so that they are met again
            raise ProvisionError(
                f"the pictures of {lost} documents are needed for the new model, and are nowhere",
                hint="migrate --catalogue FILE.jsonl, or --without-pictures",
            )

    def _gate(self, journal: Journal) -> Verdict:
        client, config = self.worker.client, self.worker.deployment.config
        template = config.search.template
        desired = self.worker.deployment.resources(self.worker.runtime)
        observed = observe(client, desired, prefix=self.worker.deployment.prefix)
        ids = {address: live.id for address, live in observed.live.items()}
        body = next(r.body for r in desired if r.kind is Kind.SEARCH_TEMPLATE and r.name == template)
        new = resolve(body, ids)["script"]
        judged = list(self.choices.questions)
        verdict = gate.judge(
            client,
            judged or gate.sampled(client, journal.source, config.search.keyword_fields[0]),
            kind="judged" if judged else "sampled",
            old=(journal.source, journal.scripts.get(template, new)),
            new=(journal.target, new),
            tolerance=self.choices.tolerance,
        )
        for line in verdict.table().splitlines():
            self.worker.say(line)
        if verdict.worse and not self.choices.accept_worse:
            raise ProvisionError(
                f"{journal.target} finds less than {journal.source}: recall@10 {verdict.new.recall:.3f} instead of "
                f"{verdict.old.recall:.3f}; nothing was swapped",
                hint="look at both indexes; then migrate --accept-worse, or another model and the next index.version",
            )
        return verdict

    def _swap(self, journal: Journal, carrier: Carrier) -> Journal:
        worker = self.worker
        worker.lock.check()
        journal = journal.write(worker.client, phase=Phase.SWAPPING)
        put_transitional(worker.client, worker.deployment, (journal.source, journal.target))
        copied = worker.catch_up(carrier, journal.copied, lambda _: None)
        journal = journal.write(worker.client, floor=checkpoints(worker.client, journal.target), copied=copied)
        carrier.carry(copied)
        move_alias(worker.client, worker.alias, journal.source, journal.target, worker.lock.check)
        return journal

    def _finished(
        self, journal: Journal, verdict: Verdict | None, swapped: float | None, carrier: Carrier | None = None
    ) -> MigrationReport:
        """After the alias has moved."""
        worker = self.worker
        if journal.phase is Phase.LIVE:
            worker.apply()
            return self._report(journal, Phase.LIVE)
        shaper = self._shaper(journal)
        carrier = carrier or self._carrier(journal, shaper)
        carrier.touched = {}
        copied = worker.settle(carrier, journal.copied, lambda _: None)
        worker.apply()
        keep_pictures(worker.client, journal.source, shaper.images, keep=False)
        journal = journal.write(worker.client, phase=Phase.LIVE, copied=copied)
        return self._report(journal, Phase.LIVE, verdict, swapped, tuple(sorted(carrier.kept)))

    def _report(
        self,
        journal: Journal,
        phase: Phase,
        verdict: Verdict | None = None,
        swapped: float | None = None,
        kept: tuple[str, ...] = (),
    ) -> MigrationReport:
        live = self.worker.live()
        return MigrationReport(
            journal.source,
            journal.target,
            phase,
            live,
            self.worker.count(live),
            self.worker.seconds,
            swapped,
            kept,
            verdict=verdict,
        )
