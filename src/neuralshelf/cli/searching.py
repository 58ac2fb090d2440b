"""The verbs that put documents in and get hits out."""

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from neuralshelf.cli.context import context
from neuralshelf.errors import ConfigError

if TYPE_CHECKING:
    from neuralshelf.deployment import Config
    from neuralshelf.ingestion.admission import PictureLimits

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
    from neuralshelf.search import Fallback
    from neuralshelf.search import search as ask
    from neuralshelf.tables import hits_table

    if not 1 <= words.size <= 100:
        raise ConfigError(f"--size {words.size} is out of range", hint="give 1 to 100")
    stack, deployment = context(words)
    config = deployment.config
    person = _person(words, config)
    reranked = bool(person) and config.ranking is not None and config.ranking.method == "rerank"
    limits = picture_limits(config.connectors, config.index)
    if any(option is not None for option in (words.box, words.pick, words.prompt)):
        image: str | None = _crop(words, limits)
    else:
        image = picture(words.image, limits) if words.image else None
    client = stack.client(deployment)
    index, template = config.index.name, config.search.template
    fallback = Fallback(config.search.keyword_template, config.search.deadline)
    asked = {"text": words.text, "picture": image, "size": words.size}
    found = ask(client, index, template, product=config.index.product, fallback=fallback, **asked, **person)
    if words.json:
        hits = [
            {"id": hit.id, "score": hit.score}
            | ({"views": hit.views} if config.index.product else {})
            | ({"why": hit.why and hit.why.as_dict()} if reranked else {})
            | dict(hit.fields)
            for hit in found.hits
        ]
        answer = {"total": found.total, "at_least": found.at_least, "degraded": found.degraded, "hits": hits}
        answer |= {"ranked": found.is_ranked} if reranked else {}
        print(json.dumps({"format_version": 1} | answer, ensure_ascii=False))
    else:
        print(hits_table(found.hits))
        order = f", in the order of {words.user}: {_formula(person['user_weight'])}" if found.is_ranked else ""
        print(f"\n{len(found.hits)} of {'more than ' * found.at_least}{found.total} products{order}")
    if found.degraded:
        note = f"neuralshelf: {found.degraded}: these hits are by words alone; next: neuralshelf status"
        print(note, file=sys.stderr)
    if reranked and found.hits and not found.is_ranked:
        note = f"the ranker gave no order for {words.user}: these hits are in the order of the search"
        print(f"neuralshelf: {note}; next: neuralshelf doctor", file=sys.stderr)
    return 0


def _person(words: argparse.Namespace, config: "Config") -> dict[str, Any]:
    """In whose order hits are to come, as `search` takes it; empty for nobody's."""
    from neuralshelf.connectors.ranking import LONGEST_USER

    if words.user is None:
        if words.user_weight is not None:
            raise ConfigError("--user-weight is of a person's preference", hint="give --user NAME")
        return {}
    if config.ranking is None:
        raise ConfigError(f"--user: {words.config} ranks nothing", hint="write `ranking`, then neuralshelf apply")
    if not 1 <= len(words.user) <= LONGEST_USER:
        raise ConfigError(f"--user must be 1 to {LONGEST_USER} characters", hint="give the id that interactions have")
    weight = config.ranking.weight if words.user_weight is None else words.user_weight
    if not 0 <= weight <= 1:
        raise ConfigError(f"--user-weight {weight:g} is out of range", hint="give 0 to 1")
    return {"user": words.user, "user_weight": weight}


def _formula(weight: float) -> str:
    return f"score = relevance ^ {round(1 - weight, 6):g} × preference ^ {weight:g}"


def _crop(words: argparse.Namespace, limits: "PictureLimits") -> str:
    """One thing in the picture, cropped, in base64."""
    from neuralshelf.cli.detect import check_prompt, detector_of, given_box
    from neuralshelf.ingestion.admission import admit
    from neuralshelf.local.detect import Detected, described, detect_file, read_picture, the_one

    if words.image is None:
        raise ConfigError("--box, --pick and --prompt are of a picture", hint="give --image FILE")
    check_prompt(words.prompt)
    if words.box is not None:
        box = given_box(words.box)
        found = Detected((), read_picture(words.image))
    else:
        found = detect_file(words.image, words.prompt, detector=detector_of(words))
        box = the_one(found.objects, words.pick, described(words.image, words.prompt)).box
    return admit(found.crop(box), limits, words.image.name).encoded
