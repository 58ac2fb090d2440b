"""A catalogue's pictures for `migrate`, and a picture file for a search."""

from collections.abc import Callable
from pathlib import Path

from neuralshelf.errors import InputError
from neuralshelf.ingestion.admission import PictureLimits, Refused, admit, admit_file
from neuralshelf.ingestion.catalogue import Catalogue, Product
from neuralshelf.ingestion.documents import documents
from neuralshelf.pipelines.spec import IndexSpec
from neuralshelf.provision.migration.pictures import no_pictures


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
