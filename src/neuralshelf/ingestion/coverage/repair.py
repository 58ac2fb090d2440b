"""Vectors made again where coverage finds them missing, stale, of another generation or without a stamp.

Each document is written as it was just read, less the vectors that are wrong, on the condition that nobody has written
it meanwhile; the ingest pipeline embeds what is missing and leaves the rest alone. So a repair can be stopped and begun
again at any time, and overwrites nothing newer.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from neuralshelf.batches import batches
from neuralshelf.bulk import CONFLICT, Outcome, index_all
from neuralshelf.ingestion.coverage.comparison import Compared, Comparison, pictured
from neuralshelf.ingestion.coverage.coverage import EXAMPLES, RIGHT, Note, Scan, Scanned, no_note, vectors_in
from neuralshelf.pipelines.stamps import digest, picture_field

BULK = 32
PICTURES = 4  # of many megabytes each, perhaps
WRITERS = 4
ATTEMPTS = 3
MOST_CAUSES = 10_000

SEND_PICTURE = "neuralshelf repair --catalogue FILE, in which a row has its picture"
AGAIN = "neuralshelf repair again"
MEND_ROW = "mend its row, then neuralshelf repair again"
MEND_DOCUMENT = "mend the document, or what refuses it, then neuralshelf repair again"
"""Next steps of what could not be mended."""


@dataclass(frozen=True)
class Left:
    """A document that could not be mended: what of it is wrong, why that stays, and what to do."""

    id: str
    what: str
    cause: str
    next: str


@dataclass(frozen=True)
class Repaired:
    """What a repair did, or in a dry run would do.

    Attributes:
        mended: vector field -> vectors made again.
        indexed: documents of the catalogue that were not in the index.
        left: how many could not be mended; the first twenty are `examples`.
    """

    index: str
    mended: Mapping[str, int]
    indexed: int
    left: int
    examples: tuple[Left, ...]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {**vars(self), "mended": dict(self.mended), "examples": [vars(left) for left in self.examples]}


@dataclass
class Repair:
    """One repair.

    Attributes:
        comparison: reads whole documents (`full`).
        dry_run: read everything, write nothing.
        note: gets everything that is left.
    """

    scan: Scan
    comparison: Comparison | None = None
    dry_run: bool = False
    note: Note = no_note
    _mended: Counter[str] = field(default_factory=Counter)
    _indexed: int = 0
    _left: int = 0
    _examples: list[Left] = field(default_factory=list)
    _causes: dict[str, tuple[str, str]] = field(default_factory=dict)

    def run(self) -> Repaired:
        """Mend what can be mended, then look at what is left.

        Raises:
            EngineError: the cluster is away, or there is no such index; what is mended stays.
        """
        with ThreadPoolExecutor(WRITERS, thread_name_prefix="repair") as writers:
            if self.comparison is not None:
                for page in self.comparison.pages("repair: catalogue"):
                    self._rows(page, writers)
            for documents in self.scan.pages("repair: texts"):
                wrong = [document.id for document in documents if document.wrong]
                self._count(writers.map(self._mend, batches(wrong, BULK)))
        for documents in self.scan.pages("repair: what is left"):
            for document in documents:
                for name, found in document.wrong.items():
                    if not self.dry_run or not self._mendable(document, name):
                        self._leave(document.id, f"{name}: {found}", *self._why(document.id, name))
        return Repaired(self.scan.name, dict(self._mended), self._indexed, self._left, tuple(self._examples))

    def _rows(self, page: Sequence[Compared], writers: ThreadPoolExecutor) -> None:
        """Documents of the catalogue: index what is absent, bring pictures to those that have another one."""
        new: dict[str, Mapping[str, Any]] = {}
        other: list[Compared] = []
        for each in page:
            if each.body is None:
                self._leave(each.id, "refused", each.cause, MEND_ROW)
            elif not each.indexed:
                new[each.id] = each.body
            elif any(map(self._pictured, self._wrong(each.found, each.picture, known=True))):
                other.append(each)
        pictures = [{each.id: each.picture for each in some} for some in batches(other, PICTURES)]
        self._count(writers.map(self._mend_pictures, pictures))
        self._indexed += len(new)
        for failed in writers.map(self._create, ({i: new[i] for i in some} for some in batches(new, BULK))):
            self._indexed -= len(failed)
            for outcome in failed:
                self._refused(outcome)
                self._leave(outcome.id, "not_indexed", *self._causes[outcome.id])

    def _create(self, new: Mapping[str, Mapping[str, Any]]) -> list[Outcome]:
        """Index documents that are not there; returns those that failed."""
        if self.dry_run:
            return []
        outcomes = index_all(
            self.scan.client, self.scan.name, new, {identity: {"op_type": "create"} for identity in new}
        )
        return [outcome for outcome in outcomes if outcome.error is not None]

    def _mend(self, ids: Sequence[str]) -> Counter[str]:
        return self._write(ids, {})

    def _mend_pictures(self, pictures: Mapping[str, str | None]) -> Counter[str]:
        return self._write(list(pictures), pictures)

    def _write(self, ids: Sequence[str], pictures: Mapping[str, str | None]) -> Counter[str]:
        """Write documents less their wrong vectors; returns vector field -> how many were mended.

        Args:
            pictures: id -> the picture that the document should have, as base64; None: it should have none.
        """
        mended: Counter[str] = Counter()
        waiting = list(ids)
        for _ in range(ATTEMPTS):
            bodies: dict[str, dict[str, Any]] = {}
            conditions: dict[str, dict[str, Any]] = {}
            wrong: dict[str, list[str]] = {}
            for found in self._read(waiting):
                identity = found["_id"]
                names = self._wrong(found, pictures.get(identity), known=identity in pictures)
                if self.dry_run and identity in pictures:
                    names = list(filter(self._pictured, names))  # its texts are counted with all others
                if not names:
                    continue
                wrong[identity] = names
                bodies[identity] = self._less(found["_source"], names)
                if identity in pictures:
                    bodies[identity] |= dict.fromkeys(self.scan.index.images, pictures[identity])
                conditions[identity] = {"if_seq_no": found["_seq_no"], "if_primary_term": found["_primary_term"]}
                if "_routing" in found:
                    conditions[identity]["routing"] = found["_routing"]
            outcomes = index_all(self.scan.client, self.scan.name, bodies, conditions) if self._writing(bodies) else []
            failed = {outcome.id: outcome for outcome in outcomes if outcome.error is not None}
            mended.update(name for identity, names in wrong.items() if identity not in failed for name in names)
            waiting = [identity for identity, outcome in failed.items() if outcome.code == CONFLICT]
            for outcome in failed.values():
                self._refused(outcome)
            if not waiting:
                break
        return mended

    def _writing(self, bodies: Mapping[str, Any]) -> bool:
        return bool(bodies) and not self.dry_run

    def _read(self, ids: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        """Whole documents as they are at this moment, vectors included; those that are gone are left out."""
        if ids:
            answer = self.scan.client.mget(index=self.scan.name, body={"ids": list(ids)})
            yield from (found for found in answer["docs"] if found.get("found"))

    def _wrong(self, found: Mapping[str, Any], picture: str | None, *, known: bool) -> list[str]:
        """Vectors of a whole document that are wrong and can be made again.

        Args:
            picture: that the document should have.
            known: whether it is known which one, or that there is none.
        """
        source = found["_source"]
        states = self.scan.states(source, there=vectors_in(source), picture=picture)
        names = []
        for name, vector in self.scan.index.vectors.items():
            has = pictured(name, vector, source)
            if vector.image is None:
                wrong = states[name] not in RIGHT
            elif known:
                wrong = has != (digest(picture) if picture else None) or states[name] not in RIGHT
            else:  # nothing is known of its picture: what holds none can be mended all the same
                mended = self.comparison is not None and found["_id"] in self.comparison.ids  # with its row
                wrong = vector.joint and has is None and states[name] not in RIGHT and not mended
            if wrong:
                names.append(name)
        return names

    def _pictured(self, name: str) -> bool:
        return self.scan.index.vectors[name].image is not None

    def _less(self, source: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
        gone = {field for name in names for field in (name, *self.scan.index.vectors[name].stamps(name))}
        return {key: value for key, value in source.items() if key not in gone}

    def _count(self, mended: Iterable[Counter[str]]) -> None:
        for some in mended:
            self._mended.update(some)

    def _refused(self, outcome: Outcome) -> None:
        if len(self._causes) < MOST_CAUSES:
            step = AGAIN if outcome.code == CONFLICT else MEND_DOCUMENT
            self._causes[outcome.id] = (f"{outcome.code}: {outcome.error}", step)

    def _mendable(self, document: Scanned, name: str) -> bool:
        """Whether it was counted as one that would be mended."""
        vector = self.scan.index.vectors[name]
        without = vector.image is None or (vector.joint and picture_field(name) not in document.source)
        return without or (self.comparison is not None and document.id in self.comparison.ids)

    def _why(self, identity: str, name: str) -> tuple[str, str]:
        if identity in self._causes:
            return self._causes[identity]
        if self.scan.index.vectors[name].image is None:
            return "it was written past the pipeline meanwhile", AGAIN
        return "it holds a picture, which is not kept", SEND_PICTURE

    def _leave(self, identity: str, what: str, cause: str, step: str) -> None:
        self._left += 1
        self.note(identity, what, cause)
        if len(self._examples) < EXAMPLES:
            self._examples.append(Left(identity, what, cause, step))
