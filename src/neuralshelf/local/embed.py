"""The models of this machine over a whole catalogue: vectors into a file, for `backfill` (extra `local`).

Pictures are admitted, texts joined and both read as the local model server reads its requests, so that a vector is the
one that the server would have given.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuralshelf.batches import batches
from neuralshelf.connectors.spec import BedrockTitanMultimodal, ConnectorSpec
from neuralshelf.deployment import Deployment
from neuralshelf.errors import ConfigError, InputError
from neuralshelf.ingestion.admission import Refused
from neuralshelf.ingestion.catalogue import BadLine, Product
from neuralshelf.ingestion.documents import Document, documents
from neuralshelf.ingestion.resuming import last_id
from neuralshelf.ingestion.vectors.files import encoded
from neuralshelf.ingestion.vectors.transform import Tally, content, inputs, model_input
from neuralshelf.model_packages.server.contracts import Work
from neuralshelf.model_packages.server.endpoints import Endpoint, standard_endpoints
from neuralshelf.model_packages.server.refusals import InputRefused
from neuralshelf.pipelines.stamps import stamp, stamp_field

BATCH = 32
"""Documents whose pictures are decoded at once, and then embedded in one run of the model."""

Progress = Callable[[int], object]


def local_endpoints(cache: Path, visual: Path | None = None) -> Mapping[str, Endpoint]:
    """The endpoints of the local server in this process, on all cores.

    Args:
        cache: where built model parts are.
        visual: file of lite's fine-tuned visual block.

    Raises:
        ConfigError: `visual` can't be used.
    """
    from neuralshelf.model_packages.lite import LiteEncoder, VisualError
    from neuralshelf.model_packages.minilm import MiniLmEncoder

    threads = os.cpu_count() or 1
    try:
        lite = LiteEncoder.load(cache, visual=visual, threads=threads)
    except VisualError as error:
        raise ConfigError(str(error), hint="correct runtime.visual of the environment") from None
    return standard_endpoints(lite, MiniLmEncoder.load(threads))


@dataclass(frozen=True)
class Embedder:
    """Embeds documents in batches.

    Attributes:
        endpoints: by the names that connectors call them.
        prepare: a document as it is sent, its picture admitted and in base64.
    """

    deployment: Deployment
    endpoints: Mapping[str, Endpoint]
    prepare: Callable[[Document], Mapping[str, Any]]

    def __post_init__(self) -> None:
        """Raises ConfigError when a vector's endpoint is not one of a local server."""
        config = self.deployment.config
        for vector in config.index.vectors.values():
            name = endpoint_name(config.connectors[vector.connector])
            if name not in self.endpoints:
                raise ConfigError(
                    f"connector {vector.connector}: no model here answers for {name!r}",
                    hint=f"embed has {', '.join(self.endpoints)}; for others: neuralshelf backfill --requests",
                )

    def run(
        self, rows: Iterable[Product | BadLine], out: Path, advance: Progress = lambda row: None, batch: int = BATCH
    ) -> Tally:
        """Append a line a document to `out`, in the order of rows; a file that is there is gone on with.

        Args:
            rows: all of the catalogue.
            advance: gets the last row that is done.

        Raises:
            InputError: `out` can't be written, or was not made from this catalogue.
        """
        done = Tally()
        try:
            with out.open("a+b") as file, ThreadPoolExecutor(os.cpu_count() or 1) as readers:
                last = last_id(file, out, "vectors")
                fresh = self._documents(rows, done)
                if last is not None:
                    _skip(fresh, last, out, done, advance)
                for pending in batches(fresh, batch):
                    for line in self._lines(pending, readers, done):
                        file.write(json.dumps(line).encode() + b"\n")
                    file.flush()
                    advance(pending[-1].line)
        except OSError as fault:
            raise InputError(f"{out}: {fault.strerror or fault}", hint="give another file with --out") from None
        return done

    def _documents(self, rows: Iterable[Product | BadLine], done: Tally) -> Iterator[Document]:
        for row in rows:
            if isinstance(row, BadLine):
                done.refuse(row.line, "BadLine", row.cause)
            else:
                yield from documents(row, self.deployment.config.index)

    def _lines(
        self, pending: Sequence[Document], readers: ThreadPoolExecutor, done: Tally
    ) -> Iterator[Mapping[str, str]]:
        read = list(readers.map(self._read, pending))
        wanted: dict[tuple[str, int], list[tuple[int, str, Work]]] = {}
        lines: list[dict[str, str]] = [{} for _ in pending]
        for number, (document, found) in enumerate(zip(pending, read, strict=True)):
            if isinstance(found, Refused):
                done.refuse(document.line, found.code, str(found))
                continue
            for name, (made_from, work) in found.items():
                lines[number][stamp_field(name)] = made_from
                endpoint = endpoint_name(self._spec(name))
                wanted.setdefault((endpoint, work.dimension), []).append((number, name, work))
        for (endpoint, dimension), works in wanted.items():
            samples = [sample for _, _, work in works for sample in work.samples]
            vectors = self.endpoints[endpoint].encoder.encode(samples, dimension)
            for (number, name, _), vector in zip(works, vectors, strict=True):
                lines[number][name] = encoded(vector)
                done.make(name)
        for document, line in zip(pending, lines, strict=True):
            if line:
                yield {"id": document.id, **line}

    def _read(self, document: Document) -> dict[str, tuple[str, Work]] | Refused:
        """Vector field -> its stamp and what the model is asked; runs in several threads."""
        found = {}
        index = self.deployment.config.index
        try:
            body = self.prepare(document)
            for name, vector in index.vectors.items():
                given = inputs(body, vector)
                if given is None:
                    continue
                endpoint = self.endpoints[endpoint_name(self._spec(name))]
                request = json.dumps(model_input(self._spec(name), given)).encode()
                work = endpoint.contract.read(request, endpoint.encoder)
                found[name] = (stamp(self.deployment.generation, content(given, vector)), work)
        except Refused as fault:
            return fault
        except InputRefused as fault:
            return Refused("ModelRefused", str(fault))
        return found

    def _spec(self, vector: str) -> ConnectorSpec:
        config = self.deployment.config
        return config.connectors[config.index.vectors[vector].connector]


def endpoint_name(spec: ConnectorSpec) -> str:
    """By which name a connector calls its model."""
    return spec.model_id if isinstance(spec, BedrockTitanMultimodal) else spec.endpoint


def _skip(fresh: Iterator[Document], last: str, out: Path, done: Tally, advance: Progress) -> None:
    """Read on to document `last`: lines are written in the order of the catalogue, so those before it are done."""
    for document in fresh:
        done.skipped += 1
        advance(document.line)
        if document.id == last:
            return
    raise InputError(f"{out} ends with {last!r}, which is not in this catalogue", hint="give another file with --out")
