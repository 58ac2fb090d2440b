"""Documents of one index into another that clients may be using already: nothing newer is ever overwritten.

Versions tell who wrote a document. What is carried gets a multiple of STEP, made of the sequence number that it had in
the index it comes from, so a later state of a document always has a higher one. A client's write adds one, and from
then on the document is the client's. The same holds for the tombstones of deletions.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from opensearchpy import OpenSearch

from neuralshelf.bulk import CONFLICT, Outcome, index_all
from neuralshelf.provision.migration.changes import IDS, Changed, changes, checkpoints, several

STEP = 1 << 20
BULK = 64
WRITERS = 2
_CURRENT = re.compile(r"current version \[(-?\d+)\]")

Document = Mapping[str, Any]
Shape = Callable[[Sequence[Changed]], Mapping[str, Document]]


@dataclass
class Carrier:
    """Carries from `source` to `target`.

    Attributes:
        shape: what is written of documents that were read; those it leaves out are not written.
        without: fields of `source` that are not even read.
        check: raises when the lock was lost; called before each write.
        advance: gets the number of documents that are done.
        touched: None while no client writes to `target`; afterwards shard -> its last sequence number before they did,
            empty for an index that holds nothing but what was carried and what clients wrote since they may.
        refused: id -> why the target does not take it.
        kept: documents that a client wrote to both indexes in the moment between; the one in `target` stands.
    """

    client: OpenSearch
    source: str
    target: str
    shape: Shape
    without: Sequence[str]
    check: Callable[[], None]
    advance: Callable[[int], object] = lambda _: None
    touched: Mapping[int, int] | None = None
    refused: dict[str, str] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)

    def carry(
        self,
        since: Mapping[int, int],
        note: Callable[[dict[int, int]], None] = lambda _: None,
        deadline: float = float("inf"),
    ) -> dict[int, int]:
        """All that changed in `source` since; returns up to where that is.

        Args:
            note: gets how far it is after each page.
            deadline: by the monotonic clock; no page is begun after it.
        """
        until = checkpoints(self.client, self.source)
        if dict(since) == until:
            return until
        self.client.indices.refresh(index=self.source)
        done = dict(since)
        with ThreadPoolExecutor(WRITERS) as writers:
            for page in changes(self.client, self.source, since, until, without=self.without):
                self._write(page, writers)
                done[page[-1].shard] = page[-1].number
                note(done)
                if time.monotonic() > deadline:
                    return done
        note(until)
        return until

    def sweep(self) -> int:
        """Delete from `target` what is not in `source` any more; returns how many."""
        self.client.indices.refresh(index=self.target)
        gone = 0
        everything = checkpoints(self.client, self.target)
        for page in changes(self.client, self.target, {}, everything, source=False):
            present = self._states(self.source, [(d.id, d.routing) for d in page])
            missing = [document for document in page if document.id not in present]
            clients = self._clients(missing)
            gone += self._delete([document for document in missing if document.id not in clients])
        return gone

    def _write(self, page: Sequence[Changed], writers: ThreadPoolExecutor) -> None:
        documents = self.shape(page)
        numbered = {d.id: d for d in page if d.id in documents}
        metadata = self._metadata(list(numbered.values()))
        wanted = [identity for identity in numbered if identity in metadata]
        bulks = [wanted[start : start + BULK] for start in range(0, len(wanted), BULK)]
        self.check()
        futures = [
            writers.submit(
                index_all,
                self.client,
                self.target,
                {identity: documents[identity] for identity in bulk},
                {identity: metadata[identity] for identity in bulk},
            )
            for bulk in bulks
        ]
        for future in futures:
            self._settle(future.result(), documents, metadata)
        self.advance(len(page))

    def _metadata(self, page: Sequence[Changed]) -> dict[str, dict[str, Any]]:
        """id -> under which condition it may be written; ids that may not be are left out."""
        routing: dict[str, dict[str, Any]] = {d.id: {"routing": d.routing} if d.routing else {} for d in page}
        if self.touched is None:
            newer = "external_gte"
            return {d.id: {**routing[d.id], "version": (d.number + 1) * STEP, "version_type": newer} for d in page}
        states = self._states(self.target, [(d.id, d.routing) for d in page])
        clients = self._clients(states.values())
        found: dict[str, dict[str, Any]] = {}
        for document in page:
            state = states.get(document.id)
            if state is None:
                condition: dict[str, Any] = {"version": 0, "version_type": "external_gte"}
            elif document.id in clients:
                self.kept.add(document.id)
                continue
            elif state.version % STEP == 0:
                if state.version // STEP > document.number:
                    continue  # it came over before clients did
                condition = {"version": state.version, "version_type": "external_gte"}
            else:
                condition = {"if_seq_no": state.number, "if_primary_term": state.term}
            found[document.id] = routing[document.id] | condition
        return found

    def _settle(
        self, outcomes: Iterable[Outcome], documents: Mapping[str, Document], metadata: Mapping[str, Mapping[str, Any]]
    ) -> None:
        for outcome in outcomes:
            self.refused.pop(outcome.id, None)
            if outcome.error is None:
                continue
            if outcome.code != CONFLICT:
                self.refused[outcome.id] = f"{outcome.code}: {outcome.error}"
                continue
            if self.touched is None:
                continue  # this state, or a later one, is there already
            current = _CURRENT.search(outcome.error)
            version = int(current[1]) if current else -1
            if version > 0 and version % STEP == 0 and metadata[outcome.id].get("version") == 0:
                # Absent with a tombstone that is our own: deleted and made again in `source`.
                again = {**metadata[outcome.id], "version": version}
                one = index_all(self.client, self.target, {outcome.id: documents[outcome.id]}, {outcome.id: again})[0]
                if one.error is None:
                    continue
            self.kept.add(outcome.id)

    def _delete(self, documents: Sequence[Changed]) -> int:
        gone = 0
        for start in range(0, len(documents), 500):
            self.check()
            lines = []
            for document in documents[start : start + 500]:
                action: dict[str, Any] = {"_id": document.id}
                if document.routing:
                    action["routing"] = document.routing
                if self.touched is None or document.version % STEP == 0:  # its tombstone tells that it is ours
                    ours = -(-document.version // STEP) * STEP
                    action |= {"version": ours, "version_type": "external_gte"}
                else:
                    action |= {"if_seq_no": document.number, "if_primary_term": document.term}
                lines.append({"delete": action})
            answer = self.client.bulk(body=lines, index=self.target)
            gone += sum(item["delete"]["status"] == 200 for item in answer["items"])
        return gone

    def _clients(self, states: Iterable[Changed]) -> set[str]:
        """Ids of those states in `target` that a client made since it may; ask after the states were read."""
        if self.touched is None:
            return set()
        edited = {state.id: state for state in states if state.version % STEP}
        found = {state.id for state in edited.values() if not self.touched or state.version > STEP}
        if edited.keys() - found:
            self.client.indices.refresh(index=self.target)
            until = checkpoints(self.client, self.target)
            for page in changes(self.client, self.target, self.touched, until, source=False):
                found |= edited.keys() & {document.id for document in page}
        return found

    def _states(self, index: str, ids: Sequence[tuple[str, str | None]]) -> dict[str, Changed]:
        """id -> state in that index at this very moment; absent ones are left out."""
        states: dict[str, Changed] = {}
        for start in range(0, len(ids), IDS):
            asked = [
                {"_id": identity, "_source": False, **({"routing": routing} if routing else {})}
                for identity, routing in ids[start : start + IDS]
            ]
            for found in several(self.client, index, {"docs": asked}):
                if found.get("found"):
                    states[found["_id"]] = Changed(
                        found["_id"], -1, found["_seq_no"], found["_primary_term"], found["_version"], None, {}
                    )
        return states
