"""The index of dead letters of one deployment: written, listed, settled, dropped."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from opensearchpy import ConnectionError as NoConnection
from opensearchpy import OpenSearch, TransportError

from neuralshelf.batches import batches
from neuralshelf.bulk import BLOCKED, MAX_ATTEMPTS, pause
from neuralshelf.client import reason
from neuralshelf.deployment import Deployment
from neuralshelf.errors import EngineError
from neuralshelf.ingestion.letters.letter import Fence, Letter, key_of_id, key_of_row, keys_of, utc_now
from neuralshelf.templates import render

__all__ = ["DeadLetters", "Fence", "Letter"]

Json = Any

MOST_KNOWN = 50_000
"""Keys of letters that are remembered; with more, each settled document costs a line of a delete."""

_CLOSED = "index_closed_exception"
_BULK_LETTERS = 500
_BULK_CHARACTERS = 2_000_000
_PAGE = 500
_PAGE_WITH_DOCUMENTS = 20  # of a megabyte each, at most
_MOST_CODES = 200


class _UnparsableError(EngineError):
    """Some letter of a bulk is no JSON for OpenSearch."""


class DeadLetters:
    """The letters of one deployment. For one thread.

    Every method raises EngineError when the index is not there, is closed or takes no writes, or the cluster is away.
    """

    def __init__(self, client: OpenSearch, name: str, alias: str | None = None) -> None:
        """
        Args:
            name: of the index, `Deployment.deadletters`.
            alias: where documents go; with it, letters remember what is there, and can be replayed without their
                catalogue.
        """
        self.name = name
        self._client = client
        self._alias = alias
        self._put = render("deadletters/put.json.j2")
        self._known: set[str] | None = None
        self._all_known = False

    @classmethod
    def of(cls, client: OpenSearch, deployment: Deployment) -> "DeadLetters":
        """Those of a deployment."""
        return cls(client, deployment.deadletters, deployment.config.index.name)

    def require(self) -> None:
        """Return when the index is there as `apply` made it. A write would make another one of that name."""
        try:
            found = self._client.indices.get_mapping(index=self.name)
        except (NoConnection, TransportError) as fault:
            raise self._error("read", fault) from None
        if not any("neuralshelf" in body["mappings"].get("_meta", {}) for body in found.values()):
            raise EngineError(
                f"index {self.name} was not made by neuralshelf", hint=f"DELETE /{self.name}, then neuralshelf apply"
            )

    def put(self, letters: Iterable[Letter]) -> None:
        """Write letters. One that is there keeps since when it fails, and its attempts grow.

        That of a row in which no id could be read goes when there is one of its document now.

        When this returns, all are written; when it raises, some may be.
        """
        for some in batches(letters, _BULK_LETTERS):
            self.require()
            unknown = [letter.document_id for letter in some if letter.replayable and letter.fence is None]
            self._write(some, self.fences([identity for identity in unknown if identity is not None]))
            self._settle([key_of_row(each.source, each.line) for each in some if each.document_id is not None])

    def settled(self, ids: Iterable[str] = (), *, source: str = "", lines: Iterable[int] = ()) -> int:
        """Take away letters of documents that are in now, and of rows of `source` that can be read now.

        Sends nothing when there are none of them.

        Returns:
            how many there were.
        """
        return self._settle([*map(key_of_id, ids), *(key_of_row(source, line) for line in lines)])

    def drop(self, *, code: str | None = None, document_id: str | None = None) -> int:
        """Take away letters of one code, of one document, or all; returns how many."""
        keys = (hit["_id"] for hit in self._hits(_query(code, document_id), _PAGE, source=False))
        return sum(self._delete(some) for some in batches(keys, _BULK_LETTERS))

    def find(
        self,
        *,
        code: str | None = None,
        document_id: str | None = None,
        documents: bool = False,
        newest_first: bool = False,
    ) -> Iterator[Letter]:
        """Letters, page by page; of one code, of one document, or all.

        Args:
            documents: with what was to be indexed.
            newest_first: by the time of the last failure; else in an order that letters written meanwhile don't change.
        """
        source: Json = True if documents else {"excludes": ["document"]}
        page = _PAGE_WITH_DOCUMENTS if documents else _PAGE
        for hit in self._hits(_query(code, document_id), page, source=source, newest_first=newest_first):
            yield Letter.read(hit["_source"])

    def ids(self) -> Iterator[str]:
        """Ids of all documents that have a letter."""
        for hit in self._hits(_query(), _PAGE, source=["document_id"]):
            if (found := hit["_source"].get("document_id")) is not None:
                yield found

    def holding(self, keys: Sequence[str], *, code: str | None = None, document_id: str | None = None) -> set[str]:
        """Those of the keys (`letter.key_of_id`, `key_of_row`) that there is a letter of; as last refreshed."""
        found: set[str] = set()
        for some in batches(keys, _BULK_LETTERS):
            query = {"bool": {"filter": [{"terms": {"key": some}}, _query(code, document_id)]}}
            answer = self._search({"size": len(some), "_source": False, "query": query})
            found |= {hit["_id"] for hit in answer["hits"]["hits"]}
        return found

    def count(self, *, code: str | None = None, document_id: str | None = None) -> int:
        """How many there are."""
        self._refresh()
        body = {"size": 0, "track_total_hits": True, "query": _query(code, document_id)}
        return int(self._search(body)["hits"]["total"]["value"])

    def codes(self) -> dict[str, int]:
        """Code -> number of letters, the most frequent first."""
        self._refresh()
        body = {"size": 0, "aggs": {"codes": {"terms": {"field": "code", "size": _MOST_CODES}}}}
        buckets = self._search(body)["aggregations"]["codes"]["buckets"]
        return {bucket["key"]: bucket["doc_count"] for bucket in buckets}

    def fences(self, ids: Sequence[str]) -> dict[str, Fence]:
        """Id -> what the index holds under it now; without those of which the cluster does not say it."""
        if self._alias is None or not ids:
            return {}
        body = {"docs": [{"_id": identity, "_source": False} for identity in ids]}
        try:
            answers = self._client.mget(body=body, index=self._alias)["docs"]
        except NoConnection as fault:
            raise self._error("read", fault) from None
        except TransportError:  # a right is missing, or the alias: letters matter more
            return {}
        return {
            answer["_id"]: Fence(answer["_index"], answer.get("_seq_no"), answer.get("_primary_term"))
            for answer in answers
            if "error" not in answer
        }

    def _settle(self, keys: Sequence[str]) -> int:
        self._learn()
        if self._all_known:
            assert self._known is not None
            keys = [key for key in keys if key in self._known]
        return self._delete(keys)

    def _write(self, letters: Sequence[Letter], fences: Mapping[str, Fence]) -> None:
        now = utc_now()
        actions = []
        for letter in letters:
            kept = letter.kept(now, letter.fence or fences.get(letter.document_id or ""))
            body = {**self._put, "script": {**self._put["script"], "params": {"letter": kept}}}
            actions.append(self._lines({"update": {"_id": letter.key, "retry_on_conflict": 3}}, body))
        if self._known is not None:
            self._known.update(letter.key for letter in letters)
        try:
            self._bulk("write", actions)
        except _UnparsableError:  # of a whole bulk it is not said which one
            if len(letters) > 1:
                for letter in letters:
                    self._write([letter], fences)
            elif letters[0].document is not None:
                self._write([replace(letters[0], document=None, left_out="OpenSearch can't parse it")], fences)
            else:
                raise

    def _learn(self) -> None:
        """Remember which letters there are, once, unless they are very many."""
        if self._known is not None:
            return
        self._refresh()
        keys = (hit["_id"] for hit in self._hits(_query(), _PAGE, source=False))
        self._known = set(islice(keys, MOST_KNOWN))
        self._all_known = len(self._known) < MOST_KNOWN

    def _delete(self, keys: Sequence[str]) -> int:
        if not keys:
            return 0
        self.require()
        answers = self._bulk("delete from", [self._lines({"delete": {"_id": key}}) for key in keys])
        if self._known is not None:
            self._known.difference_update(keys)
        return sum(answer["result"] == "deleted" for answer in answers)

    def _bulk(self, verb: str, actions: Sequence[str]) -> list[Json]:
        """Send actions until each is done; answers in no order."""
        done: list[Json] = []
        for waiting in _by_weight(actions):
            for attempt in range(1, MAX_ATTEMPTS + 1):
                answers = self._send(verb, waiting, last=attempt == MAX_ATTEMPTS)
                done += [answer for answer in answers if answer is not None and "error" not in answer]
                waiting = [action for action, answer in zip(waiting, answers, strict=True) if _may_pass(answer)]
                if not waiting:
                    break
                time.sleep(pause(attempt))
        return done

    def _send(self, verb: str, actions: Sequence[str], *, last: bool) -> list[Json]:
        """What became of each; None for no answer."""
        try:
            found = self._client.bulk(body="".join(actions), index=self.name)
        except (NoConnection, TransportError) as fault:
            if last or not (isinstance(fault, NoConnection) or fault.status_code in (429, 502, 503, 504)):
                raise self._error(verb, fault) from None
            return [None] * len(actions)
        answers = [answer for item in found["items"] for answer in item.values()]
        for answer in answers:
            if "error" in answer and (last or not _may_pass(answer)):
                raise self._error(verb, TransportError(answer["status"], answer["error"]["type"], answer))
        return answers

    def _lines(self, *lines: Json) -> str:
        """An action of a `_bulk`."""
        return "".join(self._client.transport.serializer.dumps(line) + "\n" for line in lines)

    def _hits(self, query: Json, page: int, *, source: Json, newest_first: bool = False) -> Iterator[Json]:
        self._refresh()
        order: list[Json] = [{"last": "desc"}] if newest_first else []
        body = {"size": page, "query": query, "_source": source, "sort": [*order, {"key": "asc"}]}
        while hits := self._search(body)["hits"]["hits"]:
            yield from hits
            if len(hits) < page:
                return
            body["search_after"] = hits[-1]["sort"]

    def _search(self, body: Json) -> Json:
        try:
            return self._client.search(index=self.name, body=body)
        except (NoConnection, TransportError) as fault:
            raise self._error("read", fault) from None

    def _refresh(self) -> None:
        try:
            self._client.indices.refresh(index=self.name)
        except (NoConnection, TransportError) as fault:
            raise self._error("read", fault) from None

    def _error(self, verb: str, fault: TransportError) -> EngineError:
        if isinstance(fault, NoConnection):
            return EngineError(
                f"no answer from OpenSearch about the dead letters: {fault.error}", hint="neuralshelf status"
            )
        if fault.status_code == 404:
            return EngineError(f"there is no index {self.name} for dead letters", hint="neuralshelf apply makes it")
        hint = "neuralshelf doctor"
        if fault.error == _CLOSED:
            hint = f"open it: POST /{self.name}/_open"
        elif fault.error == BLOCKED:
            hint = f"free disk space, or lift the block: PUT /{self.name}/_settings with index.blocks.*: null"
        elif fault.status_code == 403:
            hint = "this login lacks a right: neuralshelf roles renders the role that ingest needs"
        error = _UnparsableError if fault.status_code == 400 and fault.error != _CLOSED else EngineError
        return error(f"can't {verb} dead letters in {self.name} ({fault.status_code}): {reason(fault)}", hint=hint)


def _query(code: str | None = None, document_id: str | None = None) -> Json:
    wanted: list[Json] = []
    if code is not None:
        wanted.append({"term": {"code": code}})
    if document_id is not None:
        wanted.append({"terms": {"key": keys_of(document_id)}})
    return {"bool": {"filter": wanted}} if wanted else {"match_all": {}}


def _may_pass(answer: Json) -> bool:
    return answer is None or ("error" in answer and answer["status"] in (409, 429, 503))


def _by_weight(actions: Sequence[str]) -> Iterator[list[str]]:
    """In parts that every cluster takes in one request."""
    part: list[str] = []
    size = 0
    for action in actions:
        if part and size + len(action) > _BULK_CHARACTERS:
            yield part
            part, size = [], 0
        part.append(action)
        size += len(action)
    if part:
        yield part
