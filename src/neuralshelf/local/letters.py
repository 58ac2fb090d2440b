"""What `deadletters replay` does on a stack."""

import sys
from pathlib import Path

from tqdm import tqdm

from neuralshelf.deployment import Deployment
from neuralshelf.errors import InputError
from neuralshelf.ingestion.deadletters import DeadLetters
from neuralshelf.ingestion.replay import ReplayReport, replay_stored
from neuralshelf.local.provisioning import confirm_models
from neuralshelf.local.stack import Stack


def replay_letters(
    stack: Stack, deployment: Deployment, *, code: str | None, document_id: str | None, dry_run: bool
) -> ReplayReport:
    """Try the documents again that are in letters whole."""
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
            tell=bar.update,
        )


def replay_catalogue(
    stack: Stack,
    deployment: Deployment,
    path: Path,
    *,
    pictures: str | None,
    code: str | None,
    document_id: str | None,
    dry_run: bool,
) -> ReplayReport:
    """Ingest those rows of a catalogue that have letters."""
    raise InputError(f"{path}: not yet", hint="ingest it whole: it settles letters, too")
