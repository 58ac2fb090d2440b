"""What a bulk run of the models is given: the inputs of a catalogue, as JSON lines for a SageMaker batch transform.

    {"id": "teapot-00", "vector": "image_vector", "from": "9f86d081…", "input": {"inputImage": "…", …}}

`input` is what the endpoint gets online, byte for byte the same text and picture. With InputFilter `$.input` the model
sees that alone, and JoinSource `Input` puts its answer beside the id (`ingestion.vectors` reads that).
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from neuralshelf.connectors.spec import BedrockTitanMultimodal, ConnectorSpec, SageMakerText
from neuralshelf.errors import ConfigError, InputError
from neuralshelf.ingestion.admission import Refused
from neuralshelf.ingestion.catalogue import BadLine, Product
from neuralshelf.ingestion.documents import Document, documents
from neuralshelf.ingestion.vectors.files import ID, MADE_FROM, VECTOR
from neuralshelf.pipelines.spec import IndexSpec, VectorSpec
from neuralshelf.pipelines.stamps import digest, joined, together

INPUT = "input"
PART_BYTES = 90_000_000
"""A job writes the answers to a file only when all of its lines succeeded, so files are kept small."""

PART_LINES = 10_000
_EXAMPLES = 10


@dataclass(frozen=True)
class Inputs:
    """What one vector of one document is made from; at least one of both is there.

    Attributes:
        text: as the pipeline joins it.
        image: base64.
    """

    text: str | None
    image: str | None


def inputs(body: Mapping[str, Any], vector: VectorSpec) -> Inputs | None:
    """The inputs of one vector; None when the document has nothing for it.

    Args:
        body: a document as it is sent, its picture in base64.
    """
    text = joined(body, vector.text) or None
    image = body.get(vector.image) if vector.image else None
    return Inputs(text, image) if text or image else None


def content(given: Inputs, vector: VectorSpec) -> str:
    """What is stamped (`pipelines.stamps`) of a vector that was made from these inputs."""
    if vector.joint:
        return together(given.text or "", None if given.image is None else digest(given.image))
    return given.text or given.image or ""


def model_input(spec: ConnectorSpec, given: Inputs) -> Any:
    """The body that the endpoint of a connector takes, as the connector makes it."""
    if isinstance(spec, SageMakerText):
        return [given.text]
    found = {"inputText": given.text, "inputImage": given.image}
    config = {"embeddingConfig": {"outputEmbeddingLength": spec.dimension}}
    return {key: value for key, value in found.items() if value is not None} | config


@dataclass
class Tally:
    """What became of a catalogue's documents.

    Attributes:
        made: connector -> requests, or vector field -> vectors.
        skipped: documents that were done already.
        refused: rows and documents of which nothing was made, by the code of why.
        examples: some of their causes.
    """

    made: dict[str, int] = field(default_factory=dict)
    skipped: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)

    def make(self, name: str) -> None:
        """Count one."""
        self.made[name] = self.made.get(name, 0) + 1

    def refuse(self, line: int, code: str, cause: str) -> None:
        """Count one, and remember the first ten."""
        self.refused[code] = self.refused.get(code, 0) + 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(f"row {line}: {code}: {cause}")

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def write_requests(
    rows: Iterable[Product | BadLine],
    folder: Path,
    *,
    index: IndexSpec,
    connectors: Mapping[str, ConnectorSpec],
    prepare: Callable[[Document], Mapping[str, Any]],
    only: Collection[str] | None = None,
    lines: int | None = None,
) -> Tally:
    """Write `FOLDER/CONNECTOR/00001.jsonl` and so on: a folder is the input of one transform job.

    Args:
        prepare: a document as it is sent, its picture admitted and in base64.
        only: these vector fields; None means all.
        lines: the most in one file, where that is less than PART_LINES.

    Raises:
        ConfigError: no connector of the index is an endpoint of SageMaker.
        InputError: the folder holds something already, or can't be written.
    """
    fields = {
        name: (vector.connector, connectors[vector.connector])
        for name, vector in index.vectors.items()
        if not isinstance(connectors[vector.connector], BedrockTitanMultimodal) and (only is None or name in only)
    }
    if not fields:
        raise ConfigError("batch transform is of SageMaker, and the models are Bedrock's", hint="neuralshelf ingest")
    done = Tally()
    try:
        parts = {name: _Parts(folder / name, min(lines or PART_LINES, PART_LINES)) for name in dict(fields.values())}
        for row in rows:
            if isinstance(row, BadLine):
                done.refuse(row.line, "BadLine", row.cause)
                continue
            for document in documents(row, index):
                try:
                    body = prepare(document)
                except Refused as fault:
                    done.refuse(row.line, fault.code, str(fault))
                    continue
                for name, (connector, spec) in fields.items():
                    given = inputs(body, index.vectors[name])
                    if given is None:
                        continue
                    made_from = digest(content(given, index.vectors[name]))
                    line = {ID: document.id, VECTOR: name, MADE_FROM: made_from, INPUT: model_input(spec, given)}
                    parts[connector].write(json.dumps(line, ensure_ascii=False))
                    done.make(connector)
        for part in parts.values():
            part.close()
    except OSError as fault:
        raise InputError(f"{folder}: {fault.strerror or fault}", hint="give another folder with --requests") from None
    return done


class _Parts:
    """Files of one folder, each full before the next begins."""

    def __init__(self, folder: Path, most: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InputError(f"{folder} is not empty", hint="give a new folder: old requests would be run again")
        self._folder = folder
        self._most = most
        self._file: TextIO | None = None
        self._number = self._bytes = self._lines = 0

    def write(self, line: str) -> None:
        size = len(line.encode("utf-8")) + 1
        if self._file is None or self._bytes + size > PART_BYTES or self._lines == self._most:
            self.close()
            self._number += 1
            self._bytes = self._lines = 0
            self._file = (self._folder / f"{self._number:05}.jsonl").open("w", encoding="utf-8")
        self._file.write(line + "\n")
        self._bytes += size
        self._lines += 1

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
