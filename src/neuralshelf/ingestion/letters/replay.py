"""Dead letters tried again: from what they hold themselves, or from a mended catalogue."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from opensearchpy import OpenSearch

from neuralshelf.batches import batches
from neuralshelf.bulk import BLOCKED, CONFLICT, Outcome, index_all
from neuralshelf.errors import EngineError
from neuralshelf.ingestion.catalogue import BadLine, Product
from neuralshelf.ingestion.documents import documents
from neuralshelf.ingestion.letters.deadletters import DeadLetters
from neuralshelf.ingestion.letters.letter import Fence, Letter, key_of_id, key_of_row
from neuralshelf.pipelines.spec import IndexSpec

BULK_DOCUMENTS = 20
_ROWS = 200


@dataclass(frozen=True)
class ReplayReport:
    """What a replay did.

    Attributes:
        replayed: documents that are in now, or would be tried in a dry run.
        superseded: ids of which the index holds something newer; their letters are gone.
        failed: refused once more.
        waiting: letters that need their catalogue: of a document with a picture, of a row that could not be read, of a
            document that was not kept, or of one of which it is not known what the index held.
        remaining: letters of the chosen ones that are left.
    """

    replayed: int
    superseded: tuple[str, ...]
    failed: int
    waiting: int
    remaining: int

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {**vars(self), "superseded": list(self.superseded)}


@dataclass
class _Counts:
    replayed: int = 0
    superseded: list[str] = field(default_factory=list)
    failed: int = 0
    waiting: int = 0


def replay_stored(
    client: OpenSearch,
    index: str,
    letters: DeadLetters,
    *,
    code: str | None = None,
    document_id: str | None = None,
    dry_run: bool = False,
    alive: Callable[[], None] = lambda: None,
    tell: Callable[[int], object] = lambda letters: None,
) -> ReplayReport:
    """Index the documents that are in letters, and overwrite nothing that was written since they failed.

    Args:
        index: the alias that letters were told (`DeadLetters.of`).
        code, document_id: replay these alone.
        dry_run: look at what would be sent, and send nothing.
        alive: returns when models and cluster answer, and raises when they don't; asked when nothing gets in.
        tell: called with the number of letters that were looked at, now and then.

    Raises:
        EngineError: the cluster is away, or the index takes no writes; what is replayed stays, a second run goes on.
    """
    counts = _Counts()
    chosen = letters.find(code=code, document_id=document_id, documents=True)
    for some in batches(chosen, BULK_DOCUMENTS):
        _replay(client, index, letters, some, counts, alive, dry_run=dry_run)
        tell(len(some))
    remaining = letters.count(code=code, document_id=document_id)
    return ReplayReport(counts.replayed, tuple(counts.superseded), counts.failed, counts.waiting, remaining)


def rows_with_letters(
    rows: Iterable[Product | BadLine],
    letters: DeadLetters,
    index: IndexSpec,
    *,
    source: str,
    code: str | None = None,
    document_id: str | None = None,
) -> Iterator[Product | BadLine]:
    """Those rows of a catalogue of whose documents one has a letter, or that had one when they could not be read.

    Args:
        source: the catalogue's name, as letters have it.
        code, document_id: by letters of these alone.
    """
    for some in batches(rows, _ROWS):
        keys = {row.line: _keys(row, index, source) for row in some}
        wanted = [key for found in keys.values() for key in found]
        holding = letters.holding(wanted, code=code, document_id=document_id)
        yield from (row for row in some if not holding.isdisjoint(keys[row.line]))


def _keys(row: Product | BadLine, index: IndexSpec, source: str) -> list[str]:
    found = [key_of_row(source, row.line)]
    if isinstance(row, Product):
        found += [key_of_id(document.id) for document in documents(row, index)]
    elif row.id is not None:
        found.append(key_of_id(row.id))
    return found


def _replay(
    client: OpenSearch,
    index: str,
    letters: DeadLetters,
    some: list[Letter],
    counts: _Counts,
    alive: Callable[[], None],
    *,
    dry_run: bool,
) -> None:
    known = letters.fences([letter.document_id for letter in some if letter.replayable and letter.document_id])
    bodies: dict[str, Mapping[str, Any]] = {}
    metadata: dict[str, Mapping[str, Any]] = {}
    failed_before: dict[str, Letter] = {}
    superseded: list[str] = []
    for letter in some:
        identity = letter.document_id
        now = known.get(identity or "")
        if identity is None or letter.document is None or not letter.replayable or now is None:
            counts.waiting += 1
        elif _newer(letter.fence, now):
            superseded.append(identity)
        elif not now.absent and letter.fence != now:
            counts.waiting += 1  # another index, or a letter that does not know what was there
        else:
            bodies[identity], metadata[identity], failed_before[identity] = letter.document, _only_if(now), letter
    if dry_run:
        counts.replayed += len(bodies)
        counts.superseded += superseded
        return
    outcomes = index_all(client, index, bodies, metadata) if bodies else []
    done = [outcome.id for outcome in outcomes if outcome.error is None]
    superseded += [outcome.id for outcome in outcomes if outcome.code == CONFLICT]
    again = [o for o in outcomes if o.error is not None and o.code != CONFLICT]
    blocked = next((outcome.error for outcome in again if outcome.code == BLOCKED), None)
    if blocked is not None:
        letters.settled(done)
        raise EngineError(f"index {index} takes no writes: {blocked}", hint="free disk space or lift the block")
    if again and not done:
        alive()
    letters.put(_again(failed_before[outcome.id], outcome) for outcome in again)
    letters.settled([*done, *superseded])
    counts.replayed += len(done)
    counts.superseded += superseded
    counts.failed += len(again)


def _newer(then: Fence | None, now: Fence) -> bool:
    """Whether somebody has written or deleted the document since its letter was."""
    if then is None:
        return False
    if then.absent:
        return not now.absent
    return then.index == now.index and then != now


def _only_if(now: Fence) -> dict[str, Any]:
    if now.absent:
        return {"op_type": "create"}
    return {"if_seq_no": now.seq_no, "if_primary_term": now.primary_term}


def _again(letter: Letter, outcome: Outcome) -> Letter:
    """Its fence stays: what was written during the replay is newer, too."""
    return replace(letter, code=outcome.code, cause=outcome.error or "", attempts=outcome.attempts)
