"""What `evaluate` does on a stack, and a catalogue's pictures for `migrate`."""

from collections.abc import Callable
from pathlib import Path

from neuralshelf.deployment import Deployment
from neuralshelf.errors import ConfigError, InputError
from neuralshelf.ingestion.admission import PictureLimits, Refused, admit, admit_file
from neuralshelf.ingestion.catalogue import Catalogue, Product
from neuralshelf.ingestion.documents import documents
from neuralshelf.local.stack import Stack
from neuralshelf.pipelines.spec import IndexSpec
from neuralshelf.provision.migration.pictures import no_pictures
from neuralshelf.relevance.evaluate import Evaluator


def pictures_of(path: Path | None, index: IndexSpec, limits: PictureLimits) -> Callable[[str], str | None]:
    """Id of a document -> its picture as base64; None for one without, or with a picture that can't be taken.

    Raises:
        InputError: the catalogue does not exist.
    """
    if path is None:
        return no_pictures
    rows = (row for row in Catalogue(path, index).rows() if isinstance(row, Product))
    found = {made.id: made.picture for row in rows for made in documents(row, index)}

    def find(identity: str) -> str | None:
        picture = found.get(identity)
        if picture is None:
            return None
        try:
            return admit(picture.read(limits.max_bytes), limits, picture.name).encoded
        except Refused:
            return None

    return find


def picture(path: Path, limits: PictureLimits) -> str:
    """A picture file as base64, as its models take it.

    Raises:
        InputError: it can't be taken.
    """
    try:
        return admit_file(path, limits).encoded
    except Refused as fault:
        raise InputError(f"picture {path}: {fault}", hint="mend or leave out that picture") from None


def evaluate_deployment(
    stack: Stack, deployment: Deployment, *, catalogue: Path, data: Path | None
) -> dict[str, dict[str, float]]:
    """Measures of the sample catalogue, and of the judged sets below `data`, asked of the running engine."""
    index = deployment.config.index
    vector = next((name for name, made_of in index.vectors.items() if made_of.image is not None), None)
    field = _picture_field(index)
    if vector is None or field is None:
        raise ConfigError("the index has no picture vector", hint="add one under index.vectors in the configuration")
    client = stack.client(deployment)
    cosine = index.vectors[vector].cosine
    evaluator = Evaluator(client, index.name, vector=vector, picture_field=field, cosine=cosine)
    found: dict[str, dict[str, float]] = {}
    if catalogue.is_file():
        found["sample"] = evaluator.sample(catalogue)
    if data is not None:
        found["clothing-cc0 test"] = evaluator.clothing(data / "clothing-cc0")
        found["products-mit"] = evaluator.products(data / "products-mit")
    if not found:
        raise InputError("nothing to evaluate", hint="run in a clone with samples/, or give judged sets with --data")
    return found


def _picture_field(index: IndexSpec) -> str | None:
    return next(iter(index.images), None)
