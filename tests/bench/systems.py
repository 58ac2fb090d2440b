"""Figures of docs/systems.md that no other benchmark gives.

    python tests/bench/systems.py [--data DIR] [--url URL]

Pooling: how often a text finds its description with all-MiniLM-L6-v2, pooled by the mean of its tokens and by the first
token, exact search; on the sample catalogue, and on products-mit below --data. German: the same catalogue, asked in
English and in German. Bulk (with the URL of an engine without login that may be written to): 1,639 documents with a
vector of 1,024 numbers, one request a document against `_bulk`, in turn; no model is asked.
"""

import argparse
import json
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opensearchpy import OpenSearch
from ratio import Ratio, compare, seconds, table
from tabulate import tabulate

from neuralshelf.batches import batches
from neuralshelf.bulk import index_all
from neuralshelf.client import connect
from neuralshelf.connectors.spec import SageMakerClip
from neuralshelf.model_packages.minilm import MiniLmEncoder
from neuralshelf.pipelines.index import index_resource
from neuralshelf.pipelines.spec import IndexSpec, SearchSpec, VectorSpec
from neuralshelf.settings import ClusterConfig, VectorStore

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS, DIMENSION, BULK = 1_639, 1_024, 200
K = (1, 3, 10)

Floats = NDArray[np.float32]
Embed = Callable[[Sequence[str]], Floats]

GERMAN = {
    "acoustic guitar": "Akustikgitarre", "barrel": "Fass", "basket": "Korb", "basketball": "Basketball",
    "beer glass": "Bierglas", "birdhouse": "Vogelhaus", "bookcase": "Bücherregal", "bucket": "Eimer",
    "candle": "Kerze", "chair": "Stuhl", "coffee mug": "Kaffeebecher", "cowboy hat": "Cowboyhut",
    "dining table": "Esstisch", "drum": "Trommel", "dumbbell": "Hantel", "filing cabinet": "Aktenschrank",
    "frying pan": "Bratpfanne", "hourglass": "Sanduhr", "mailbox": "Briefkasten", "maraca": "Rumbarassel",
    "mixing bowl": "Rührschüssel", "padlock": "Vorhängeschloss", "park bench": "Parkbank",
    "perfume bottle": "Parfümflasche", "piggy bank": "Sparschwein", "pitcher": "Krug", "plant pot": "Blumentopf",
    "rocking chair": "Schaukelstuhl", "salt shaker": "Salzstreuer", "soccer ball": "Fußball", "sofa": "Sofa",
    "sombrero": "Sombrero", "storage chest": "Truhe", "sunglasses": "Sonnenbrille", "table lamp": "Tischlampe",
    "teapot": "Teekanne", "tennis ball": "Tennisball", "toaster": "Toaster", "umbrella": "Regenschirm",
    "vase": "Vase", "wall clock": "Wanduhr", "wardrobe": "Kleiderschrank", "water bottle": "Wasserflasche",
    "wine glass": "Weinglas",
}  # fmt: skip


def mean_pooled(model: MiniLmEncoder) -> Embed:
    """As the model was trained, and as our server answers: the mean of all tokens."""
    return model.embed


def first_pooled(model: MiniLmEncoder) -> Embed:
    """The vector of the first token, of length 1: what a client gets that takes `answer[0][0]`."""

    def one(text: str) -> Floats:
        ids = np.asarray([model._tokenizer.encode(text).ids], np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        states = model._session.run(None, {name: given[name] for name in model._inputs})[0]
        first = np.asarray(states, np.float32)[0, 0]
        return np.asarray(first / np.linalg.norm(first), np.float32)

    return lambda texts: np.stack([one(text) for text in texts])


def found(embed: Embed, queries: Mapping[str, str], documents: Sequence[tuple[str, str]]) -> list[float]:
    """Share of queries with a right document among the first k, for each k of K.

    Args:
        queries: text -> the label of its right documents.
        documents: (label, text).
    """
    labels = np.array([label for label, _ in documents])
    order = np.argsort(-embed(list(queries)) @ embed([text for _, text in documents]).T, axis=1, kind="stable")
    right = labels[order] == np.array(list(queries.values()))[:, None]
    return [float(right[:, :k].any(axis=1).mean()) for k in K]


def texts(model: MiniLmEncoder, data: Path | None) -> str:
    """The table of pooling and German."""
    rows = lines(ROOT / "samples" / "catalogue.jsonl")
    described = [(row["kind"], row["description"]) for row in rows]
    sets: dict[str, tuple[dict[str, str], list[tuple[str, str]]]] = {
        "catalogue: kind → description": ({kind: kind for kind in GERMAN}, described),
        "the same, asked in German": ({german: kind for kind, german in GERMAN.items()}, described),
        "catalogue: title → description": (
            {row["title"]: row["id"] for row in rows},
            [(row["id"], row["description"]) for row in rows],
        ),
    }
    if data is not None:
        shop = lines(data / "products-mit" / "items.jsonl")
        products = [(row["id"], row["description"]) for row in shop if row.get("description")]
        named = {row["title"]: row["id"] for row in shop if row.get("description")}
        sets["products-mit: title → description"] = (named, products)
    told = []
    for name, (queries, documents) in sets.items():
        for pooling, embed in (("mean", mean_pooled(model)), ("first token", first_pooled(model))):
            told.append((name, len(queries), pooling, *(f"{share:.3f}" for share in found(embed, queries, documents))))
    return tabulate(told, headers=("set", "queries", "pooling", *(f"@{k}" for k in K)), tablefmt="github")


def bulk(client: OpenSearch) -> Ratio:
    """Seconds of one request a document against `_bulk`, until all of them are there."""
    made = index_resource(
        IndexSpec(
            name="systems-bench", fields={"title": "text"}, vectors={"vector": VectorSpec(connector="c", image="i")}
        ),
        SearchSpec(keyword=("title",), weights={"keyword": 0.5, "vector": 0.5}),
        {"c": SageMakerClip(kind="sagemaker-clip", endpoint="none", dimension=DIMENSION)},
        store=VectorStore(),
        ingest_pipeline="_none",
        search_pipeline="_none",
    )
    vectors = np.random.default_rng(1).standard_normal((DOCUMENTS, DIMENSION)).astype(np.float32)
    documents = {f"{n}": {"title": f"product {n}", "vector": row} for n, row in enumerate(vectors.tolist())}

    def indexed(write: Callable[[str], None]) -> float:
        name = f"systems-bench-{uuid.uuid4().hex[:8]}"
        client.indices.create(index=name, body={key: made.body[key] for key in ("settings", "mappings")})
        try:
            taken = seconds(lambda: write(name))
            client.indices.refresh(index=name)
            assert client.count(index=name)["count"] == DOCUMENTS
            return taken
        finally:
            client.indices.delete(index=name)

    def singly(name: str) -> None:
        for identity, document in documents.items():
            client.index(index=name, id=identity, body=document)

    def together(name: str) -> None:
        for some in batches(documents, BULK):
            outcomes = index_all(client, name, {identity: documents[identity] for identity in some})
            assert not [outcome for outcome in outcomes if outcome.error]

    name = f"{DOCUMENTS} documents of {DIMENSION} numbers: one request each ÷ `_bulk` of {BULK}"
    return compare(name, "s", lambda: indexed(singly), lambda: indexed(together), rounds=3)


def lines(path: Path) -> list[dict[str, Any]]:
    """A file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def main() -> int:
    """Print what can be measured here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--url")
    words = parser.parse_args()
    print(texts(MiniLmEncoder.load(), words.data))
    if words.url:
        print(f"\n{table([bulk(connect(ClusterConfig(provider='url', url=words.url)))])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
