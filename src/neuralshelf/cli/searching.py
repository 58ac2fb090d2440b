"""The verbs that put documents in and get hits out."""

import argparse
import json

from neuralshelf.cli.context import context
from neuralshelf.errors import ConfigError

DEAD_LETTERS_REMAIN = 3


def ingest(words: argparse.Namespace) -> int:
    from neuralshelf.local.loading import Options, ingest_catalogue
    from neuralshelf.tables import ingest_text

    options = Options(
        pictures=words.pictures,
        format=words.format,
        dry_run=words.dry_run,
        restart=words.restart,
        full_speed=words.full_speed,
    )
    report = ingest_catalogue(*context(words), words.file, options)
    if words.json:
        print(json.dumps({"format_version": 2} | report.as_dict(), ensure_ascii=False))
    else:
        print(ingest_text(report, dry_run=words.dry_run))
    return DEAD_LETTERS_REMAIN if report.dead_letters else 0


def search(words: argparse.Namespace) -> int:
    from neuralshelf.ingestion.admission import picture_limits
    from neuralshelf.local.catalogue import picture
    from neuralshelf.search import search as ask
    from neuralshelf.tables import hits_table

    if not 1 <= words.size <= 100:
        raise ConfigError(f"--size {words.size} is out of range", hint="give 1 to 100")
    stack, deployment = context(words)
    config = deployment.config
    image = picture(words.image, picture_limits(config.connectors, config.index)) if words.image else None
    client = stack.client(deployment)
    hits = ask(client, config.index.name, config.search.template, text=words.text, picture=image, size=words.size)
    if words.json:
        found = [{"id": hit.id, "score": hit.score, **hit.fields} for hit in hits]
        print(json.dumps({"format_version": 1, "hits": found}, ensure_ascii=False))
    else:
        print(hits_table(hits))
    return 0
