"""Vectors that were made in bulk, joined to a catalogue's documents by id, and checked before the first is written.

A document that brings a vector with the stamp of the very text or picture it has is not embedded again: the ingest
pipeline leaves a vector alone whose stamp fits. What is not given is embedded online, as in any ingest.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from opensearchpy import OpenSearch

from neuralshelf.connectors.probe import embed
from neuralshelf.connectors.spec import ConnectorSpec
from neuralshelf.errors import InputError
from neuralshelf.ingestion.admission import Refused
from neuralshelf.ingestion.catalogue import BadLine, Product
from neuralshelf.ingestion.documents import Document, documents
from neuralshelf.ingestion.vectors.files import Faulty, Given
from neuralshelf.ingestion.vectors.store import VectorStore
from neuralshelf.ingestion.vectors.transform import Inputs, content, inputs
from neuralshelf.pipelines.spec import IndexSpec
from neuralshelf.pipelines.stamps import digest, joined, picture_field, stamp, stamp_field

AGREE = 0.9999
"""Least cosine between the vectors that one model gives, online and in bulk, for one input."""

SAMPLES = 16
"""Vectors of each field that are made again online before anything is written."""

Prepare = Callable[[Document], dict[str, Any]]


@dataclass(frozen=True)
class Filler:
    """Prepares documents with the vectors that are given for them. Several threads may call it.

    Attributes:
        plain: prepares them without.
        generation: in stamps (`Deployment.generation`).
    """

    plain: Prepare
    store: VectorStore
    index: IndexSpec
    generation: str

    def __call__(self, document: Document) -> dict[str, Any]:
        """The body to index. A picture is left out when all that is made of it is given.

        Raises:
            Refused: its picture can't be taken, or a line of the vectors can't: BadVectorLine, WrongDimension,
                NotFinite, ZeroVector, ModelError, DuplicateVector, StaleVector or NoInput.
        """
        body = self.plain(document)
        found = self.found(document.id, body)
        for name, (given, made_of) in found.items():
            vector = self.index.vectors[name]
            body[name] = given.vector  # opensearch-py writes arrays as lists; as a list it takes ten times the memory
            body[stamp_field(name)] = stamp(self.generation, content(made_of, vector))
            if vector.joint and made_of.image is not None:
                body[picture_field(name)] = digest(made_of.image)
        for image in self.index.images:
            if all(name in found for name, vector in self.index.vectors.items() if vector.image == image):
                body.pop(image, None)
        return body

    def found(self, identity: str, body: Mapping[str, Any]) -> dict[str, tuple[Given, Inputs]]:
        """Vector field -> the vector that is given for it and what it was made of.

        Args:
            body: the document, its picture in base64.

        Raises:
            Refused: as calling does, the picture apart.
        """
        lines: dict[str | None, list[Given]] = {}
        faulty: dict[str | None, Faulty] = {}
        for line in self.store.of(identity):
            if isinstance(line, Given):
                lines.setdefault(line.field, []).append(line)
            else:
                faulty.setdefault(line.field, line)
        for name, fault in faulty.items():
            if name not in lines and not (name is None and lines):
                raise Refused(fault.code, f"{fault.file}:{fault.line}: {fault.cause}")
        return {str(name): self._chosen(str(name), given, body) for name, given in lines.items()}

    def _chosen(self, name: str, lines: list[Given], body: Mapping[str, Any]) -> tuple[Given, Inputs]:
        """The vector that all lines agree on which are of what the document has now."""
        first, vector = lines[0], self.index.vectors[name]
        made_of = inputs(body, vector)
        if made_of is None:
            raise Refused("NoInput", f"{first.file}:{first.line}: the document has nothing that {name} is made of")
        now = digest(content(made_of, vector))
        fresh = [line for line in lines if line.made_from is None or line.made_from.split()[-1:] == [now]]
        if not fresh:
            raise Refused("StaleVector", f"{first.file}:{first.line}: {name} was made of another text or picture")
        for other in fresh[1:]:
            if cosine(fresh[0], other) < AGREE:
                lines_of = ", ".join(f"{line.file}:{line.line}" for line in (fresh[0], other))
                raise Refused("DuplicateVector", f"{name} is given twice, and differently: {lines_of}")
        return fresh[0], made_of


def cosine(a: Given, b: Given) -> float:
    """Of two vectors of the same length, from -1 to 1."""
    x, y = a.vector.astype(np.float64), b.vector.astype(np.float64)
    return float(np.dot(x, y) / (np.linalg.norm(x) * np.linalg.norm(y)))


@dataclass
class Matching:
    """How files of vectors and a catalogue fit each other, by id.

    Attributes:
        complete: documents whose vectors are all given; partly: some of them; without: none.
        samples: vector field -> documents picked at random for which it is given.
    """

    complete: int = 0
    partly: int = 0
    without: int = 0
    samples: dict[str, list[Document]] = field(default_factory=dict)


def match(rows: Iterable[Product | BadLine], store: VectorStore, index: IndexSpec, *, seed: int) -> Matching:
    """Look at every document once, without its picture; the store knows afterwards which ids are in the catalogue."""
    chance = random.Random(seed)  # noqa: S311
    counted = Matching()
    met: dict[str, int] = {}
    for row in rows:
        if isinstance(row, BadLine):
            if row.id is not None:
                store.met([row.id])
            continue
        made = documents(row, index)
        store.met([document.id for document in made])
        for document in made:
            given, wanted = store.fields(document.id), expected(document, index)
            counted.complete += wanted <= given
            counted.partly += bool(given) and not wanted <= given
            counted.without += not given
            for name in given:
                met[name] = met.get(name, 0) + 1
                kept = counted.samples.setdefault(name, [])
                if len(kept) < SAMPLES:
                    kept.append(document)
                elif (place := chance.randrange(met[name])) < SAMPLES:
                    kept[place] = document
    return counted


def expected(document: Document, index: IndexSpec) -> set[str]:
    """Vector fields that a document has something for."""
    return {
        name
        for name, vector in index.vectors.items()
        if joined(document.fields, vector.text) or (vector.image is not None and document.picture is not None)
    }


def complete(rows: Iterable[Product | BadLine], store: VectorStore, index: IndexSpec) -> Iterator[Product | BadLine]:
    """Those rows whose vectors are all given, and those that are to be dead letters."""

    def wanted(document: Document) -> bool:
        if expected(document, index) <= store.fields(document.id):
            return True
        return any(isinstance(line, Faulty) for line in store.of(document.id))

    for row in rows:
        if isinstance(row, BadLine) or all(map(wanted, documents(row, index))):
            yield row


def confirm_given(
    client: OpenSearch,
    samples: Mapping[str, Iterable[Document]],
    filler: Filler,
    connectors: Mapping[str, ConnectorSpec],
    models: Mapping[str, str],
) -> int:
    """Make the sampled vectors again online, and hold them against those that are given.

    Args:
        models: connector -> id of its model of the ingest role.

    Returns:
        how many were compared: documents that will be refused anyway are not.

    Raises:
        InputError: one differs: another model, other preprocessing, or vectors under wrong ids. Names the worst.
        ProvisionError: a model does not answer.
    """
    compared = 0
    differ: list[tuple[float, str, str]] = []
    for name, sampled in samples.items():
        connector = filler.index.vectors[name].connector
        for document in sampled:
            try:
                given, made_of = filler.found(document.id, filler.plain(document))[name]
            except Refused:
                continue
            online = embed(
                client, models[connector], connectors[connector], name=connector, text=made_of.text, image=made_of.image
            )
            compared += 1
            found = cosine(given, Given("", 0, document.id, name, online))
            if found < AGREE:
                differ.append((found, name, document.id))
    if differ:
        worst, name, identity = min(differ)
        raise InputError(
            f"{name} of {identity!r} is not what the deployed model gives for it (cosine {worst:.4f}; {len(differ)} of "
            f"{compared} that were compared differ); nothing was written",
            hint="another model, other preprocessing or vectors under wrong ids: make them again (neuralshelf embed)",
        )
    return compared
