"""What a migration did, and how far one is."""

from dataclasses import asdict, dataclass
from typing import Any

from neuralshelf.provision.migration.gate import Verdict
from neuralshelf.provision.migration.journal import Phase


@dataclass(frozen=True)
class MigrationReport:
    """The result of migrate, rollback or finish.

    Attributes:
        source, target: index that was searched before, index that was to be searched afterwards.
        live: index that the alias names now.
        documents: in `live`.
        kept: ids that clients wrote to both indexes in the moment of the swap; what they wrote last stands.
        to_send_again: ids of documents whose picture has to be sent again, since nobody keeps it.
        verdict: of the gate; None where it was not asked.
        seconds: all in all.
        swap_seconds: from the beginning to the moment in which the alias had moved; None when it didn't.
    """

    source: str
    target: str
    phase: Phase
    live: str
    documents: int
    seconds: float
    swap_seconds: float | None = None
    kept: tuple[str, ...] = ()
    to_send_again: tuple[str, ...] = ()
    verdict: Verdict | None = None

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        swapped = None if self.swap_seconds is None else round(self.swap_seconds, 3)
        found = asdict(self) | {"phase": str(self.phase), "seconds": round(self.seconds, 3), "swap_seconds": swapped}
        found["verdict"] = self.verdict.as_dict() if self.verdict else None
        return found


@dataclass(frozen=True)
class MigrationStatus:
    """How far a migration is.

    Attributes:
        phase: None when there is none.
        documents, done: in the old index, and of these in the new one.
        lag: operations on the old index that are not in the new one yet.
        rate: documents a second since the beginning; 0 when it is over.
        worker: who is at it; None when nobody is.
    """

    phase: Phase | None
    source: str = ""
    target: str = ""
    live: str = ""
    since: str = ""
    documents: int = 0
    done: int = 0
    lag: int = 0
    rate: float = 0.0
    worker: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self) | {"phase": str(self.phase) if self.phase else None}
