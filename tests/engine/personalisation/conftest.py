"""An index of the sample catalogue with its real text vectors, made once and written as they are."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch, helpers

from neuralshelf.connectors.spec import SageMakerText
from neuralshelf.model_packages.encoder import Sample
from neuralshelf.model_packages.minilm import MiniLmEncoder
from neuralshelf.personalisation.numbering import Clustered, Options, number_documents
from neuralshelf.pipelines.clusters import ClusterSpec
from neuralshelf.pipelines.index import index_resource
from neuralshelf.pipelines.spec import IndexSpec, SearchSpec, VectorSpec
from neuralshelf.settings import VectorStore

CATALOGUE = Path(__file__).resolve().parents[3] / "samples" / "catalogue.jsonl"
VECTOR = "text_vector"
INDEX = IndexSpec(
    name="clustered",
    fields={"title": "text", "kind": "keyword", "colour": "keyword", "image_path": "keyword", "cluster": "keyword"},
    vectors={VECTOR: VectorSpec(connector="text", text=("title", "kind"))},
)


@dataclass
class Shelf:
    """Documents with vectors in a live index.

    Attributes:
        documents: id -> document, in the order of the catalogue.
        said: what clustering said on the way.
    """

    client: OpenSearch
    documents: dict[str, dict[str, Any]]
    file: Path
    said: list[str] = field(default_factory=list)

    def empty(self) -> None:
        """A fresh index, and no clusters."""
        self.file.unlink(missing_ok=True)
        self.client.indices.delete(index=INDEX.physical_name, ignore_unavailable=True)
        search = SearchSpec(template="clustered-search", keyword=("title",), weights={"keyword": 0.5, VECTOR: 0.5})
        text = SageMakerText(kind="sagemaker-text", endpoint="none", dimension=384)
        made = index_resource(
            INDEX, search, {"text": text}, store=VectorStore(), ingest_pipeline="_none", search_pipeline="_none"
        )
        self.client.indices.create(index=INDEX.physical_name, body=made.body)

    def index(self, ids: Sequence[str], **changed: Any) -> None:
        """Documents by their ids, with other values for some fields."""
        actions = ({"_index": INDEX.name, "_id": each, **self.documents[each], **changed} for each in ids)
        helpers.bulk(self.client, actions, refresh=True)

    def cluster(self, say: Callable[[str], object] | None = None, **options: Any) -> Clustered:
        """As the verb does it."""
        spec = ClusterSpec(vector=VECTOR)
        said = say or partial(self.said.append)
        return number_documents(self.client, INDEX, spec, "clustered-v1", self.file, Options(**options), said)

    def numbers(self) -> dict[str, str | None]:
        """Id -> cluster of each document."""
        self.client.indices.refresh(index=INDEX.name)
        body = {"size": 1_000, "_source": ["cluster"], "query": {"match_all": {}}}
        hits = self.client.search(index=INDEX.name, body=body)["hits"]["hits"]
        return {hit["_id"]: hit["_source"].get("cluster") for hit in hits}


@pytest.fixture(scope="package")
def rows() -> list[dict[str, Any]]:
    """The sample catalogue with its vectors, by the real model."""
    found: list[dict[str, Any]] = [json.loads(line) for line in CATALOGUE.read_text("utf-8").splitlines()]
    encoder = MiniLmEncoder.load()
    for start in range(0, len(found), 64):
        some = found[start : start + 64]
        samples = [Sample(text=f"{row['title']} {row['kind']}") for row in some]
        for row, vector in zip(some, encoder.encode(samples, 384).tolist(), strict=True):
            row[VECTOR] = vector
    return found


@pytest.fixture(scope="module")
def shelf(client: OpenSearch, rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """An empty index; see `Shelf`."""
    documents = {
        row["id"]: {
            **{name: row[name] for name in ("title", "kind", "colour", VECTOR)},
            "image_path": f"sample/{row['image']}",
        }
        for row in rows
    }
    made = Shelf(client, documents, tmp_path_factory.mktemp("clusters") / "clusters.json")
    made.empty()
    yield made
    client.indices.delete(index=INDEX.physical_name, ignore_unavailable=True)
