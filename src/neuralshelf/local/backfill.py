"""What `backfill` and `embed` do on a stack."""

import hashlib
import json
import secrets
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from opensearchpy import OpenSearch
from tqdm import tqdm

from neuralshelf.connectors.resources import model_address
from neuralshelf.deployment import Deployment
from neuralshelf.errors import InputError, ProvisionError
from neuralshelf.ingestion.account import Report
from neuralshelf.ingestion.letters.deadletters import DeadLetters, Letter
from neuralshelf.ingestion.vectors.backfill import Filler, complete, confirm_given, match
from neuralshelf.ingestion.vectors.files import VectorFiles
from neuralshelf.ingestion.vectors.store import VectorStore
from neuralshelf.ingestion.vectors.transform import Tally, write_requests
from neuralshelf.local.loading import Options, ingest_catalogue, open_catalogue, preparer_of
from neuralshelf.local.provisioning import say
from neuralshelf.local.stack import Stack
from neuralshelf.provision.objects import OBJECTS, Scope
from neuralshelf.resource import Kind

_LISTED = 20
_T = TypeVar("_T")


@dataclass(frozen=True)
class Vectors:
    """Where given vectors are and how they are used.

    Attributes:
        paths: files and folders.
        field: whose the vectors are when lines of batch transform don't say it.
        only_given: leave rows out that lack a vector, instead of embedding them online.
        seed: of the choice of vectors that are made again online; None takes any.
    """

    paths: Sequence[Path]
    field: str | None = None
    only_given: bool = False
    seed: int | None = None

    def mark(self, files: Sequence[Path]) -> str:
        """The same for the same files, unchanged and used in the same way."""
        found = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        return hashlib.sha256(json.dumps([found, self.field, self.only_given]).encode()).hexdigest()


@dataclass(frozen=True)
class Backfilled:
    """What a backfill did.

    Attributes:
        report: of the catalogue's documents.
        vectors: that could be read; of these, `repeated` were of a document and field that had one already.
        faulty: lines and vectors that can't be used; `nobodys` of them don't say whose they are: letters of their own.
        unknown: ids that are not in the catalogue; the first of them are `unknown_ids`.
        complete, partly, without: documents whose vectors are all given, some of them, none.
        compared: vectors that were made again online before anything was written.
    """

    report: Report
    vectors: int
    repeated: int
    faulty: int
    nobodys: int
    unknown: int
    unknown_ids: tuple[str, ...]
    complete: int
    partly: int
    without: int
    compared: int

    @property
    def dead_letters(self) -> int:
        """All of them: documents and lines of nobody."""
        return self.report.dead_letters + self.nobodys

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return self.report.as_dict() | {"given": {key: value for key, value in asdict(self).items() if key != "report"}}


def backfill_catalogue(
    stack: Stack, deployment: Deployment, path: Path, given: Vectors, options: Options
) -> Backfilled:
    """Index a catalogue with vectors that were made in bulk.

    Raises:
        InputError: the files can't be read, have no keys, are of another catalogue, or hold other vectors than the
            deployed models give; nothing was written then.
        NeuralshelfError: as `ingest_catalogue`.
    """
    config = deployment.config
    index = config.index
    dimensions = {name: config.connectors[vector.connector].dimension for name, vector in index.vectors.items()}
    files = VectorFiles(given.paths, dimensions, given.field)
    catalogue = open_catalogue(deployment, path, options)
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    with VectorStore(dimensions) as store:
        store.fill(_shown(files, "vectors", "line"))
        if not store.counts()["vectors"]:
            fault = next(store.faulty(), None)
            why = f": {fault.file}:{fault.line}: {fault.code}: {fault.cause}" if fault else ""
            raise InputError(f"there is no vector that can be used{why}", hint="make the vectors again")
        matching = match(_shown(catalogue.rows(), "matching", "row", catalogue.count()), store, index, seed=seed)
        if not matching.complete + matching.partly:
            raise InputError(f"no id of the vectors is in {path}", hint="give the catalogue that the vectors are of")
        compared = 0
        if not options.dry_run:
            client = stack.client(deployment)
            say(f"making some of the vectors again online, to compare them (--seed {seed})")
            filler = Filler(preparer_of(deployment, catalogue), store, index, deployment.generation)
            compared = confirm_given(client, matching.samples, filler, config.connectors, models_of(client, deployment))
            faults = store.faulty(nobodys=True)
            DeadLetters.of(client, deployment).put(
                Letter(None, fault.code, fault.cause, source=fault.file, line=fault.line) for fault in faults
            )
        report = ingest_catalogue(
            stack,
            deployment,
            path,
            options,
            wrap=lambda preparer: Filler(preparer, store, index, deployment.generation),
            choose=lambda rows: complete(rows, store, index) if given.only_given else rows,
            mark=given.mark(files.files),
        )
        unknown, first = store.unknown(_LISTED)
        return Backfilled(
            report=report,
            **store.counts(),
            unknown=unknown,
            unknown_ids=tuple(first),
            complete=matching.complete,
            partly=matching.partly,
            without=matching.without,
            compared=compared,
        )


def request_catalogue(
    deployment: Deployment,
    path: Path,
    folder: Path,
    options: Options,
    *,
    only: Collection[str] | None = None,
    files: int = 1,
) -> Tally:
    """Write what a batch transform of the catalogue is given. Nothing has to be up.

    Args:
        only: these vector fields; pictures are not read when they need none. None means all.
        files: at least so many for each connector, where there are as many rows.
    """
    config = deployment.config
    catalogue = open_catalogue(deployment, path, options)
    count = catalogue.count()
    prepare = preparer_of(deployment, catalogue)
    pictured = only is None or any(config.index.vectors[name].image for name in only)
    return write_requests(
        _shown(catalogue.rows(), "requests", "row", count),
        folder,
        index=config.index,
        connectors=config.connectors,
        prepare=prepare if pictured else lambda document: prepare(replace(document, picture=None)),
        only=only,
        lines=max(1, count // files) if files > 1 else None,
    )


def embed_catalogue(stack: Stack, deployment: Deployment, path: Path, out: Path, options: Options) -> Tally:
    """Embed a catalogue with the models of this machine. Nothing has to be up."""
    from neuralshelf.local.embed import Embedder, local_endpoints

    catalogue = open_catalogue(deployment, path, options)
    endpoints = local_endpoints(stack.folders.cache, deployment.environment.runtime.visual_file)
    embedder = Embedder(deployment, endpoints, preparer_of(deployment, catalogue))
    with tqdm(total=catalogue.count(), desc="embed", unit="row", file=sys.stderr, disable=_quiet()) as bar:
        return embedder.run(catalogue.rows(), out, lambda row: bar.update(row - bar.n))


def models_of(client: OpenSearch, deployment: Deployment) -> dict[str, str]:
    """Connector -> id of its model that embeds documents."""
    found = OBJECTS[Kind.MODEL].read(client, Scope(deployment.prefix, {}))
    ids = {live.address: live.id for live in sorted(found, key=lambda live: live.created)}
    models = {}
    for connector in deployment.config.connectors:
        address = model_address(deployment.generation, connector, "ingest")
        if address not in ids:
            raise ProvisionError(f"{address} does not exist", hint="neuralshelf apply")
        models[connector] = ids[address]
    return models


def _shown(things: Iterable[_T], name: str, unit: str, total: int | None = None) -> Iterable[_T]:
    return tqdm(things, desc=name, unit=unit, total=total, file=sys.stderr, disable=_quiet())


def _quiet() -> bool:
    return not sys.stderr.isatty()
