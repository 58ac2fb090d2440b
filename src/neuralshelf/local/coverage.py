"""What `coverage` and `repair` do on a stack."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from opensearchpy import OpenSearch

from neuralshelf.deployment import Deployment
from neuralshelf.errors import InputError
from neuralshelf.ingestion.coverage.comparison import Comparison, Ids, deep_look
from neuralshelf.ingestion.coverage.coverage import Coverage, Note, Scan, Tally, look, no_note
from neuralshelf.ingestion.coverage.repair import WRITERS, Repair, Repaired
from neuralshelf.local.backfill import models_of
from neuralshelf.local.loading import Options, open_catalogue, preparer_of
from neuralshelf.local.provisioning import confirm_models
from neuralshelf.local.stack import Stack


def coverage(
    stack: Stack, deployment: Deployment, *, catalogue: Path | None, options: Options, deep: int, ids: Path | None
) -> Coverage:
    """Look at every document's vectors, and at what the catalogue has.

    Args:
        catalogue: None looks at the index alone.
        deep: so many documents' texts are embedded again.
        ids: a file that gets a line for each finding.

    Raises:
        NeuralshelfError: the catalogue can't be read, the index or a model is not there.
    """
    client = stack.client(deployment)
    scan = _scan(client, deployment)
    with _noting(ids) as note:
        comparison = _comparison(scan, deployment, catalogue, options)
        tally = comparison.look(note) if comparison else Tally()
        known = comparison.ids if comparison else Ids()

        def seen(identity: str) -> None:
            if comparison is not None and identity not in known:
                tally.add("not_in_catalogue", identity)
                note(identity, "catalogue", "not_in_catalogue")

        found = look(scan, note, seen)
        config = deployment.config
        deeper = deep_look(scan, deep, config.connectors, models_of(client, deployment), note) if deep else None
    return replace(found, catalogue=tally if comparison else None, deep=deeper)


def repair(
    stack: Stack, deployment: Deployment, *, catalogue: Path | None, options: Options, ids: Path | None
) -> Repaired:
    """Make vectors again where they are wrong.

    Args:
        ids: a file that gets a line for each document that can't be mended.

    Raises:
        NeuralshelfError: as `coverage`; another model answers than the one of the index.
    """
    client = stack.client(deployment, pool=WRITERS + 2)
    if not options.dry_run:
        confirm_models(client, deployment)
    scan = _scan(client, deployment)
    with _noting(ids) as note:
        comparison = _comparison(scan, deployment, catalogue, options, full=True)
        return Repair(scan, comparison, options.dry_run, note).run()


def _scan(client: OpenSearch, deployment: Deployment) -> Scan:
    index = deployment.config.index
    return Scan(client, index.physical_name, index, deployment.generation)


def _comparison(
    scan: Scan, deployment: Deployment, catalogue: Path | None, options: Options, *, full: bool = False
) -> Comparison | None:
    if catalogue is None:
        return None
    found = open_catalogue(deployment, catalogue, options)
    return Comparison(scan, found, preparer_of(deployment, found), full)


@contextmanager
def _noting(path: Path | None) -> Iterator[Note]:
    """Lines of JSON into a file; nothing without one."""
    if path is None:
        yield no_note
        return
    try:
        with path.open("w", encoding="utf-8") as file:

            def note(identity: str, of: str, what: str) -> None:
                line: Mapping[str, str] = {"id": identity, "of": of, "what": what}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")

            yield note
    except OSError as fault:
        raise InputError(f"{path} can't be written ({fault.strerror})", hint="name another file with --ids") from None
