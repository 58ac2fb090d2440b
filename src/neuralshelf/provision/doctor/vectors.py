"""Whether models and indexes fit: each pipeline's models exist, and give vectors like those that are kept."""

from collections.abc import Iterator, Sequence

import numpy as np

from neuralshelf.deployment import Deployment
from neuralshelf.errors import ProvisionError
from neuralshelf.provision.doctor.asking import Asker
from neuralshelf.provision.doctor.findings import Finding, finding
from neuralshelf.provision.doctor.indexes import LiveIndex
from neuralshelf.provision.doctor.models import Answer, LiveModel
from neuralshelf.provision.spaces import SAME, Space, agreement, decode


def check_used(ask: Asker, indexes: Sequence[LiveIndex], models: Sequence[LiveModel]) -> Iterator[Finding]:
    """Pipelines take any model id, of models that were deleted, too."""
    known = {model.id for model in models}
    missing: dict[str, str] = {}
    for index in indexes:
        ours = {"ingest": index.ingest, "search": index.search}
        for identity in index.models().keys() - known:
            if identity not in missing and ask.get(f"/_plugins/_ml/models/{identity}") is None:
                kind = next(k for k, body in ours.items() if identity in str(body))
                missing[identity] = f"{kind}-pipeline/{index.ingest_name if kind == 'ingest' else index.search_name}"
    for identity, pipeline in sorted(missing.items()):
        yield finding("pipeline-model-missing", pipeline, pipeline=pipeline, model=identity)


def check_dimensions(
    deployment: Deployment, indexes: Sequence[LiveIndex], answers: Sequence[Answer]
) -> Iterator[Finding]:
    """Once for each connector: the length of its vectors against the configuration and the indexes."""
    told: set[str] = set()
    for answer in answers:
        if answer.vector is None or answer.model.logical in told:
            continue
        given, subject = len(answer.vector), f"{answer.model.url} (connector {answer.model.logical})"
        spec = deployment.config.connectors.get(answer.model.logical)
        ours = answer.model.name.startswith(f"{deployment.generation}-")
        said = None
        if ours and spec is not None and spec.dimension != given:
            said = f"the endpoint gives vectors of {given}, the configuration says {spec.dimension}"
        for index, name in _fields(answer.model, indexes):
            if said is None and index.vectors.get(name, given) != given:
                said = f"the endpoint gives vectors of {given}, {name} of {index.name} takes {index.vectors[name]}"
        if said is not None:
            told.add(answer.model.logical)
            yield finding("dimension-mismatch", subject, said=said)


def check_spaces(indexes: Sequence[LiveIndex], answers: Sequence[Answer]) -> Iterator[Finding]:
    """Vectors of the same length need not be of the same model: held against what the index keeps of its own."""
    told: set[str] = set()
    for answer in answers:
        if answer.vector is None:
            continue
        space = Space(answer.vector / np.linalg.norm(answer.vector), None)
        for index, name in _fields(answer.model, indexes):
            kept = _kept(index).get(name)
            if kept is None or kept.text is None or kept.dimension != space.dimension or answer.model.logical in told:
                continue
            cosine = agreement(space, kept)
            if cosine < SAME:
                told.add(answer.model.logical)
                yield finding(
                    "vector-space-mismatch",
                    f"{answer.model.url} (connector {answer.model.logical})",
                    names=answer.model.name,
                    index=index.name,
                    field=name,
                    cosine=f"{cosine:.2f}",
                )


def _fields(model: LiveModel, indexes: Sequence[LiveIndex]) -> Iterator[tuple[LiveIndex, str]]:
    """The vector fields that a model is used for."""
    for index in indexes:
        for name in sorted(index.models().get(model.id, ())):
            yield index, name


def _kept(index: LiveIndex) -> dict[str, Space]:
    try:
        return decode(index.mappings.get("_meta", {}).get("spaces"), source=index.name)
    except ProvisionError:  # edited by hand: a plan shows that
        return {}
