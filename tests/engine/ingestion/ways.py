"""Every way to write a document, and what is changed by it: the rows of docs/updates.md."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import OpenSearchWarning

Json = Any
Fields = Mapping[str, Json]


@dataclass
class Target:
    """One document that a row is about.

    Attributes:
        index: the alias.
        pipeline: its ingest pipeline.
        before: as it was sent, its picture in base64.
        picture: another one, in base64.
        error: why the write was refused, when the answer was 200 all the same.
    """

    client: OpenSearch
    index: str
    pipeline: str
    id: str
    before: Fields
    picture: str
    error: str = ""

    @property
    def new_id(self) -> str:
        """Of a document that is not there."""
        return f"{self.id}-new"

    def put(self, changes: Fields, *, verb: str = "_doc", new: bool = False, **params: Json) -> None:
        """The whole document with its picture and with changes; None leaves a field out."""
        body = {key: value for key, value in {**self.before, **changes}.items() if value is not None}
        identity = self.new_id if new else self.id
        self.client.transport.perform_request(
            "PUT", f"/{self.index}/{verb}/{identity}", params=params or None, body=body
        )

    def bulk(self, *lines: Json) -> None:
        """One action; the reason why it was refused goes into `error`."""
        answer = self.client.bulk(body=list(lines), index=self.index)
        (item,) = (result for item in answer["items"] for result in item.values())
        if "error" in item:
            self.error = f"{item['error']['type']}: {item['error']['reason']}"

    def update(self, identity: str, body: Json) -> None:
        """`_update`; the engine warns that it runs the pipeline, which is what is wanted."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OpenSearchWarning)
            self.client.update(index=self.index, id=identity, body=body)

    def by_query(self, script: str | None = None, **params: Json) -> None:
        """`_update_by_query` of this document."""
        self.client.indices.refresh(index=self.index)
        body: Json = {"query": {"ids": {"values": [self.id]}}}
        if script:
            body["script"] = {"source": script}
        self.client.update_by_query(index=self.index, body=body, params=params)


@dataclass(frozen=True)
class Way:
    """A row.

    Attributes:
        act: does it; raises, or sets `error`, when it is refused.
        picture: of the document afterwards: the one before, the `other` one, or `none`.
    """

    how: str
    change: str
    act: Callable[[Target], object]
    picture: str = "before"

    @property
    def new(self) -> bool:
        """It makes a document that was not there."""
        return self.change == "new"


TITLE, PRICE, UNTITLED, UNPICTURED = {"title": "a new title"}, {"price": 9.0}, {"title": None}, {"image": None}
TEXTS = {**TITLE, "brand": "Acme"}
SET_TITLE, SET_PRICE = "ctx._source.title = 'a new title'", "ctx._source.price = 9.0"


def other(t: Target) -> Fields:
    """Another picture."""
    return {"image": t.picture}


def put(changes: Fields, **how: Json) -> Callable[[Target], None]:
    """The whole document."""
    return lambda t: t.put(changes, **how)


def read_and_write(changes: Fields) -> Callable[[Target], object]:
    """What many clients do: read a document, vectors included, change it and write it back."""
    return lambda t: t.client.index(
        index=t.index, id=t.id, body={**t.client.get(index=t.index, id=t.id)["_source"], **changes}
    )


def update(fields: Fields, **more: Json) -> Callable[[Target], None]:
    """`_update` with a part of the document."""
    return lambda t: t.update(t.id, {"doc": fields, **more})


def bulk_update(fields: Fields, **more: Json) -> Callable[[Target], None]:
    """The same in a `_bulk`."""
    return lambda t: t.bulk({"update": {"_id": t.id}}, {"doc": fields, **more})


def script(source: str) -> Json:
    """The body of an update by script."""
    return {"script": {"source": source}}


def upsert(t: Target) -> Json:
    """The body of an update of what may be absent."""
    return {"doc": TITLE, "upsert": t.before}


def again(t: Target) -> None:
    """Delete, and write anew."""
    t.client.delete(index=t.index, id=t.id)
    t.put(TITLE)


def whole(t: Target, changes: Fields) -> Fields:
    """The document with changes."""
    return {**t.before, **changes}


UPSERT = {"doc_as_upsert": True}
WAYS = (
    Way("`PUT _doc`, whole", "title", put(TITLE)),
    Way("`PUT _doc`, whole", "price", put(PRICE)),
    Way("`PUT _doc`, whole", "picture", lambda t: t.put(other(t)), "other"),
    Way("`PUT _doc`, whole", "without title", put(UNTITLED)),
    Way("`PUT _doc`, whole", "without picture", put(UNPICTURED), "none"),
    Way("`GET _doc`, then `PUT` with its vectors", "title", read_and_write(TITLE)),
    Way("`GET _doc`, then `PUT` with its vectors", "price", read_and_write(PRICE)),
    Way("`PUT _create`, absent", "new", put({}, verb="_create", new=True)),
    Way("`PUT _create`, present", "title", put(TITLE, verb="_create")),
    Way("`_bulk` index", "title", lambda t: t.bulk({"index": {"_id": t.id}}, whole(t, TITLE))),
    Way("`_bulk` index", "picture", lambda t: t.bulk({"index": {"_id": t.id}}, whole(t, other(t))), "other"),
    Way("`_bulk` create, absent", "new", lambda t: t.bulk({"create": {"_id": t.new_id}}, t.before)),
    Way("`_bulk` create, present", "title", lambda t: t.bulk({"create": {"_id": t.id}}, whole(t, TITLE))),
    Way("`_update` doc", "title", update(TITLE)),
    Way("`_update` doc", "price", update(PRICE)),
    Way("`_update` doc", "picture", lambda t: t.update(t.id, {"doc": other(t)}), "other"),
    Way("`_update` doc", "picture, the same", lambda t: t.update(t.id, {"doc": {"image": t.before["image"]}})),
    Way("`_update` doc", "title: null", update(UNTITLED)),
    Way("`_update` doc", "picture: null", update(UNPICTURED), "none"),
    Way("`_update` script", "title", lambda t: t.update(t.id, script(SET_TITLE))),
    Way("`_update` script", "price", lambda t: t.update(t.id, script(SET_PRICE))),
    Way("`_update` script", "title removed", lambda t: t.update(t.id, script("ctx._source.remove('title')"))),
    Way("`_update` upsert, absent", "new", lambda t: t.update(t.new_id, upsert(t))),
    Way("`_update` upsert, present", "title", lambda t: t.update(t.id, upsert(t))),
    Way("`_update` doc_as_upsert, absent", "new", lambda t: t.update(t.new_id, {"doc": t.before, **UPSERT})),
    Way("`_update` doc_as_upsert, present", "title", update(TITLE, **UPSERT)),
    Way("`_update` doc_as_upsert, present", "price", update(PRICE, **UPSERT)),
    Way("`_bulk` update doc", "title", bulk_update(TITLE)),
    Way("`_bulk` update doc", "price", bulk_update(PRICE)),
    Way("`_bulk` update doc", "picture", lambda t: t.bulk({"update": {"_id": t.id}}, {"doc": other(t)}), "other"),
    Way("`_bulk` update doc", "title: null", bulk_update(UNTITLED)),
    Way("`_bulk` update doc", "picture: null", bulk_update(UNPICTURED), "none"),
    Way("`_bulk` update script", "title", lambda t: t.bulk({"update": {"_id": t.id}}, script(SET_TITLE))),
    Way("`_bulk` update script", "price", lambda t: t.bulk({"update": {"_id": t.id}}, script(SET_PRICE))),
    Way("`_bulk` upsert, absent", "new", lambda t: t.bulk({"update": {"_id": t.new_id}}, upsert(t))),
    Way("`_bulk` upsert, present", "title", lambda t: t.bulk({"update": {"_id": t.id}}, upsert(t))),
    Way(
        "`_bulk` doc_as_upsert, absent",
        "new",
        lambda t: t.bulk({"update": {"_id": t.new_id}}, {"doc": t.before, **UPSERT}),
    ),
    Way("`_bulk` doc_as_upsert, present", "title", bulk_update(TITLE, **UPSERT)),
    Way("`_bulk` doc_as_upsert, present", "all texts", bulk_update(TEXTS, **UPSERT)),
    Way("`_bulk` doc_as_upsert, present", "price", bulk_update(PRICE, **UPSERT)),
    Way(
        "`_bulk` doc_as_upsert, present",
        "picture",
        lambda t: t.bulk({"update": {"_id": t.id}}, {"doc": other(t), **UPSERT}),
        "other",
    ),
    Way(
        "`_bulk` doc_as_upsert, present",
        "all texts, picture: null",
        bulk_update({**TEXTS, **UNPICTURED}, **UPSERT),
        "none",
    ),
    Way("`_update_by_query`", "nothing", lambda t: t.by_query()),
    Way("`_update_by_query` script", "title", lambda t: t.by_query(SET_TITLE)),
    Way("`_update_by_query` script", "price", lambda t: t.by_query(SET_PRICE)),
    Way("`_update_by_query?pipeline=` the index's", "title", lambda t: t.by_query(SET_TITLE, pipeline=t.pipeline)),
    Way("`_update_by_query?pipeline=_none`", "title", lambda t: t.by_query(SET_TITLE, pipeline="_none")),
    Way("`PUT _doc?pipeline=_none`", "title", put({**TITLE, **UNPICTURED}, pipeline="_none"), "none"),
    Way("`_delete`, then `PUT _doc`", "title", again),
)

JOINT = (
    Way("`PUT _doc`, whole", "title", put(TITLE)),
    Way("`PUT _doc`, whole", "without picture", put(UNPICTURED), "none"),
    Way("`GET _doc`, then `PUT` with its vectors", "price", read_and_write(PRICE)),
    Way("`GET _doc`, then `PUT` with its vectors", "title", read_and_write(TITLE)),
    Way("`_update` doc", "price", update(PRICE)),
    Way("`_update` doc", "title", update(TITLE)),
    Way("`_update` doc", "title and picture", lambda t: t.update(t.id, {"doc": {**TITLE, **other(t)}}), "other"),
    Way("`_update` doc", "title, picture: null", update({**TITLE, **UNPICTURED}), "none"),
    Way("`_bulk` update doc", "title", bulk_update(TITLE)),
    Way("`_bulk` update doc", "price", bulk_update(PRICE)),
    Way("`_bulk` doc_as_upsert, present", "title", bulk_update(TITLE, **UPSERT)),
    Way(
        "`_bulk` doc_as_upsert, present",
        "picture",
        lambda t: t.bulk({"update": {"_id": t.id}}, {"doc": other(t), **UPSERT}),
        "other",
    ),
    Way("`_update_by_query` script", "title", lambda t: t.by_query(SET_TITLE)),
    Way("`_update_by_query` script", "price", lambda t: t.by_query(SET_PRICE)),
)
"""Of an index whose vector is of text and picture together."""
