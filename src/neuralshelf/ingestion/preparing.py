"""A document as `_bulk` takes it: its texts looked at, its picture read, admitted and in base64."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from neuralshelf.ingestion.admission import PictureLimits, admit
from neuralshelf.ingestion.documents import Document
from neuralshelf.ingestion.tokens import TextLimit, check
from neuralshelf.pipelines.spec import IndexSpec
from neuralshelf.pipelines.stamps import joined

PICTURE_PATH = "image_path"
"""Where a document says which picture it has, when the index has such a field."""


@dataclass
class Preparer:
    """Prepares documents, in several threads.

    Attributes:
        texts: vector field -> what its model reads of a text.
        picture_key: written before a picture's name, so that a page can find the pictures of several catalogues.
        notes: what was done to documents that are sent (`picture converted: CMYK`) -> how many.
    """

    index: IndexSpec
    limits: PictureLimits
    texts: Mapping[str, TextLimit]
    picture_key: str = ""
    notes: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, document: Document) -> dict[str, Any]:
        """The body to index.

        Raises:
            Refused: its picture can't be taken, or its text is longer than a model takes at all.
        """
        body = dict(document.fields)
        notes = []
        for vector, limit in self.texts.items():
            text = joined(body, self.index.vectors[vector].text)
            if check(text, limit, vector) is not None:
                notes.append(f"{vector}: text longer than the model reads")
        picture = document.picture
        if picture is not None and self.index.images:
            admitted = admit(picture.read(self.limits.max_bytes), self.limits, picture.name)
            if admitted.converted:
                notes.append(f"picture converted: {admitted.converted}")
            body[self.index.images[0]] = admitted.encoded
            if PICTURE_PATH in self.index.fields:
                body[PICTURE_PATH] = f"{self.picture_key}/{picture.name}" if self.picture_key else picture.name
        with self._lock:
            self.notes.update(notes)
        return body
