"""Pictures for vectors that have to be made anew: nobody keeps them, so they come from where they are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opensearchpy import OpenSearch

from neuralshelf.pipelines.spec import IndexSpec
from neuralshelf.pipelines.stamps import picture_field, restamped, stamp_field
from neuralshelf.provision.migration.changes import Changed
from neuralshelf.provision.objects.index import documents
from neuralshelf.provision.spaces import SAME, Space, agreement

Pictures = Callable[[str], str | None]
"""Id of a document -> its picture as base64; None where it has none."""


def no_pictures(identity: str) -> str | None:
    """There is no catalogue."""
    return None


@dataclass
class Shaper:
    """Makes documents for the new generation of an index from those of the old one.

    Text vectors are left out, since the ingest pipeline makes them anew. A picture's vector goes along while the model
    of pictures stays the same, stamped for the new generation; else the picture itself has to.

    Attributes:
        old, new: both generations, as their stamps name them (`Deployment.generation`).
    """

    index: IndexSpec
    old: str
    new: str
    before: Mapping[str, Space]
    after: Mapping[str, Space]
    pictures: Pictures = no_pictures

    @property
    def changed(self) -> tuple[str, ...]:
        """Vectors of pictures that have to be made from the pictures."""
        return tuple(
            name
            for name, vector in self.index.vectors.items()
            if vector.image is not None
            and (vector.joint or name not in self.before or agreement(self.before[name], self.after[name]) < SAME)
        )

    @property
    def images(self) -> tuple[str, ...]:
        """Fields that bring those pictures, each once."""
        images = (self.index.vectors[name].image for name in self.changed)
        return tuple(dict.fromkeys(image for image in images if image is not None))

    @property
    def without(self) -> tuple[str, ...]:
        """What need not be read: vectors that are made anew, and their stamps."""
        left = [(name, vector) for name, vector in self.index.vectors.items() if vector.image is None]
        return tuple(field for name, vector in left for field in (name, *vector.stamps(name)))

    def __call__(self, page: Sequence[Changed]) -> dict[str, dict[str, Any]]:
        """id -> document."""
        return {document.id: self._shaped(document) for document in page}

    def _shaped(self, document: Changed) -> dict[str, Any]:
        kept = {*self.index.fields, *self.index.images, *self.index.vectors} - {*self.changed}
        made = {name: value for name, value in document.source.items() if name in kept}
        for name in self.index.vectors.keys() & made.keys():
            stamp = document.source.get(stamp_field(name))
            if stamp is not None:  # one of a third generation stays as it is, and the new index refuses it
                made[stamp_field(name)] = restamped(stamp, self.old, self.new)
        for name in self.changed:
            image = self.index.vectors[name].image
            assert image is not None
            if self._had_picture(document, name) and not made.get(image):
                picture = self.pictures(document.id)
                if picture is not None:
                    made[image] = picture
        return made

    def _had_picture(self, document: Changed, name: str) -> bool:
        if self.index.vectors[name].joint:
            return document.source.get(picture_field(name)) is not None
        return document.source.get(name) is not None


def lost_pictures(client: OpenSearch, shaper: Shaper, source: str, target: str) -> int:
    """How many documents have a vector of a picture in `source` and none in `target`, of the vector with the most."""
    lost = 0
    for name in shaper.changed:
        query: dict[str, Any] = {"exists": {"field": name}}
        if shaper.index.vectors[name].joint:
            query = {"exists": {"field": picture_field(name)}}
        counts = []
        for index in (source, target):
            client.indices.refresh(index=index)
            counts.append(documents(client, index, query))
        lost = max(lost, counts[0] - counts[1])
    return lost


def keep_pictures(client: OpenSearch, index: str, fields: Sequence[str], *, keep: bool) -> None:
    """Let an index keep the pictures that it is sent, or forget them again as it usually does."""
    settings = client.indices.get_settings(index=index, flat_settings=True)[index]["settings"]
    name = settings["index.default_pipeline"]
    pipeline = client.ingest.get_pipeline(id=name)[name]
    removing = next(processor["remove"] for processor in pipeline["processors"] if "remove" in processor)
    others = [helper for helper in removing["field"] if helper not in fields]
    wanted = others if keep else [*others, *fields]
    if wanted == removing["field"]:
        return
    if keep:
        client.indices.put_mapping(index=index, body={"properties": {field: {"type": "binary"} for field in fields}})
    removing["field"] = wanted
    client.ingest.put_pipeline(id=name, body=pipeline)
