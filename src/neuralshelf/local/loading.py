"""What `ingest` does on a stack: the parts of one run, put together."""

import hashlib
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from opensearchpy import AuthorizationException, OpenSearch

from neuralshelf.deployment import Deployment
from neuralshelf.ingestion.account import Report
from neuralshelf.ingestion.admission import picture_limits
from neuralshelf.ingestion.catalogue import BadLine, Catalogue, Product
from neuralshelf.ingestion.checkpoint import Checkpoint, Progress
from neuralshelf.ingestion.documents import drop_stale_views
from neuralshelf.ingestion.ingest import Ingest
from neuralshelf.ingestion.letters.deadletters import DeadLetters
from neuralshelf.ingestion.preparing import Preparer
from neuralshelf.ingestion.rows.formats import FormatName
from neuralshelf.ingestion.searches import SearchWatch
from neuralshelf.ingestion.sender import Prepare, Sender
from neuralshelf.ingestion.sources.source import open_pictures
from neuralshelf.ingestion.tempo import MOST_WRITERS, Tempo
from neuralshelf.ingestion.tokens import text_limits
from neuralshelf.local.provisioning import confirm_models, say
from neuralshelf.local.stack import Stack
from neuralshelf.pipelines.ingest import texts_a_call
from neuralshelf.search import search


@dataclass(frozen=True)
class Options:
    """How to ingest.

    Attributes:
        dry_run: read, check and count everything, send nothing; nothing has to be up.
        restart: from the first row, wherever a run before was stopped.
        full_speed: don't look at how long searches take meanwhile.
        pictures, format: see `Catalogue`.
    """

    pictures: str | None = None
    format: FormatName | None = None
    dry_run: bool = False
    restart: bool = False
    full_speed: bool = False


Rows = Iterable[Product | BadLine]


def open_catalogue(deployment: Deployment, path: Path, options: Options) -> Catalogue:
    """The catalogue, with its pictures where the options say."""
    runtime = deployment.environment.runtime
    pictures = open_pictures(options.pictures, profile=runtime.profile) if options.pictures else None
    return Catalogue(path, deployment.config.index, pictures=pictures, format=options.format)


def preparer_of(deployment: Deployment, catalogue: Catalogue) -> Preparer:
    """What makes documents of the catalogue's products."""
    config = deployment.config
    return Preparer(
        config.index,
        picture_limits(config.connectors, config.index),
        text_limits(config.connectors, config.index),
        picture_key=f"{catalogue.folder.name}-{hashlib.sha256(str(catalogue.folder).encode()).hexdigest()[:8]}",
    )


def text_batch(deployment: Deployment) -> int:
    """The most texts that one of its models takes at once."""
    return max(texts_a_call(config) or 1 for config in deployment.config.connectors.values())


def ingest_catalogue(
    stack: Stack,
    deployment: Deployment,
    path: Path,
    options: Options,
    *,
    wrap: Callable[[Preparer], Prepare] | None = None,
    choose: Callable[[Rows], Rows] | None = None,
    mark: str = "",
) -> Report:
    """Index a catalogue file and let the page show its pictures.

    Args:
        wrap: makes documents otherwise than usual.
        choose: leaves rows out.
        mark: what `wrap` and `choose` go by: only a run with the same is gone on with, and none without.

    Raises:
        NeuralshelfError: the catalogue can't be read, models or cluster are not there, another model answers.
    """
    index = deployment.config.index
    catalogue = open_catalogue(deployment, path, options)
    preparer = preparer_of(deployment, catalogue)
    prepare = wrap(preparer) if wrap else preparer
    resumable = bool(mark) or (wrap is None and choose is None)
    choose = choose or (lambda rows: rows)
    if options.dry_run:
        run = Ingest(Sender(None, index.name, prepare), index, path.name, say=say)
        return _noted(run.run(choose(catalogue.rows()), total=catalogue.count()), preparer, catalogue)
    client = stack.client(deployment, pool=MOST_WRITERS + 2)
    confirm_models(client, deployment)
    letters = DeadLetters.of(client, deployment)
    letters.require()
    try:
        stack.state.add_picture_folder(preparer.picture_key, catalogue.folder)
    except OSError as fault:
        say(f"{stack.folders.state} can't be written ({fault.strerror}): the page won't show this catalogue's pictures")
    checkpoint = _checkpoint(stack, client, path, index.name, mark) if resumable else None
    start = checkpoint.load() if checkpoint is not None and not options.restart else Progress()
    if start.row:
        say(f"going on after row {start.row}, where a run before was stopped (--restart begins anew)")
    if index.product is not None:
        client.indices.refresh(index=index.name)  # so that documents of pictures that products have no more are seen
    with ExitStack() as watching:
        searches = None
        if not options.full_speed:
            searches = watching.enter_context(SearchWatch(client, index.name, _asking(client, deployment)))
        run = Ingest(
            Sender(client, index.name, prepare, before=partial(drop_stale_views, client, index)),
            index,
            path.name,
            letters=letters,
            alive=lambda: confirm_models(client, deployment),
            checkpoint=checkpoint,
            searches=searches,
            tempo=Tempo(batch=text_batch(deployment)),
            start=start,
            say=say,
        )
        report = run.run(choose(catalogue.rows(start.row + 1)), total=catalogue.count())
    client.indices.refresh(index=index.name)
    return _noted(report, preparer, catalogue)


def _noted(report: Report, preparer: Preparer, catalogue: Catalogue) -> Report:
    unknown = {f"column {name} left out: the index has no such field": n for name, n in catalogue.ignored.items()}
    return replace(report, notes=dict(preparer.notes.most_common()) | unknown)


def _asking(client: OpenSearch, deployment: Deployment) -> Callable[[], object]:
    config = deployment.config
    return lambda: search(client, config.index.name, config.search.template, text="a", size=1)


def _checkpoint(stack: Stack, client: OpenSearch, catalogue: Path, index: str, mark: str) -> Checkpoint | None:
    try:
        found = client.indices.stats(index=index, metric="docs")["indices"]
    except AuthorizationException:
        say("this login may not read statistics of the index, so a stopped run begins anew")
        return None
    uuid = next(iter(found.values()))["uuid"]
    return Checkpoint(stack.folders.state / "ingest", catalogue, f"{uuid} {mark}".strip()).open()
