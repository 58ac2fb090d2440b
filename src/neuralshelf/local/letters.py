"""What `deadletters replay` does on a stack."""

import sys
from pathlib import Path

from tqdm import tqdm

from neuralshelf.deployment import Deployment
from neuralshelf.ingestion.letters.deadletters import DeadLetters
from neuralshelf.ingestion.letters.replay import ReplayReport, replay_stored, rows_with_letters
from neuralshelf.local.loading import Options, ingest_catalogue
from neuralshelf.local.provisioning import confirm_models
from neuralshelf.local.stack import Stack


def replay_letters(
    stack: Stack, deployment: Deployment, *, code: str | None, document_id: str | None, dry_run: bool
) -> ReplayReport:
    """Try the documents again that letters hold whole."""
    client = stack.client(deployment)
    letters = DeadLetters.of(client, deployment)
    total = letters.count(code=code, document_id=document_id)
    if total and not dry_run:
        confirm_models(client, deployment)
    with tqdm(total=total, unit="letter", desc="replay", file=sys.stderr, disable=not sys.stderr.isatty()) as bar:
        return replay_stored(
            client,
            deployment.config.index.name,
            letters,
            code=code,
            document_id=document_id,
            dry_run=dry_run,
            alive=lambda: confirm_models(client, deployment),
            tell=bar.update,
        )


def replay_catalogue(
    stack: Stack, deployment: Deployment, path: Path, options: Options, *, code: str | None, document_id: str | None
) -> ReplayReport:
    """Ingest those rows of a catalogue that have letters, as `ingest` does it: what the catalogue says is right."""
    letters = DeadLetters.of(stack.client(deployment), deployment)
    index = deployment.config.index
    if not letters.count(code=code, document_id=document_id):
        return ReplayReport(0, (), 0, 0, 0)
    report = ingest_catalogue(
        stack,
        deployment,
        path,
        options,
        choose=lambda rows: rows_with_letters(
            rows, letters, index, source=path.name, code=code, document_id=document_id
        ),
    )
    remaining = letters.count(code=code, document_id=document_id)
    return ReplayReport(report.indexed, (), report.dead_letters, 0, remaining)
