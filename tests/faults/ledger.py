"""A catalogue whose every row is known, and what must have become of each in the end."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opensearchpy import OpenSearch
from opensearchpy.helpers import scan
from PIL import Image

from neuralshelf.model_packages.encoder import Sample
from tests.engine.fixtures import ToyEncoder
from tests.engine.provision.deployment import Project
from tests.faults.conftest import CONFIG

MARKER = "arsenic"
"""A title with this word is poison to the text model."""

MIX = (
    *("429 throttling", "429 text", "400 throttling", "400 null", "500", "503", "424 crashed", "slow", "hang"),
    *("cut before", "cut head", "cut body", "wrong dimension", "NaN", "nested", "html", "error body", "truncated"),
)
"""What a bad day brings; a model that answers is as likely to answer wrongly as to refuse."""


@dataclass(frozen=True)
class Goods:
    """A catalogue on disk.

    Attributes:
        titles: id -> title, of every row.
        pictures: id -> pixels, of the rows that have one.
    """

    path: Path
    titles: Mapping[str, str]
    pictures: Mapping[str, NDArray[np.uint8]]

    @property
    def poisoned(self) -> set[str]:
        """Rows whose text the model refuses."""
        return {identity for identity, title in self.titles.items() if MARKER in title}

    def mend(self) -> "Goods":
        """The same file with harmless titles."""
        return _write(self.path, [title.replace(MARKER, "honey") for title in self.titles.values()], self.pictures)


def write_goods(folder: Path, count: int, *, picture_every: int = 0, poison_every: int = 0) -> Goods:
    """`count` rows; one of so many has a picture, one of so many is poison. 0 is none."""
    pictures = {}
    titles = []
    for number in range(count):
        poison = poison_every and number % poison_every == poison_every // 2
        titles.append(f"thing number {number} of {count}" + (f" with {MARKER}" if poison else ""))
        if picture_every and number % picture_every == 0:
            colour = (number % 256, number // 256 % 256, 90)
            pictures[f"p{number}"] = np.full((8, 8, 3), colour, np.uint8)
    return _write(folder / "goods.jsonl", titles, pictures)


def _write(path: Path, titles: Sequence[str], pictures: Mapping[str, NDArray[np.uint8]]) -> Goods:
    named = {f"p{number}": title for number, title in enumerate(titles)}
    lines = []
    for identity, title in named.items():
        row: dict[str, Any] = {"id": identity, "title": title}
        if identity in pictures:
            row["image"] = f"{identity}.png"
            buffer = io.BytesIO()
            Image.fromarray(pictures[identity]).save(buffer, "PNG")
            (path.parent / row["image"]).write_bytes(buffer.getvalue())
        lines.append(json.dumps(row))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Goods(path, named, pictures)


def indexed(client: OpenSearch, index: str) -> dict[str, dict[str, Any]]:
    """Id -> document with its vectors, of all of an index.

    Raises:
        AssertionError: an id is there twice.
    """
    client.indices.refresh(index=index)
    found: dict[str, dict[str, Any]] = {}
    for hit in scan(client, index=index, query={"query": {"match_all": {}}}, size=500):
        assert hit["_id"] not in found
        found[hit["_id"]] = hit["_source"]
    assert client.count(index=index)["count"] == len(found)
    return found


def wrong(found: Mapping[str, Mapping[str, Any]], goods: Goods) -> list[str]:
    """Ids in the index that have another title than the catalogue, or not just the vectors of their own content."""
    toy = ToyEncoder()
    sizes = {name: CONFIG["connectors"][name]["dimension"] for name in ("text", "picture")}
    bad = []
    for identity, document in found.items():
        expected = {"text_vector": toy.encode([Sample(goods.titles[identity])], sizes["text"])[0]}
        if identity in goods.pictures:
            sample = Sample(image=goods.pictures[identity])
            expected["image_vector"] = toy.encode([sample], sizes["picture"])[0]
        vectors = {name: value for name, value in document.items() if name.endswith("_vector")}
        if document["title"] != goods.titles[identity] or not _same(vectors, expected):
            bad.append(identity)
    return bad


def _same(vectors: Mapping[str, Any], expected: Mapping[str, NDArray[np.float32]]) -> bool:
    return vectors.keys() == expected.keys() and all(
        len(vectors[name]) == len(row) and np.allclose(vectors[name], row, atol=1e-5) for name, row in expected.items()
    )


def ingest(project: Project, path: Path, *words: str, runs: int = 20) -> tuple[dict[str, Any], int]:
    """Ingest a catalogue, again after each run that stopped because models or cluster were away.

    Returns:
        the last run's report, and how many runs it took.
    """
    for run in range(1, runs + 1):
        process = project.start("ingest", str(path), "--json", *words)
        out, err = process.communicate(timeout=3600)
        assert "Traceback" not in err, err
        assert process.returncode in (0, 1, 3), err
        if process.returncode != 1:
            report: dict[str, Any] = json.loads(out)
            return report, run
        print(err.strip().splitlines()[-1])
    raise AssertionError(f"stopped {runs} times")
