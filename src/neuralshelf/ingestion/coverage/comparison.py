"""An index held against its catalogue, and its vectors against what the models give now."""

import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
from tqdm import tqdm

from neuralshelf.batches import batches
from neuralshelf.connectors.probe import embed
from neuralshelf.connectors.spec import ConnectorSpec
from neuralshelf.ingestion.admission import Refused
from neuralshelf.ingestion.catalogue import Catalogue, Product
from neuralshelf.ingestion.coverage.coverage import Note, Scan, State, Tally, no_note, vectors_in
from neuralshelf.ingestion.documents import Document, documents
from neuralshelf.pipelines.spec import VectorSpec
from neuralshelf.pipelines.stamps import digest, joined, picture_field, stamp_field

SAME = 0.999
"""Least cosine between two vectors that one model makes of one text, however they were kept."""

CHUNK = 16
"""Rows that are looked at together: their pictures are in memory."""

Prepare = Callable[[Document], Mapping[str, Any]]


@dataclass(frozen=True)
class Compared:
    """A document of the catalogue beside the one in the index.

    Attributes:
        body: as it would be indexed; None when its picture or text can't be taken.
        picture: as base64; None without one.
        found: what `_mget` says; its `_source` is {} where the index has no such document.
        cause: why there is no body.
    """

    document: Document
    body: Mapping[str, Any] | None
    picture: str | None
    found: Mapping[str, Any]
    cause: str = ""

    @property
    def id(self) -> str:
        """Of the document."""
        return self.document.id

    @property
    def indexed(self) -> bool:
        """Whether the index has it."""
        return bool(self.found.get("found"))


class Ids:
    """A set of ids, eight bytes each: two of a million share them with a probability of 1 to 40 million."""

    def __init__(self) -> None:
        self._hashes = array("Q")
        self._sorted: np.ndarray[Any, np.dtype[np.uint64]] | None = None

    def add(self, identity: str) -> None:
        """Before the first question only."""
        self._hashes.append(_hash(identity))

    def __contains__(self, identity: str) -> bool:
        if self._sorted is None:
            self._sorted = np.sort(np.frombuffer(self._hashes, np.uint64)) if self._hashes else np.empty(0, np.uint64)
        wanted = np.uint64(_hash(identity))
        at = int(np.searchsorted(self._sorted, wanted))
        return at < len(self._sorted) and bool(self._sorted[at] == wanted)


@dataclass
class Comparison:
    """Holds every document of a catalogue against the index; memory grows by eight bytes a document.

    Attributes:
        prepare: makes bodies, with pictures in base64, as `ingest` does.
        full: reads whole documents, vectors included, instead of their texts and stamps.
        ids: of the catalogue's documents, complete after `pages`.
    """

    scan: Scan
    catalogue: Catalogue
    prepare: Prepare
    full: bool = False
    ids: Ids = field(default_factory=Ids)

    def pages(self, desc: str) -> Iterator[list[Compared]]:
        """All documents of the catalogue, with progress on stderr. Rows that are no products are left out."""
        total = self.catalogue.count()
        with tqdm(total=total, unit="row", desc=desc, file=sys.stderr, disable=not sys.stderr.isatty()) as bar:
            for some in batches(self.catalogue.rows(), CHUNK):
                made: list[Document] = []
                for row in some:
                    if isinstance(row, Product):
                        made += documents(row, self.scan.index)
                    elif row.id is not None:
                        self.ids.add(row.id)
                for document in made:
                    self.ids.add(document.id)
                yield list(self._compared(made))
                bar.update(len(some))

    def look(self, note: Note = no_note) -> Tally:
        """Counts: `same`; `not_indexed`; `other_picture`; `refused`: the row's picture or text can't be taken, so that
        ingest makes a dead letter of it."""
        tally = Tally()
        for page in self.pages("catalogue"):
            for each in page:
                what = self._what(each)
                tally.add(what, None if what == "same" else each.id)
                if what != "same":
                    note(each.id, "catalogue", what)
        return tally

    def _what(self, each: Compared) -> str:
        if each.body is None:
            return "refused"
        if not each.indexed:
            return "not_indexed"
        return "other_picture" if self.other_picture(each) else "same"

    def other_picture(self, each: Compared) -> bool:
        """Whether a vector is of another picture than the row's, of none, or of one that the row has no more."""
        wanted = digest(each.picture) if each.picture else None
        source = each.found["_source"]
        return any(
            pictured(name, vector, source) != wanted
            for name, vector in self.scan.index.vectors.items()
            if vector.image is not None
        )

    def _compared(self, made: Iterable[Document]) -> Iterator[Compared]:
        bodies: dict[str, tuple[Document, Mapping[str, Any] | None, str]] = {}
        for document in made:
            try:
                bodies[document.id] = (document, self.prepare(document), "")
            except Refused as fault:
                bodies[document.id] = (document, None, f"{fault.code}: {fault}")
        if not bodies:
            return
        left_out = [] if self.full else list(self.scan.index.vectors)
        answer = self.scan.client.mget(
            index=self.scan.name, body={"ids": list(bodies)}, params={"_source_excludes": ",".join(left_out)}
        )
        for found in answer["docs"]:
            document, body, cause = bodies[found["_id"]]
            images = [body[image] for image in self.scan.index.images if image in body] if body else []
            yield Compared(document, body, images[0] if images else None, found, cause)


def pictured(name: str, vector: VectorSpec, source: Mapping[str, Any]) -> str | None:
    """The `stamps.digest` of the picture that a vector was made from, as its stamp says; None for none."""
    if vector.joint:
        return source.get(picture_field(name))
    stamp = source.get(stamp_field(name))
    return None if stamp is None else str(stamp).rpartition(" ")[2]


def deep_look(
    scan: Scan,
    number: int,
    connectors: Mapping[str, ConnectorSpec],
    models: Mapping[str, str],
    note: Note = no_note,
) -> Tally:
    """Make the vectors of the texts of documents picked at random again, and hold them against those that are stored.

    Finds a model that was exchanged behind its endpoint. Vectors that hold pictures can't be made again.

    Args:
        number: of documents, 10,000 at most.
        models: connector -> id of its model.

    Raises:
        ProvisionError: a model does not answer.
    """
    tally = Tally()
    fields = {n: v for n, v in scan.index.vectors.items() if v.text}
    any_vector = {"bool": {"should": [{"exists": {"field": name}} for name in fields], "minimum_should_match": 1}}
    body = {"size": number, "query": {"function_score": {"query": any_vector, "random_score": {}}}}
    hits = scan.client.search(index=scan.name, body=body, params={"search_pipeline": "_none"})["hits"]["hits"]
    for hit in tqdm(hits, unit="doc", desc="deep", file=sys.stderr, disable=not sys.stderr.isatty()):
        source = hit["_source"]
        states = scan.states(source, there=vectors_in(source))
        for name, vector in fields.items():
            if states[name] is not State.PRESENT or source.get(picture_field(name)) is not None:
                continue
            connector = vector.connector
            text = joined(source, vector.text)
            now = embed(scan.client, models[connector], connectors[connector], name=connector, text=text)
            agrees = _cosine(np.asarray(source[name], np.float64), now.astype(np.float64)) >= SAME
            tally.add("agree" if agrees else "other_model", None if agrees else hit["_id"])
            if not agrees:
                note(hit["_id"], "deep", "other_model")
    return tally


def _cosine(a: "np.ndarray[Any, np.dtype[np.float64]]", b: "np.ndarray[Any, np.dtype[np.float64]]") -> float:
    if len(a) != len(b):
        return -1.0
    return float(np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))


def _hash(identity: str) -> int:
    return int.from_bytes(blake2b(identity.encode(), digest_size=8).digest())
