"""Which documents have which vectors, and whether each vector was made from what the document holds now."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from opensearchpy import OpenSearch

from neuralshelf.pipelines.spec import IndexSpec, VectorSpec
from neuralshelf.pipelines.stamps import digest, joined, picture_field, stamp, stamp_field, together
from neuralshelf.scroll import pages

EXAMPLES = 20


class State(StrEnum):
    """How one vector of one document is."""

    PRESENT = "present"
    WITHOUT = "without_input"
    MISSING = "missing"
    STALE = "stale"
    FOREIGN = "other_generation"
    UNSTAMPED = "unstamped"


RIGHT = (State.PRESENT, State.WITHOUT)


def state(
    name: str,
    vector: VectorSpec,
    source: Mapping[str, Any],
    *,
    there: bool,
    generation: str,
    picture: str | None = None,
) -> State:
    """How a vector is, by its stamp.

    Args:
        name: of the vector's field.
        source: of the document, at least its texts and stamps.
        there: whether the document has the vector.
        generation: of the index (`Deployment.generation`).
        picture: as base64, the one that the document should have; None when that is not known, and then the vector of a
            picture is taken to be of the right one.
    """
    found = source.get(stamp_field(name))
    content: str | None = joined(source, vector.text)
    if vector.joint:
        content = together(content or "", digest(picture) if picture else source.get(picture_field(name)))
    elif vector.image is not None:
        content = picture
        if picture is None and not there:
            return State.WITHOUT if found is None else State.MISSING
    if content == "":
        return State.STALE if there else State.WITHOUT
    if not there:
        return State.MISSING
    if found is None:
        return State.UNSTAMPED
    if str(found).rpartition(" ")[0] != generation:
        return State.FOREIGN
    return State.PRESENT if content is None or found == stamp(generation, content) else State.STALE


@dataclass
class Tally:
    """How many documents were found to be what, and the ids of the first twenty of each."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, what: str, identity: str | None = None) -> None:
        """Count one; of what is all right no id is kept."""
        self.counts[what] += 1
        if identity is not None and len(found := self.examples.setdefault(what, [])) < EXAMPLES:
            found.append(identity)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {"counts": dict(self.counts), "examples": self.examples}


@dataclass(frozen=True)
class Scanned:
    """A document as a scan sees it; `states` are by vector field."""

    id: str
    source: Mapping[str, Any]
    states: Mapping[str, State]

    @property
    def wrong(self) -> dict[str, State]:
        """Those that are not all right."""
        return {name: found for name, found in self.states.items() if found not in RIGHT}


@dataclass(frozen=True)
class Scan:
    """Reads an index as it is at one moment; memory does not grow with it. No vector is read.

    Attributes:
        name: of the index itself, not its alias.
    """

    client: OpenSearch
    name: str
    index: IndexSpec
    generation: str

    def pages(self, desc: str) -> Iterator[list[Scanned]]:
        """All documents, with progress on stderr.

        Raises:
            EngineError: there is no such index, or it can't be read.
        """
        vectors = self.index.vectors
        texts = {text for vector in vectors.values() for text in vector.text}
        stamps = {text for name, vector in vectors.items() for text in vector.stamps(name)}
        named = [{"exists": {"field": name, "_name": name}} for name in vectors]
        body = {
            "query": {"bool": {"must": [{"match_all": {}}], "should": named}},
            "_source": sorted(texts | stamps),
        }
        for page in pages(self.client, self.name, body, desc):
            yield [self._scanned(hit) for hit in page]

    def _scanned(self, hit: Mapping[str, Any]) -> Scanned:
        source, there = hit.get("_source", {}), hit.get("matched_queries", ())
        return Scanned(hit["_id"], source, self.states(source, there=there))

    def states(
        self, source: Mapping[str, Any], *, there: Collection[str], picture: str | None = None
    ) -> dict[str, State]:
        """Vector field -> how it is; see `state`.

        Args:
            there: the vectors that the document has.
        """
        return {
            name: state(name, vector, source, there=name in there, generation=self.generation, picture=picture)
            for name, vector in self.index.vectors.items()
        }


@dataclass(frozen=True)
class Coverage:
    """What was found.

    Attributes:
        vectors: vector field -> how many documents are in which `State`.
        catalogue: how the index fits the catalogue (`comparison`); None without one.
        deep: stored vectors held against what the model gives now; None without `--deep`.
    """

    index: str
    documents: int
    vectors: Mapping[str, Tally]
    catalogue: Tally | None = None
    deep: Tally | None = None

    @property
    def problems(self) -> int:
        """How many findings are not all right."""
        tallies = (*self.vectors.values(), *(tally for tally in (self.catalogue, self.deep) if tally is not None))
        return sum(count for tally in tallies for what, count in tally.counts.items() if what not in FINE)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "index": self.index,
            "documents": self.documents,
            "problems": self.problems,
            "vectors": {name: tally.as_dict() for name, tally in self.vectors.items()},
            "catalogue": self.catalogue.as_dict() if self.catalogue else None,
            "deep": self.deep.as_dict() if self.deep else None,
        }


FINE = frozenset({*RIGHT, "same", "agree"})
"""Findings that are all right; `same` and `agree` are those of a catalogue and of `--deep`."""

Note = Callable[[str, str, str], object]
"""Takes the id of a document, the vector field or `catalogue` or `deep`, and what is wrong."""


def no_note(identity: str, of: str, what: str) -> None:
    """Nobody wants to know each id."""


def vectors_in(source: Mapping[str, Any]) -> set[str]:
    """Fields of a whole document that hold something."""
    return {name for name, value in source.items() if value is not None}


def look(scan: Scan, note: Note = no_note, seen: Callable[[str], object] = lambda identity: None) -> Coverage:
    """Look at every document's stamps.

    Args:
        note: gets everything that is wrong.
        seen: gets the id of each document.

    Raises:
        EngineError: there is no such index.
    """
    tallies = {name: Tally() for name in scan.index.vectors}
    documents = 0
    for page in scan.pages("coverage"):
        documents += len(page)
        for document in page:
            seen(document.id)
            for name, found in document.states.items():
                right = found in RIGHT
                tallies[name].add(found, None if right else document.id)
                if not right:
                    note(document.id, name, found)
    return Coverage(scan.name, documents, tallies)
