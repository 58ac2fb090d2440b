"""What the cluster's books say: index, alias, defaults, and which model each of them names. Asks no model."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from opensearchpy import NotFoundError

from neuralshelf.connectors.spec import Role
from neuralshelf.provision.verify.check import Check
from neuralshelf.provision.verify.subject import Subject
from neuralshelf.resource import Kind

APPLY = "neuralshelf apply"
MIGRATE = "raise index.version and run neuralshelf migrate"
_INLINE = re.compile(r'"neural_field_default_id"\s*:\s*(\{[^{}]*\})')


def check_wiring(subject: Subject) -> Iterator[Check]:
    """Everything that can be read; the index first, since all else hangs on it."""
    yield _index(subject)
    yield _alias(subject)
    if subject.index_address in subject.live:
        for field in subject.index.vectors:
            yield _vector_field(subject, field)
            yield _space(subject, field)
        yield from _defaults(subject)
    yield from _ingest_pipeline(subject)
    yield from _search_pipeline(subject)
    yield from _templates(subject)


def _index(subject: Subject) -> Check:
    live = subject.live.get(subject.index_address)
    if live is None:
        return Check("index", subject.index_address, False, "does not exist", APPLY)
    if not subject.owns(live):
        remedy = f"rename index.name, or delete {live.name} if nobody needs it"
        return Check("index", subject.index_address, False, "is there, but this deployment did not make it", remedy)
    return Check("index", subject.index_address, True, "is there")


def _alias(subject: Subject) -> Check:
    alias, wanted = subject.index.name, subject.index.physical_name
    try:
        behind = subject.client.indices.get(index=alias)
    except NotFoundError:
        return Check("alias", alias, False, "names no index", APPLY)
    options = {name: body.get("aliases", {}).get(alias) for name, body in behind.items()}
    if set(options) != {wanted}:
        remedy = f"neuralshelf migrate moves it; by hand: POST _aliases, so that it names {wanted} alone"
        return Check("alias", alias, False, f"names {', '.join(sorted(options))} instead of {wanted}", remedy)
    if options[wanted]:
        return Check("alias", alias, False, f"has {_short(options[wanted])}: not all documents, or not here", APPLY)
    return Check("alias", alias, True, f"names {wanted} alone")


def _vector_field(subject: Subject, field: str) -> Check:
    of = f"{subject.index_address}, {field}"
    mapping = subject.live[subject.index_address].body["mappings"].get("properties", {}).get(field, {})
    model = subject.model(field, "ingest")
    found = mapping.get("dimension")
    kept = subject.spaces.get(field)
    wanted = subject.index.vectors[field].space
    space = mapping.get("space_type") or mapping.get("method", {}).get("space_type", "l2")
    fault = None
    if mapping.get("type") != "knn_vector":
        fault = f"is {_short(mapping.get('type', 'missing'))}, no knn_vector"
    elif found != model.spec.dimension:
        fault = f"takes vectors of {found}, its models give {model.spec.dimension}"
    elif kept is not None and kept.dimension != found:
        fault = f"takes vectors of {found}, the index was made for a model of {kept.dimension}"
    elif space != wanted:
        fault = f"compares by {space} instead of {wanted}"
    if fault:
        return Check("vector-field", of, False, fault, MIGRATE)
    return Check("vector-field", of, True, f"{found} numbers, {space}")


def _space(subject: Subject, field: str) -> Check:
    of = f"{subject.index_address}, {field}"
    if field not in subject.spaces:
        found = "the index keeps nothing of the model that its vectors came from"
        return Check("space", of, False, found, f"with an empty index {APPLY}, else {MIGRATE}")
    return Check("space", of, True, "known")


def _defaults(subject: Subject) -> Iterator[Check]:
    wanted = {
        "index.default_pipeline": subject.one(Kind.INGEST_PIPELINE)[0].name,
        "index.search.default_pipeline": subject.one(Kind.SEARCH_PIPELINE)[0].name,
        "index.final_pipeline": None,
    }
    for setting, name in wanted.items():
        found = subject.settings.get(setting)
        found = None if found == "_none" else found
        yield Check(
            "index-default",
            f"{subject.index_address}, {setting}",
            found == name,
            f"is {found or 'not set'}" + ("" if found == name else f" instead of {name or 'not set'}"),
            "" if found == name else APPLY,
        )


def _ingest_pipeline(subject: Subject) -> Iterator[Check]:
    resource, live = subject.one(Kind.INGEST_PIPELINE)
    if live is None:
        yield Check("ingest-pipeline", resource.address, False, "does not exist: every write is refused", APPLY)
        return
    for field in subject.index.vectors:
        used = [model for made, model in _embedded(live.body.get("processors", [])) if made == field]
        yield _named(subject, "ingest-pipeline", f"{resource.address}, {field}", used, field, "ingest")


def _embedded(processors: Any) -> Iterator[tuple[str, object]]:
    """(vector field, model id) of every processor that embeds."""
    for processor in processors:
        for kind, options in processor.items():
            if kind == "text_image_embedding":
                yield str(options.get("embedding")), options.get("model_id")
            elif kind == "text_embedding":
                for field in options.get("field_map", {}).values():
                    yield str(field), options.get("model_id")


def _search_pipeline(subject: Subject) -> Iterator[Check]:
    resource, live = subject.one(Kind.SEARCH_PIPELINE)
    if live is None:
        yield Check("search-pipeline", resource.address, False, "does not exist: every search is refused", APPLY)
        return
    enrichers = [
        processor["neural_query_enricher"].get("neural_field_default_id", {})
        for processor in live.body.get("request_processors", [])
        if "neural_query_enricher" in processor
    ]
    for field in subject.index.vectors:
        used = [models[field] for models in enrichers if field in models]
        yield _named(subject, "search-pipeline", f"{resource.address}, {field}", used, field, "search")
    combines = any(
        kind in ("normalization-processor", "score-ranker-processor")
        for processor in live.body.get("phase_results_processors", [])
        for kind in processor
    )
    if not combines:
        yield Check(
            "search-pipeline", resource.address, False, "does not make the scores of hybrid queries comparable", APPLY
        )


def _templates(subject: Subject) -> Iterator[Check]:
    for resource in subject.desired.values():
        if resource.kind is not Kind.SEARCH_TEMPLATE:
            continue
        live = subject.live.get(resource.address)
        if live is None:
            yield Check("search-template", resource.address, False, "does not exist", APPLY)
        elif resource.depends_on:
            inline = _models_inside(str(live.body["script"].get("source")))
            for field in subject.index.vectors:
                used = [models[field] for models in inline if field in models]
                yield _named(subject, "search-template", f"{resource.address}, {field}", used, field, "search")


def _models_inside(source: str) -> list[Mapping[str, object]]:
    """What the inline pipelines of a stored template name: vector field -> model id."""
    found = []
    for text in _INLINE.findall(source):
        try:
            found.append(json.loads(text))
        except ValueError:
            continue
    return found


def _named(subject: Subject, name: str, of: str, used: list[object], field: str, role: Role) -> Check:
    """Whether all that is used for a field is the one model it should be."""
    model = subject.model(field, role)
    if not used:
        return Check(name, of, False, f"names no model for {field}", APPLY)
    wrong = [identity for identity in used if identity != model.id or model.id is None]
    if wrong:
        return Check(name, of, False, f"uses {subject.named(wrong[0])} instead of {model.address}", APPLY)
    return Check(name, of, True, f"uses {model.address}")


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 100 else text[:99] + "…"
