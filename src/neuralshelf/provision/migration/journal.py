"""How far a migration is: kept in the new index's mapping, so that any machine can go on with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

from opensearchpy import NotFoundError, OpenSearch

Json = Any
KEY = "migration"


class Phase(StrEnum):
    """What is going on, or was when nobody goes on."""

    COPYING = "copying"
    SWAPPING = "swapping"
    LIVE = "live"
    ROLLING_BACK = "rolling back"
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True)
class Journal:
    """The record in `_meta.migration` of `target`'s mapping.

    Attributes:
        source, target: index that was searched before, index that is searched afterwards.
        copied: shard of `source` -> every operation up to this sequence number is in `target`.
        floor: shard of `target` -> its last sequence number before clients could write to it.
        left: shard of `source` -> its last sequence number when no client could write to it any more.
        total: documents in `source` at the beginning.
        scripts: stored templates as they were before, id -> script.
    """

    source: str
    target: str
    phase: Phase
    since: datetime
    copied: Mapping[int, int] = field(default_factory=dict)
    floor: Mapping[int, int] = field(default_factory=dict)
    left: Mapping[int, int] = field(default_factory=dict)
    total: int = 0
    scripts: Mapping[str, Json] = field(default_factory=dict)

    @classmethod
    def begin(cls, source: str, target: str, total: int) -> Self:
        """Nothing is copied yet."""
        return cls(source, target, Phase.COPYING, datetime.now(UTC), total=total)

    def write(self, client: OpenSearch, **changes: Any) -> "Journal":
        """Keep `changes`; returns the record with them."""
        changed = replace(self, **changes)
        meta = {**_meta(client, self.target), KEY: changed.as_dict()}
        client.indices.put_mapping(index=self.target, body={"_meta": meta})
        return changed

    def forget(self, client: OpenSearch) -> None:
        """The migration is over for good."""
        meta = {key: value for key, value in _meta(client, self.target).items() if key != KEY}
        client.indices.put_mapping(index=self.target, body={"_meta": meta})

    def as_dict(self) -> Json:
        """As it is kept."""
        numbers = {
            name: {str(shard): number for shard, number in getattr(self, name).items()}
            for name in ("copied", "floor", "left")
        }
        return {
            "source": self.source,
            "phase": str(self.phase),
            "since": self.since.isoformat(),
            "total": self.total,
            "scripts": dict(self.scripts),
            **numbers,
        }


def read_journal(client: OpenSearch, target: str) -> Journal | None:
    """That of one index; None without one."""
    try:
        kept = _meta(client, target).get(KEY)
    except NotFoundError:
        return None
    return _journal(target, kept) if kept else None


def find_journal(client: OpenSearch, alias: str) -> Journal | None:
    """The newest of all generations of the index `alias`; None when nothing was ever migrated."""
    found = client.indices.get_mapping(index=f"{alias}-*", ignore_unavailable=True)
    kept = {index: answer["mappings"].get("_meta", {}).get(KEY) for index, answer in found.items()}
    journals = [_journal(index, record) for index, record in kept.items() if record]
    return max(journals, key=lambda journal: journal.since, default=None)


def _journal(target: str, kept: Json) -> Journal:
    numbers = {
        name: {int(shard): int(number) for shard, number in kept.get(name, {}).items()}
        for name in ("copied", "floor", "left")
    }
    since = datetime.fromisoformat(kept["since"])
    scripts = kept.get("scripts", {})
    return Journal(kept["source"], target, Phase(kept["phase"]), since, total=kept["total"], scripts=scripts, **numbers)


def _meta(client: OpenSearch, index: str) -> dict[str, Json]:
    return dict(client.indices.get_mapping(index=index)[index]["mappings"].get("_meta", {}))
