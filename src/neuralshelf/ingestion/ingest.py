"""A catalogue into the index: read, admit, send in bounded bulks, account for every line."""

import base64
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from opensearchpy import OpenSearch
from tqdm import tqdm

from neuralshelf.bulk import Outcome, index_all
from neuralshelf.ingestion.admission import Refused, admit_file
from neuralshelf.ingestion.catalogue import BadLine, Catalogue, Product
from neuralshelf.ingestion.letterfile import DeadLetters

# Documents in flight stay under the connector's connections × 10 s ÷ latency: one that waits longer fails.
BULK_DOCUMENTS = 32
BULK_BYTES = 8_000_000
WRITERS = 2


@dataclass(frozen=True)
class Report:
    """What an ingest did: `documents` = `indexed` + `dead_letters`, always."""

    documents: int
    indexed: int
    dead_letters: int
    dead_letters_file: str | None

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def ingest(
    client: OpenSearch | None,
    index: str,
    catalogue: Catalogue,
    *,
    picture_field: str | None,
    picture_key: str = "",
) -> Report:
    """Index every product of `catalogue`; what can't be becomes a dead letter.

    Args:
        client: None to read and check everything and send nothing (a dry run).
        picture_field: the document field that takes the picture as base64; None when the index has no picture vector.
        picture_key: written before `image_path`, so that a page can find the picture of several catalogues.

    Raises:
        EngineError: the cluster can't be reached; what was indexed stays, a second run goes on safely.
    """
    indexed = 0
    lines: dict[str, int] = {}
    bar = tqdm(total=len(catalogue), unit="doc", desc="ingest", file=sys.stderr, disable=not sys.stderr.isatty())
    with bar, DeadLetters(catalogue.path) as dead, ThreadPoolExecutor(WRITERS) as writers:

        def settle(outcomes: Iterable[Outcome]) -> None:
            nonlocal indexed
            for outcome in outcomes:
                line = lines.pop(outcome.id)
                if outcome.error is None:
                    indexed += 1
                else:
                    dead.add(line, outcome.id, outcome.code, outcome.error, outcome.attempts)
                bar.update()
                bar.set_postfix(dead=dead.count, refresh=False)

        def admitted() -> Iterator[tuple[str, dict[str, Any]]]:
            for row in catalogue:
                if isinstance(row, BadLine):
                    dead.add(row.line, row.id, "BadLine", row.cause, 0)
                    bar.update()
                    continue
                try:
                    document = _document(row, catalogue.folder, picture_field, picture_key)
                except Refused as fault:
                    dead.add(row.line, row.id, fault.code, str(fault), 0)
                    bar.update()
                    continue
                lines[row.id] = row.line
                yield row.id, document

        pending: set[Future[list[Outcome]]] = set()
        try:
            for bulk in _bulks(admitted()):
                if client is None:
                    settle(Outcome(identity, 0) for identity in bulk)
                    continue
                if len(pending) >= WRITERS:
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    for future in done:
                        settle(future.result())
                pending.add(writers.submit(index_all, client, index, bulk))
            for future in pending:
                settle(future.result())
        finally:
            for future in pending:
                future.cancel()
    if client is not None:
        client.indices.refresh(index=index)
    return Report(indexed + dead.count, indexed, dead.count, str(dead.path) if dead.count else None)


def _document(product: Product, folder: Path, picture_field: str | None, picture_key: str) -> dict[str, Any]:
    document = dict(product.fields)
    if product.picture is not None and picture_field is not None:
        document[picture_field] = base64.b64encode(admit_file(product.picture).data).decode("ascii")
        path = product.picture.relative_to(folder).as_posix()
        document["image_path"] = f"{picture_key}/{path}" if picture_key else path
    return document


def _bulks(documents: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[dict[str, Mapping[str, Any]]]:
    """Groups of documents within both limits."""
    bulk: dict[str, Mapping[str, Any]] = {}
    size = 0
    for identity, document in documents:
        weight = sum(len(value) for value in document.values() if isinstance(value, str))
        if bulk and (len(bulk) >= BULK_DOCUMENTS or size + weight > BULK_BYTES):
            yield bulk
            bulk, size = {}, 0
        bulk[identity] = document
        size += weight
    if bulk:
        yield bulk
